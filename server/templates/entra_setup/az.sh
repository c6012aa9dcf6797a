{% let r = registration -%}
#!/usr/bin/env bash
# Registers {{ r.redirect_uri }} with Microsoft Entra ID and prints the settings. Needs the Azure CLI, signed in
# (`az login`) as somebody who may register applications. Run it once: each run makes a registration.
set -euo pipefail

graph=00000003-0000-0000-c000-000000000000

app=$(az ad app create --display-name {{ r.shell_title() }} --sign-in-audience {{ r.audience() }} --query appId --output tsv)

az rest --method PATCH --uri "https://graph.microsoft.com/v1.0/applications(appId='$app')" \
    --headers Content-Type=application/json --body @/dev/stdin <<'JSON'
{{ r.body_text() }}
JSON
{%- if r.has_api %}
# For clients of the API: access_as_user.
az ad app update --id "$app" --identifier-uris "api://$app"
{%- endif %}

for scope in{% for scope in r.scopes %} {{ scope }}{% endfor %}; do
    id=$(az ad sp show --id "$graph" --query "oauth2PermissionScopes[?value=='$scope'].id | [0]" --output tsv)
    [[ -n $id ]] || { echo "Microsoft Graph has no delegated permission $scope" >&2; exit 1; }
    az ad app permission add --id "$app" --api "$graph" --api-permissions "$id=Scope" --only-show-errors
done

az ad sp create --id "$app" --output none
{%- if r.directory_sync %}

# For DIRECTORY_SYNC_INTERVAL: an application permission, with admin consent.
role=$(az ad sp show --id "$graph" --query "appRoles[?value=='User.Read.All'].id | [0]" --output tsv)
az ad app permission add --id "$app" --api "$graph" --api-permissions "$role=Role" --only-show-errors
az ad app permission admin-consent --id "$app"
{% endif %}
secret=$(az ad app credential reset --id "$app" --append --display-name server --years 1 --query password --output tsv)

cat <<SETTINGS
{%- match r.shared_endpoint() %}
{%- when Some with (endpoint) %}
ENTRA_TENANT_ID={{ endpoint }}
ENTRA_ALLOWED_TENANTS=$(az account show --query tenantId --output tsv)
{%- when None %}
ENTRA_TENANT_ID=$(az account show --query tenantId --output tsv)
{%- endmatch %}
ENTRA_CLIENT_ID=$app
ENTRA_CLIENT_SECRET=$secret
GROUPS_CLAIM_EMITTED=true
SETTINGS
