//! `server entra-setup`: how to register this application with Entra ID, from its own settings: the
//! steps in the portal, a script for the Azure CLI, or a Terraform file.
//!
//! Sources: Microsoft Graph, "application resource type"; Microsoft identity platform, "Redirect URI
//! restrictions" and "Optional claims reference"; the documentation of `az ad app` and of the
//! Terraform provider `azuread`.

use std::fmt::Write as _;

use askama::Template;
use clap::ValueEnum;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::caller::{READ_AUDIT_LOG, READ_USERS};
use crate::config::{Accounts, RegistrationConfig};
use crate::paths::CALLBACK;
use crate::web::middleware::security_headers::FRONT_CHANNEL_LOGOUT;

/// The scope of the API (`API_SCOPE`).
const API_SCOPE: &str = "access_as_user";

/// Optional claims of the ID token, and what each is for.
const OPTIONAL_CLAIMS: [(&str, &str); 5] = [
    ("sid", "front-channel logout finds the session by it"),
    ("login_hint", "signing out does not ask which account"),
    ("acct", "guests are told from members"),
    ("auth_time", "acts that need a fresh sign-in see how old it is"),
    ("acrs", "acts that need a stronger sign-in see that it was one (ADMIN_AUTH_CONTEXT)"),
];

/// What to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The steps in the Entra admin center
    Steps,
    /// A shell script for the Azure CLI
    Az,
    /// A Terraform file
    Terraform,
}

/// The registration, ready to be written down.
#[derive(Clone, Debug)]
pub struct Registration {
    title: String,
    redirect_uri: String,
    logout_url: Option<String>,
    accounts: Accounts,
    scopes: Vec<String>,
    has_api: bool,
    directory_sync: bool,
    role_id: Uuid,
    /// None without the API.
    program_roles: Vec<ProgramRole>,
    scope_id: Uuid,
}

/// An app role for programs that call the API by themselves.
#[derive(Clone, Debug)]
struct ProgramRole {
    id: Uuid,
    value: &'static str,
    name: &'static str,
    description: &'static str,
}

fn program_roles() -> Vec<ProgramRole> {
    [
        (READ_USERS, "Read users", "May list the users."),
        (READ_AUDIT_LOG, "Read the audit log", "May read all audit events."),
    ]
    .map(|(value, name, description)| ProgramRole { id: Uuid::new_v4(), value, name, description })
    .to_vec()
}

impl Registration {
    /// A registration called `title`, with new ids for its role and its scope; `has_api` adds the
    /// scope of the bearer API.
    #[must_use]
    pub fn new(config: &RegistrationConfig, title: &str, has_api: bool) -> Self {
        let logout_url = config.public_url.with_path(FRONT_CHANNEL_LOGOUT);
        Self {
            title: title.to_owned(),
            redirect_uri: config.public_url.with_path(CALLBACK),
            // Entra takes https alone here, also for localhost.
            logout_url: config.public_url.is_https().then_some(logout_url),
            accounts: config.accounts,
            scopes: config.scopes.clone(),
            has_api,
            directory_sync: config.directory_sync,
            role_id: Uuid::new_v4(),
            program_roles: if has_api { program_roles() } else { Vec::new() },
            scope_id: Uuid::new_v4(),
        }
    }

    /// The registration as text.
    ///
    /// # Errors
    /// When a template cannot be rendered, which does not happen with these.
    pub fn write(&self, format: Format) -> Result<String, askama::Error> {
        match format {
            Format::Steps => Steps { registration: self }.render(),
            Format::Az => Az { registration: self }.render(),
            Format::Terraform => Terraform { registration: self }.render(),
        }
    }

    /// The application as Microsoft Graph takes it; `appId` and permissions are added by the script.
    fn body(&self) -> Value {
        let claims: Vec<Value> = OPTIONAL_CLAIMS.iter().map(|(name, _)| json!({ "name": name })).collect();
        json!({
            "groupMembershipClaims": "SecurityGroup",
            "optionalClaims": { "idToken": claims, "accessToken": self.access_token_claims() },
            "web": {
                "redirectUris": [self.redirect_uri],
                "logoutUrl": self.logout_url,
                "implicitGrantSettings": { "enableIdTokenIssuance": false, "enableAccessTokenIssuance": false },
            },
            "api": { "requestedAccessTokenVersion": 2, "oauth2PermissionScopes": self.api_scopes() },
            "appRoles": self.app_roles(),
        })
    }

    fn app_roles(&self) -> Vec<Value> {
        let role = |id, value, name, description, members| {
            json!({
                "id": id,
                "value": value,
                "displayName": name,
                "description": description,
                "allowedMemberTypes": [members],
                "isEnabled": true,
            })
        };
        let people = role(self.role_id, "Admin", "Administrators", "May use the admin pages.", "User");
        let programs = self.program_roles.iter();
        let programs = programs.map(|known| role(known.id, known.value, known.name, known.description, "Application"));
        std::iter::once(people).chain(programs).collect()
    }

    /// `idtyp` tells a program's own token from a person's.
    fn access_token_claims(&self) -> Vec<Value> {
        if self.has_api { vec![json!({ "name": "idtyp" })] } else { Vec::new() }
    }

    fn api_scopes(&self) -> Vec<Value> {
        let title = &self.title;
        let scope = json!({
            "id": self.scope_id,
            "value": API_SCOPE,
            "type": "User",
            "adminConsentDisplayName": format!("Use {title} on the user's behalf"),
            "adminConsentDescription": format!("Lets the client call the API of {title} as the user."),
            "userConsentDisplayName": format!("Use {title} on your behalf"),
            "userConsentDescription": format!("Lets the client call the API of {title} as you."),
            "isEnabled": true,
        });
        if self.has_api { vec![scope] } else { Vec::new() }
    }

