//! What the libraries are told when they are made: the provider, the registration with it, and how to call out.
//!
//! Names in capitals are the settings of the server that fill a field.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// The OpenID Provider and this application's registration with it.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Entra ID, or any other OpenID Provider.
    pub kind: ProviderKind,
    /// `ENTRA_CLIENT_ID`.
    pub client_id: String,
    /// How this application proves who it is at the token endpoint.
    pub credential: ClientCredential,
    /// `ENTRA_SCOPES`, in order, always with `openid`.
    pub scopes: Vec<String>,
    /// `ENTRA_RESPONSE_MODE`.
    pub response_mode: ResponseMode,
    /// `CLOCK_LEEWAY`, at most 300 s.
    pub clock_leeway: Duration,
}

/// Which provider signs people in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderKind {
    /// Microsoft Entra ID, v2.0 endpoints below `authority`.
    Entra {
        /// `ENTRA_AUTHORITY` without a trailing slash, for example
        /// `https://login.microsoftonline.com`.
        authority: String,
        /// Whose users may sign in.
        tenant: Tenant,
    },
    /// Any other OpenID Provider: `OIDC_ISSUER`, exactly as its metadata spells it.
    Generic {
        /// The issuer identifier.
        issuer: String,
    },
}

impl ProviderKind {
    /// The tenants whose people may sign in; none with another provider than Entra.
    #[must_use]
    pub fn tenants(&self) -> Vec<String> {
        match self {
            Self::Entra { tenant: Tenant::Single(tenant), .. } => vec![tenant.clone()],
            Self::Entra { tenant: Tenant::Multi { allowed, .. }, .. } => allowed.clone(),
            Self::Generic { .. } => Vec::new(),
        }
    }
}

/// Which Entra tenants may sign in: `ENTRA_TENANT_ID`, `ENTRA_ALLOWED_TENANTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// One tenant, by its lower-case GUID.
    Single(String),
    /// Several tenants through a shared endpoint.
    Multi {
        /// `organizations` or `common`: the segment after the authority.
        endpoint: String,
        /// Lower-case GUIDs; never empty.
        allowed: Vec<String>,
    },
}

/// How this application authenticates at the token endpoint.
#[derive(Clone, Debug)]
pub enum ClientCredential {
    /// `ENTRA_CLIENT_SECRET`.
    Secret(SecretString),
    /// `ENTRA_CLIENT_SECRET_FILE`: the secret is read again when the file changes.
    SecretFile(PathBuf),
    /// `ENTRA_CLIENT_CERTIFICATE_FILE` and `ENTRA_CLIENT_KEY_FILE`, both PEM: `private_key_jwt`.
    Certificate {
        /// The certificate registered with the application.
        certificate_file: PathBuf,
        /// Its PKCS#8 private key.
        key_file: PathBuf,
    },
    /// `ENTRA_FEDERATED_TOKEN_FILE`: workload identity, read on each use.
    FederatedTokenFile(PathBuf),
}

/// How the authorization response comes back (OAuth 2.0 Multiple Response Types, section 2.1;
/// OAuth 2.0 Form Post Response Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the query of a redirect.
    Query,
    /// As a cross-site POST; needs `SameSite=None` on the transaction's cookie.
    FormPost,
}

/// Who somebody is: (tenant id, object id), or (issuer, subject) with another provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdentityKey {
    /// Lower-case tenant GUID, or issuer URL.
    pub realm: String,
    /// Lower-case object GUID, or subject.
    pub subject: String,
}

/// Outgoing calls.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `HTTP_TIMEOUT`: a whole call.
    pub timeout: Duration,
    /// `HTTP_RETRIES`: further tries of a call that may be repeated.
    pub retries: u32,
    /// `EXTRA_CA_FILE`: PEM certificates trusted besides the system's.
    pub extra_ca_file: Option<PathBuf>,
}
