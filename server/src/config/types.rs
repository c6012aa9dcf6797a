//! What the settings come to: typed and complete.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use entra::config::{HttpConfig, IdentityKey, ProviderConfig};
use entra::crypto::KeyRing;
use ipnet::IpNet;
use store::config::DatabaseConfig;
use store::rule::RoleRule;
use url::{Host, Url};

/// Everything that the server needs to know to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where people reach the application: `PUBLIC_URL`.
    pub public_url: PublicUrl,
    /// Where the server listens: `BIND_ADDR`.
    pub bind_addr: SocketAddr,
    /// Where metrics are served, if at all: `METRICS_ADDR`.
    pub metrics_addr: Option<SocketAddr>,
    /// Which database: `DATABASE_URL`.
    pub database: DatabaseConfig,
    /// Who signs people in.
    pub provider: ProviderConfig,
    /// Base of Microsoft Graph without a trailing slash (`GRAPH_URL`); `None` when the project
    /// has no Graph parts or signs in with another provider.
    pub graph_url: Option<Url>,
    /// What access tokens for the API must be for; `None` when the project has no API.
    pub api: Option<ApiConfig>,
    /// How long sessions live.
    pub session: SessionConfig,
    /// How tokens are kept and refreshed.
    pub tokens: TokenConfig,
    /// How claims become users, groups and roles.
    pub sync: SyncConfig,
    /// What the sign-in behind a role change or a disable must be.
    pub admin_acts: AdminActsConfig,
    /// How outgoing calls are made.
    pub http: HttpConfig,
    /// Requests per client address on `/auth/*` (`AUTH_RATE_LIMIT`); `None` is off.
    pub auth_rate_limit: Option<RateLimit>,
    /// Requests per caller of the API (`API_RATE_LIMIT`); `None` is off.
    pub api_rate_limit: Option<RateLimit>,
    /// Whether `Strict-Transport-Security` speaks of names below as well (`HSTS_INCLUDE_SUBDOMAINS`).
    pub hsts_include_subdomains: bool,
    /// How long audit events are kept: `AUDIT_RETENTION`.
    pub audit_retention: Duration,
    /// Whether audit events are lines on standard error, too: `AUDIT_LOG`.
    pub audit_log: bool,
    /// `DIRECTORY_SYNC_INTERVAL`: how often the directory is asked what has changed; `None` when it is off.
    pub directory_sync_interval: Option<Duration>,
    /// `ERASE_USERS_AFTER`: people who have not been here for this long are erased; `None` when it is off.
    pub erase_users_after: Option<Duration>,
    /// Paths that need no sign-in, matched on whole segments: `LOGIN_EXEMPT_PATHS`.
    pub login_exempt_paths: Vec<String>,
    /// Whether pages follow their sources (`LIVE_RELOAD`); never in a release build.
    pub live_reload: bool,
    /// Peers whose forwarded headers count: `TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
}

impl Config {
    /// The scope that stands for every permission of Graph's that the application was given; `None` without Graph. No
    /// cloud's address is written here.
    #[must_use]
    pub fn graph_scope(&self) -> Option<String> {
        self.graph_url.as_ref().map(|url| format!("{}/.default", url.as_str().trim_end_matches('/')))
    }

    /// Whether everybody has the address of a proxy that `TRUSTED_PROXIES` does not name.
    #[must_use]
    pub fn is_behind_unnamed_proxy(&self) -> bool {
        is_behind_unnamed_proxy(&self.public_url, self.bind_addr.ip(), &self.trusted_proxies)
    }
}

/// The server speaks plain HTTP, so that `https` ends at a proxy. On a public address something else may be meant.
pub(super) fn is_behind_unnamed_proxy(public_url: &PublicUrl, bind_addr: IpAddr, proxies: &[IpNet]) -> bool {
    public_url.is_https() && is_inside(bind_addr) && proxies.is_empty()
}

/// Top-level domains that no registry gives away (RFC 2606, RFC 6761, RFC 6762; `internal` is ICANN's for private use).
const PRIVATE_DOMAINS: [&str; 4] = ["internal", "local", "localhost", "test"];

/// Whether `address` is of this machine or of a private network, or stands for all of a machine.
fn is_inside(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// The application's own address: `http` on loopback or `https`, an origin without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    url: Url,
}

impl PublicUrl {
    /// Wraps `url`, which [`Settings`](super::Settings) has validated: `http` on loopback or `https`, path `/`, no
    /// query, no fragment, no user information.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url }
    }

    /// `scheme://host[:port]`, as a browser writes it in the `Origin` header.
    #[must_use]
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Whether cookies must be `Secure` and carry the `__Host-` prefix.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether others than those at this machine or in its network may reach the application there.
    #[must_use]
    pub fn is_public(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => {
                let is_reserved =
                    |(_, last): (&str, &str)| PRIVATE_DOMAINS.contains(&last.to_ascii_lowercase().as_str());
                name.contains('.') && !name.rsplit_once('.').is_some_and(is_reserved)
            }
            Some(Host::Ipv4(address)) => !is_inside(address.into()),
            Some(Host::Ipv6(address)) => !is_inside(address.into()),
            None => false,
        }
    }

    /// The absolute URL of `path`, which starts with `/`.
    #[must_use]
    pub fn with_path(&self, path: &str) -> String {
        format!("{}{path}", self.origin())
    }

    /// Path and query of `url`, if it is one of this application, or a path; as a browser reads it.
    #[must_use]
    pub fn own_path(&self, url: &str) -> Option<String> {
        let url = self.url.join(url).ok().filter(|url| url.origin() == self.url.origin())?;
        Some(url[url::Position::BeforePath..].to_owned())
    }

    /// The URL itself.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
}

