{% let r = registration -%}
# Registers {{ r.redirect_uri }} with Microsoft Entra ID. The outputs are the server's settings.
terraform {
  required_providers {
    azuread = {
      source  = "hashicorp/azuread"
      version = "~> 3.0"
    }
  }
}

data "azuread_client_config" "current" {}

data "azuread_application_published_app_ids" "well_known" {}

data "azuread_service_principal" "graph" {
  client_id = data.azuread_application_published_app_ids.well_known.result["MicrosoftGraph"]
}

resource "azuread_application" "app" {
  display_name            = {{ crate::cli::entra_setup::hcl(r.title) }}
  sign_in_audience        = "{{ r.audience() }}"
  group_membership_claims = ["SecurityGroup"]

  web {
    redirect_uris = ["{{ r.redirect_uri }}"]
{%- if let Some(url) = r.logout_url %}
    logout_url    = "{{ url }}"
{%- endif %}

    implicit_grant {
      access_token_issuance_enabled = false
      id_token_issuance_enabled     = false
    }
  }

  optional_claims {
{%- for (name, purpose) in r.optional_claims() %}
    # {{ purpose }}
    id_token {
      name = "{{ name }}"
    }
{%- endfor %}
{%- if r.has_api %}
    # a program's own token is told from a person's
    access_token {
      name = "idtyp"
    }
{%- endif %}
  }

  api {
    requested_access_token_version = 2
{%- if r.has_api %}

    oauth2_permission_scope {
      id                         = "{{ r.scope_id }}"
      value                      = "access_as_user"
      type                       = "User"
      admin_consent_display_name = "Use the API on the user's behalf"
      admin_consent_description  = "Lets the client call the API as the user."
      user_consent_display_name  = "Use the API on your behalf"
      user_consent_description   = "Lets the client call the API as you."
      enabled                    = true
    }
{%- endif %}
  }

  app_role {
    id                   = "{{ r.role_id }}"
    value                = "Admin"
    display_name         = "Administrators"
    description          = "May use the admin pages."
    allowed_member_types = ["User"]
    enabled              = true
  }
{%- for role in r.program_roles %}

  app_role {
    id                   = "{{ role.id }}"
    value                = "{{ role.value }}"
    display_name         = "{{ role.name }}"
    description          = "{{ role.description }}"
    allowed_member_types = ["Application"]
    enabled              = true
  }
{%- endfor %}

  required_resource_access {
    resource_app_id = data.azuread_service_principal.graph.client_id
{%- for scope in r.scopes %}

    resource_access {
      id   = data.azuread_service_principal.graph.oauth2_permission_scope_ids["{{ scope }}"]
      type = "Scope"
    }
{%- endfor %}
{%- if r.directory_sync %}

    # For DIRECTORY_SYNC_INTERVAL.
    resource_access {
      id   = data.azuread_service_principal.graph.app_role_ids["User.Read.All"]
      type = "Role"
    }
{%- endif %}
  }
}
{%- if r.has_api %}

resource "azuread_application_identifier_uri" "api" {
  application_id = azuread_application.app.id
  identifier_uri = "api://${azuread_application.app.client_id}"
}
{%- endif %}

resource "azuread_service_principal" "app" {
  client_id = azuread_application.app.client_id
}

{%- if r.directory_sync %}
# Admin consent for the application permission.
resource "azuread_app_role_assignment" "directory_sync" {
  app_role_id         = data.azuread_service_principal.graph.app_role_ids["User.Read.All"]
  principal_object_id = azuread_service_principal.app.object_id
  resource_object_id  = data.azuread_service_principal.graph.object_id
}
{% endif %}
resource "azuread_application_password" "server" {
  application_id = azuread_application.app.id
  display_name   = "server"
}
{%- match r.shared_endpoint() %}
{%- when Some with (endpoint) %}

output "ENTRA_TENANT_ID" {
  value = "{{ endpoint }}"
}

output "ENTRA_ALLOWED_TENANTS" {
  value = data.azuread_client_config.current.tenant_id
}
{%- when None %}

output "ENTRA_TENANT_ID" {
  value = data.azuread_client_config.current.tenant_id
}
{%- endmatch %}

output "ENTRA_CLIENT_ID" {
  value = azuread_application.app.client_id
}

output "ENTRA_CLIENT_SECRET" {
  value     = azuread_application_password.server.value
  sensitive = true
}

output "GROUPS_CLAIM_EMITTED" {
  value = "true"
}