    fn body_text(&self) -> String {
        serde_json::to_string_pretty(&self.body()).unwrap_or_default()
    }

    fn audience(&self) -> &'static str {
        match self.accounts {
            Accounts::OneTenant => "AzureADMyOrg",
            Accounts::SeveralTenants => "AzureADMultipleOrgs",
            Accounts::WithPersonal => "AzureADandPersonalMicrosoftAccount",
        }
    }

    fn accounts_in_words(&self) -> &'static str {
        match self.accounts {
            Accounts::OneTenant => "Accounts in this organizational directory only",
            Accounts::SeveralTenants => "Accounts in any organizational directory",
            Accounts::WithPersonal => "Accounts in any organizational directory and personal Microsoft accounts",
        }
    }

    /// What `ENTRA_TENANT_ID` is to be, where it is not the tenant's own id.
    fn shared_endpoint(&self) -> Option<&'static str> {
        match self.accounts {
            Accounts::OneTenant => None,
            Accounts::SeveralTenants => Some("organizations"),
            Accounts::WithPersonal => Some("common"),
        }
    }

    fn shell_title(&self) -> String {
        format!("'{}'", self.title.replace('\'', r"'\''"))
    }

    fn optional_claims(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONAL_CLAIMS
    }
}

/// A text in HCL: quoted, without templates.
fn hcl(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let mut escaped = String::with_capacity(quoted.len());
    let mut rest = quoted.as_str();
    while let Some(at) = rest.find(['$', '%']) {
        let (before, from) = rest.split_at(at);
        let (sign, after) = from.split_at(1);
        let doubled = if after.starts_with('{') { sign } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(escaped, "{before}{sign}{doubled}");
        rest = after;
    }
    escaped + rest
}

#[derive(Template)]
#[template(path = "entra_setup/steps.txt", escape = "none")]
struct Steps<'a> {
    registration: &'a Registration,
}

#[derive(Template)]
#[template(path = "entra_setup/az.sh", escape = "none")]
struct Az<'a> {
    registration: &'a Registration,
}

#[derive(Template)]
#[template(path = "entra_setup/main.tf", escape = "none")]
struct Terraform<'a> {
    registration: &'a Registration,
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::config::PublicUrl;

    fn registration(public_url: &str, title: &str, has_api: bool) -> Registration {
        let config = RegistrationConfig {
            public_url: PublicUrl::new(Url::parse(public_url).expect("a URL")),
            accounts: Accounts::OneTenant,
            scopes: ["openid", "profile", "offline_access", "User.Read"].map(str::to_owned).to_vec(),
            directory_sync: false,
        };
        Registration::new(&config, title, has_api)
    }

    #[test]
    fn every_format_names_what_the_settings_decide() {
        let registration = registration("https://app.example.com", "Contoso Portal", true);
        for format in [Format::Steps, Format::Az, Format::Terraform] {
            let text = registration.write(format).expect("rendered");
            for needed in [
                "https://app.example.com/auth/callback",
                "https://app.example.com/auth/front-channel-logout",
                "Contoso Portal",
                "User.Read",
                "offline_access",
                "sid",
                "login_hint",
                "acct",
                "auth_time",
                "acrs",
                "Admin",
                "access_as_user",
                "idtyp",
                "Users.Read.All",
                "AuditLog.Read.All",
                "GROUPS_CLAIM_EMITTED",
            ] {
                assert!(text.contains(needed), "{format:?} lacks {needed}");
            }
        }
    }

    #[test]
    fn a_scope_of_the_api_is_registered_only_where_there_is_one() {
        let registration = registration("https://app.example.com", "Portal", false);
        for format in [Format::Steps, Format::Az, Format::Terraform] {
            let text = registration.write(format).expect("rendered");
            for name in ["access_as_user", "idtyp", "Users.Read.All", "AuditLog.Read.All"] {
                assert!(!text.contains(name), "{format:?}: {name}");
            }
        }
    }

    #[test]
    fn g_07_the_directory_sync_asks_for_its_application_permission() {
        let without = registration("https://app.example.com", "Portal", false);
        let with = Registration { directory_sync: true, ..without.clone() };
        for format in [Format::Steps, Format::Az, Format::Terraform] {
            assert!(with.write(format).expect("rendered").contains("User.Read.All"), "{format:?}");
            assert!(!without.write(format).expect("rendered").contains("User.Read.All"), "{format:?}");
        }
    }

    #[test]
    fn a_localhost_registration_has_no_logout_url() {
        let registration = registration("http://localhost:3000", "Portal", true);
        assert_eq!(registration.body()["web"]["logoutUrl"], Value::Null);
        assert!(!registration.write(Format::Terraform).expect("rendered").contains("logout_url"));
    }

    #[test]
    fn a_hostile_title_stays_a_title() {
        let registration = registration("https://app.example.com", "It's ${x} \"$(touch y)\"", true);
        assert_eq!(registration.shell_title(), r#"'It'\''s ${x} "$(touch y)"'"#);
        assert_eq!(hcl(&registration.title), r#""It's $${x} \"$(touch y)\"""#);
        let script = registration.write(Format::Az).expect("rendered");
        let (_, body) = script.split_once("<<'JSON'\n").expect("the body");
        let (body, _) = body.split_once("\nJSON\n").expect("its end");
        let body: Value = serde_json::from_str(body).expect("JSON");
        assert_eq!(body["appRoles"][0]["value"], "Admin");
    }
}