/// What an app registration in Entra has to say.
#[derive(Clone, Debug)]
pub struct RegistrationConfig {
    /// `PUBLIC_URL`.
    pub public_url: PublicUrl,
    /// Whose accounts sign in.
    pub accounts: Accounts,
    /// `ENTRA_SCOPES`.
    pub scopes: Vec<String>,
    /// Whether `DIRECTORY_SYNC_INTERVAL` is on: it needs an application permission.
    pub directory_sync: bool,
}

/// The supported account types of a registration (`signInAudience`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// Of the one tenant in which it is registered.
    OneTenant,
    /// Of any organisation; `ENTRA_ALLOWED_TENANTS` chooses among them.
    SeveralTenants,
    /// Of any organisation, and personal ones.
    WithPersonal,
}

/// Access tokens for this application's own API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// `API_AUDIENCE`: a token is for these alone.
    pub audiences: Vec<String>,
    /// `API_SCOPE`: what a person's token must allow, without the audience in front.
    pub scope: String,
    /// `API_CROSS_TENANT_APPS`: programs that read people of every tenant, as (tenant, client id).
    pub cross_tenant_apps: Vec<(String, String)>,
}

/// Lifetimes of a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionConfig {
    /// `SESSION_IDLE_TIMEOUT`: without a request for this long, the session is over.
    pub idle_timeout: Duration,
    /// `SESSION_ABSOLUTE_TIMEOUT`: after this long it is over in any case.
    pub absolute_timeout: Duration,
}

/// What the sign-in behind a role change or a disable must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminActsConfig {
    /// `ADMIN_SIGN_IN_MAX_AGE`: how long ago it may have been; `None` when it is off.
    pub sign_in_max_age: Option<Duration>,
    /// `ADMIN_AUTH_CONTEXT`: the authentication context that it must have proven.
    pub auth_context: Option<String>,
}

/// Keeping and refreshing tokens.
#[derive(Clone, Debug)]
pub struct TokenConfig {
    /// `TOKEN_ENCRYPTION_KEYS`.
    pub keys: KeyRing,
    /// `TOKEN_REFRESH_THRESHOLD`: refresh this long before expiry.
    pub refresh_threshold: Duration,
    /// `GRANT_IDLE_LIMIT`: a grant without a session for this long is forgotten.
    pub grant_idle_limit: Duration,
    /// `ON_GRANT_REVOKED`.
    pub on_grant_revoked: OnGrantRevoked,
}

/// What happens to a person's sessions when the provider revokes their grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGrantRevoked {
    /// All their sessions end.
    EndSessions,
    /// They stay signed in without Graph data.
    Keep,
}

/// From claims to users, groups and roles.
#[derive(Clone, Debug, Default)]
pub struct SyncConfig {
    /// `CREATE_NEW_USERS`: whether a person never seen before may sign in.
    pub create_new_users: bool,
    /// `BLOCK_GUEST_USERS`.
    pub block_guest_users: bool,
    /// `CLAIM_MAPPING`: column and claim.
    pub claim_mapping: Vec<(TextColumn, String)>,
    /// `BOOLEAN_CLAIM_MAPPING`: column and claim.
    pub boolean_claim_mapping: Vec<(BooleanColumn, String)>,
    /// `GROUPS_CLAIM`; empty reads no groups.
    pub groups_claim: String,
    /// `GROUPS_CLAIM_EMITTED`: whether a token without that claim is of somebody in no group.
    pub groups_claim_emitted: bool,
    /// `GROUPS_KEEP_FOR`: how long groups that cannot be read stay as they were.
    pub groups_keep_for: Duration,
    /// `MIRROR_GROUPS`: whether groups are kept in the database.
    pub mirror_groups: bool,
    /// `ROLE_MAPPING`: which groups and app roles give which roles.
    pub role_mapping: Vec<RoleRule>,
    /// `ADMIN_USERS`: identities granted `admin` at sign-in.
    pub admin_users: Vec<IdentityKey>,
}

/// A text column of the user that a claim may fill (`CLAIM_MAPPING`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextColumn {
    /// `display_name`
    DisplayName,
    /// `given_name`
    GivenName,
    /// `family_name`
    FamilyName,
    /// `email`
    Email,
    /// `job_title`
    JobTitle,
    /// `department`
    Department,
}

/// A yes/no column of the user that a claim may fill (`BOOLEAN_CLAIM_MAPPING`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BooleanColumn {
    /// `is_external`: people from outside the organisation, besides guests.
    IsExternal,
}

/// So many requests in that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many; never 0.
    pub count: u32,
    /// In which time; never zero.
    pub per: Duration,
}
