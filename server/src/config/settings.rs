//! The settings as they are given: one definition of names, flags, defaults and help texts.
//!
//! Every value is text here, so that [`Settings::validate`] can report all problems together
//! where a typed command line would stop at the first.

use std::fmt;

use clap::{Arg, Args, Command, FromArgMatches as _};

const WEB: &str = "Web";
const DATABASE: &str = "Database";
const PROVIDER: &str = "Signing in";
const SESSIONS: &str = "Sessions and tokens";
const USERS: &str = "Users, groups and roles";
const API: &str = "API";
const OUTGOING: &str = "Outgoing calls";

/// One field for each setting; the environment variable is the field's name in capitals.
#[derive(Args, Clone, Default)]
pub struct Settings {
    /// Address at which people reach the application, for example `https://app.example.com`.
    ///
    /// An origin without a path: `https`, or `http` on a loopback host. Redirect URIs, the cookies' `Secure` flag
    /// and the check of the `Origin` header follow from it, never from request headers.
    #[arg(long, env, hide_env_values = true, help_heading = WEB, default_value = "http://localhost:3000")]
    pub public_url: Option<String>,

    /// Address and port on which the server listens.
    #[arg(long, env, hide_env_values = true, help_heading = WEB, default_value = "127.0.0.1:3000")]
    pub bind_addr: Option<String>,

    /// Address and port of a listener of its own for Prometheus, for example `127.0.0.1:9464`; none by default.
    ///
    /// `/metrics` is served there alone, to everybody who can reach it: keep it inside.
    #[arg(long, env, hide_env_values = true, help_heading = WEB)]
    pub metrics_addr: Option<String>,

    /// Networks of the reverse proxies whose forwarded headers count: CIDRs or addresses, comma-separated.
    #[arg(long, env, hide_env_values = true, help_heading = WEB)]
    pub trusted_proxies: Option<String>,

    /// Requests that one client address may make on `/auth/*`: a count and a time such as `60/1m`, or `off`.
    ///
    /// More are answered with 429 and `Retry-After`. Default: `60/1m`; `off` when `PUBLIC_URL` is a loopback host.
    #[arg(long, env, hide_env_values = true, help_heading = WEB)]
    pub auth_rate_limit: Option<String>,

    /// Whether browsers are told to use `https` for all names below that of `PUBLIC_URL` as well: `true` or `false`.
    ///
    /// It is the word `includeSubDomains` of `Strict-Transport-Security`, which browsers remember for two years. Switch it
    /// off where a name below serves `http`.
    #[arg(long, env, hide_env_values = true, help_heading = WEB, default_value = "true")]
    pub hsts_include_subdomains: Option<String>,

    /// Paths that need no sign-in, with all below them: comma-separated, each starting with `/`.
    ///
    /// Everything else needs a sign-in, except the built-in public routes.
    #[arg(long, env, hide_env_values = true, help_heading = WEB)]
    pub login_exempt_paths: Option<String>,

    /// Whether pages in the browser follow their sources: `true` or `false`. For debug builds alone.
    ///
    /// They reload when the server has been started again, and take an edited style sheet as they are.
    #[arg(long, env, hide_env_values = true, help_heading = WEB, default_value = "false")]
    pub live_reload: Option<String>,

    /// Database: `sqlite://path` or `postgres://user:password@host/name`, whichever this build holds.
    ///
    /// What follows `sqlite://` is a path, relative or absolute; missing folders are created. PostgreSQL takes
    /// `sslmode=verify-full` (the default) or `sslmode=disable` (the default on a loopback host).
    /// Default: `sqlite://data/app.db`; a PostgreSQL build has none.
    #[arg(long, env, hide_env_values = true, help_heading = DATABASE)]
    pub database_url: Option<String>,

    /// File that holds the database's URL, instead of `DATABASE_URL`; it is read at the start.
    #[arg(long, env, hide_env_values = true, help_heading = DATABASE)]
    pub database_url_file: Option<String>,

    /// Time for which audit events are kept, at most `3650d`.
    #[arg(long, env, hide_env_values = true, help_heading = DATABASE, default_value = "365d")]
    pub audit_retention: Option<String>,

    /// Where audit events go besides the database: `stderr` writes each as a line of JSON, or `off`.
    ///
    /// A line is written once the event is committed. `GET /api/v1/audit` is the way for a SIEM that must miss none.
    #[arg(long, env, hide_env_values = true, help_heading = DATABASE, default_value = "off")]
    pub audit_log: Option<String>,

    /// Directory (tenant) ID, a GUID; or `organizations` or `common` for several tenants.
    ///
    /// Several tenants need `ENTRA_ALLOWED_TENANTS` too.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub entra_tenant_id: Option<String>,

    /// Tenants whose users may sign in when there are several: comma-separated GUIDs.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub entra_allowed_tenants: Option<String>,

    /// Application (client) ID of the app registration.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub entra_client_id: Option<String>,

    /// Client secret: its value, not its ID.
    ///
    /// Exactly one credential is needed: this, or a file with it, or a certificate with its key, or a federated
    /// token. Flags are visible to other users of the machine, so give this one as a variable.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER, allow_hyphen_values = true)]
    pub entra_client_secret: Option<String>,

    /// File that holds the client secret; it is read again when it changes.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub entra_client_secret_file: Option<String>,

    /// File with the certificate registered for the application, PEM; goes with `ENTRA_CLIENT_KEY_FILE`.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub entra_client_certificate_file: Option<String>,

    /// File with the certificate's private key, PKCS#8 PEM, RSA of at least 2048 bits.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub entra_client_key_file: Option<String>,

    /// File with a workload identity's token; it is read on each use.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub entra_federated_token_file: Option<String>,

    /// Base address of Microsoft's sign-in service; national clouds have their own.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER, default_value = "https://login.microsoftonline.com")]
    pub entra_authority: Option<String>,

    /// Base address of Microsoft Graph; national clouds have their own.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER, default_value = "https://graph.microsoft.com")]
    pub graph_url: Option<String>,

    /// Scopes to ask for, separated by blanks; `openid` must be among them.
    ///
    /// Default: `openid profile email offline_access User.Read`; without Microsoft Graph or with `OIDC_ISSUER`,
    /// `openid profile email offline_access`.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub entra_scopes: Option<String>,

    /// How the answer comes back from the provider: `query` or `form_post`.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER, default_value = "query")]
    pub entra_response_mode: Option<String>,

    /// Issuer URL of any other OpenID Provider, instead of Entra.
    ///
    /// Exactly as the provider's metadata spells it. `ENTRA_CLIENT_ID` and one credential are then those registered
    /// with that provider.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER)]
    pub oidc_issuer: Option<String>,

    /// Difference of clocks that is tolerated when tokens are checked, at most `300s`.
    #[arg(long, env, hide_env_values = true, help_heading = PROVIDER, default_value = "120s")]
    pub clock_leeway: Option<String>,

    /// A session without a request for this long is over; at most `SESSION_ABSOLUTE_TIMEOUT`.
    #[arg(long, env, hide_env_values = true, help_heading = SESSIONS, default_value = "30m")]
    pub session_idle_timeout: Option<String>,

    /// A session is over after this long in any case, at most `90d`.
    #[arg(long, env, hide_env_values = true, help_heading = SESSIONS, default_value = "8h")]
    pub session_absolute_timeout: Option<String>,

    /// Keys that encrypt tokens at rest: `id:base64 of 32 bytes`, comma-separated; the first one encrypts.
    ///
    /// `server keys new` prints one. Required, except in a debug build that signs in with the Entra emulator: it makes
    /// keys of its own in `data/dev-keys`.
    #[arg(long, env, hide_env_values = true, help_heading = SESSIONS)]
    pub token_encryption_keys: Option<String>,

    /// File that holds these keys, instead of `TOKEN_ENCRYPTION_KEYS`; it is read at the start.
    #[arg(long, env, hide_env_values = true, help_heading = SESSIONS)]
    pub token_encryption_keys_file: Option<String>,

    /// Access tokens are refreshed this long before they expire, at most `1d`.
    #[arg(long, env, hide_env_values = true, help_heading = SESSIONS, default_value = "10m")]
    pub token_refresh_threshold: Option<String>,

    /// A grant without a session for this long is forgotten, at most `365d`.
    #[arg(long, env, hide_env_values = true, help_heading = SESSIONS, default_value = "14d")]
    pub grant_idle_limit: Option<String>,

    /// What happens to a person's sessions when the provider revokes their grant: `end-sessions` or `keep`.
    #[arg(long, env, hide_env_values = true, help_heading = SESSIONS, default_value = "end-sessions")]
    pub on_grant_revoked: Option<String>,

    /// Whether a person never seen before may sign in: `true` or `false`.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "true")]
    pub create_new_users: Option<String>,

    /// Whether guests of the tenant are refused: `true` or `false`.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "false")]
    pub block_guest_users: Option<String>,

    /// Claims that fill text columns of the user: `column=claim`, comma-separated.
    ///
    /// Columns: `display_name`, `given_name`, `family_name`, `email`, `job_title`, `department`.
    #[arg(long, env, hide_env_values = true, help_heading = USERS)]
    pub claim_mapping: Option<String>,

    /// Claims that fill yes/no columns of the user: `column=claim`, comma-separated.
    ///
    /// Columns: `is_external`.
    #[arg(long, env, hide_env_values = true, help_heading = USERS)]
    pub boolean_claim_mapping: Option<String>,

    /// Claim that lists a person's groups; `off` reads none.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "groups")]
    pub groups_claim: Option<String>,

    /// Whether the registration puts that claim into tokens: `true` or `false`.
    ///
    /// With `true`, somebody whose token has no such claim is in no group; where Microsoft Graph is used, it is asked
    /// first. With `false`, and without Graph, their groups are not known, and stay as they were for `GROUPS_KEEP_FOR`.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "true")]
    pub groups_claim_emitted: Option<String>,

    /// Groups that cannot be read stay as they were for this long since they last were read, at most `90d`.
    ///
    /// Then everybody whose groups are still not known is in none of them, and loses the roles that they gave.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "24h")]
    pub groups_keep_for: Option<String>,

    /// Whether groups are kept in the database: `true` or `false`.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "true")]
    pub mirror_groups: Option<String>,

    /// Roles that groups and app roles give: rules such as `Admin=admin`, comma-separated.
    ///
    /// `<GUID>=role` is about the group with this object ID and `<name>=role` about an app role; `group:<value>=role` and
    /// `approle:<value>=role` say so in words. `<tenant GUID>/` in front makes a rule count in that tenant alone. Groups
    /// and app roles are compared without case; roles are lower case.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "Admin=admin")]
    pub role_mapping: Option<String>,

    /// People who are granted `admin` when they sign in: `tenant ID/object ID`, comma-separated.
    ///
    /// For the first administrator, and for emergencies. With `OIDC_ISSUER` each is `issuer#subject`. Who is taken from
    /// the list loses that grant at the next start.
    #[arg(long, env, hide_env_values = true, help_heading = USERS)]
    pub admin_users: Option<String>,

    /// How often the directory is asked who changed, was disabled or deleted: `1s` to `1d`, or `off`.
    ///
    /// Needs the application permission `User.Read.All` of Microsoft Graph with admin consent, in each tenant. Who is
    /// disabled or deleted there is disabled here at once; who comes back is enabled again.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "off")]
    pub directory_sync_interval: Option<String>,

    /// Erase people who have not been here for this long, disabled or not: `1m` to `3650d`, or `off`.
    ///
    /// Everything stored about them goes, as with `server users delete`. Active administrators stay. The page
    /// `/admin/health` lists who would be erased next.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "off")]
    pub erase_users_after: Option<String>,

    /// Age of the sign-in with which roles are granted and revoked and users disabled or erased, at most `90d`; or `off`.
    ///
    /// With an older one the administrator signs in again and comes back to what they wanted to do. Age is counted
    /// from `auth_time` of the ID token; without it no sign-in is fresh, unless the person was asked to sign in anew
    /// (`prompt=login`). Entra sends it when `auth_time` is an optional claim of the app registration.
    #[arg(long, env, hide_env_values = true, help_heading = USERS, default_value = "1h")]
    pub admin_sign_in_max_age: Option<String>,

    /// Authentication context that these acts need besides: `c1` to `c99` of Entra's Conditional Access.
    ///
    /// With `OIDC_ISSUER` it is a value of `acr`. The administrator is sent through the step-up that it stands for.
    #[arg(long, env, hide_env_values = true, help_heading = USERS)]
    pub admin_auth_context: Option<String>,

    /// Audiences of access tokens for `/api`, comma-separated.
    ///
    /// Default: the client ID and `api://<client ID>`.
    #[arg(long, env, hide_env_values = true, help_heading = API)]
    pub api_audience: Option<String>,

    /// Scope that an access token on behalf of a person must have for `/api`, without the audience in front.
    #[arg(long, env, hide_env_values = true, help_heading = API, default_value = "access_as_user")]
    pub api_scope: Option<String>,

    /// Programs that may read people of every tenant through `/api`: `tenant ID/client ID`, comma-separated.
    ///
    /// Every other program with a token of its own reads the people of the tenant that issued the token.
    #[arg(long, env, hide_env_values = true, help_heading = API)]
    pub api_cross_tenant_apps: Option<String>,

    /// Requests that one caller may make on `/api`: a count and a time such as `600/1m`, or `off`.
    ///
    /// A caller is a person or a program; what brings no good access token counts by its address. More are answered with
    /// 429 and `Retry-After`. Default: `600/1m`; `off` when `PUBLIC_URL` is a loopback host.
    #[arg(long, env, hide_env_values = true, help_heading = API)]
    pub api_rate_limit: Option<String>,

    /// Time that one outgoing call may take, its repetitions included; at most `5m`.
    #[arg(long, env, hide_env_values = true, help_heading = OUTGOING, default_value = "10s")]
    pub http_timeout: Option<String>,

    /// Further tries of an outgoing call that may be repeated, `0` to `10`.
    #[arg(long, env, hide_env_values = true, help_heading = OUTGOING, default_value = "3")]
    pub http_retries: Option<String>,

    /// File with PEM certificates to trust besides the system's, for outgoing calls and PostgreSQL.
    #[arg(long, env, hide_env_values = true, help_heading = OUTGOING)]
    pub extra_ca_file: Option<String>,
}

/// Each field of some [`Settings`] with its name; a field left out does not compile.
macro_rules! fields {
    ($settings:expr; $($field:ident)*) => {{
        let Settings { $($field),* } = $settings;
        vec![$((stringify!($field).to_ascii_uppercase(), $field.as_deref())),*]
    }};
}

impl Settings {
    /// Settings from names and values alone, defaults added; other names are passed over. The process environment
    /// plays no part.
    ///
    /// # Errors
    /// A name that occurs twice.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, clap::Error> {
        let definitions = definitions();
        let flags = pairs.into_iter().filter_map(|(name, value)| {
            let definition = definitions.iter().find(|known| known.name == name.as_ref())?;
            Some(format!("--{}={}", definition.flag, value.as_ref()))
        });
        let command = command().no_binary_name(true).mut_args(|argument| argument.env(None));
        Self::from_arg_matches(&command.try_get_matches_from(flags)?)
    }

    /// Whether nothing says who signs people in: none of `ENTRA_TENANT_ID`, `ENTRA_CLIENT_ID`, `OIDC_ISSUER`.
    ///
    /// A debug build then starts the Entra emulator.
    #[must_use]
    pub fn name_no_provider(&self) -> bool {
        [&self.entra_tenant_id, &self.entra_client_id, &self.oidc_issuer]
            .into_iter()
            .all(|value| value.as_deref().is_none_or(|text| text.trim().is_empty()))
    }

    /// Name and value of each setting.
    pub(super) fn values(&self) -> Vec<(String, Option<&str>)> {
        fields!(self;
            public_url bind_addr metrics_addr trusted_proxies auth_rate_limit hsts_include_subdomains login_exempt_paths live_reload database_url
            database_url_file audit_retention audit_log
            entra_tenant_id entra_allowed_tenants entra_client_id entra_client_secret entra_client_secret_file
            entra_client_certificate_file entra_client_key_file entra_federated_token_file entra_authority graph_url
            entra_scopes entra_response_mode oidc_issuer clock_leeway session_idle_timeout session_absolute_timeout
            token_encryption_keys token_encryption_keys_file token_refresh_threshold grant_idle_limit on_grant_revoked create_new_users
            block_guest_users claim_mapping boolean_claim_mapping groups_claim groups_claim_emitted groups_keep_for
            mirror_groups role_mapping admin_users
            directory_sync_interval erase_users_after admin_sign_in_max_age admin_auth_context api_audience api_scope api_cross_tenant_apps api_rate_limit http_timeout http_retries extra_ca_file)
    }
}

/// Shows which settings are given, never their values.
impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values();
        let given = values.iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name);
        formatter.debug_set().entries(given).finish()
    }
}

/// What is known about one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Of the environment variable: `PUBLIC_URL`.
    pub name: String,
    /// Without the leading dashes: `public-url`.
    pub flag: String,
    /// Used when nothing is given; conditional defaults are in `help` alone.
    pub default: Option<String>,
    /// The heading under which it is documented.
    pub heading: String,
    /// Its meaning in one line.
    pub summary: String,
    /// Its whole documentation.
    pub help: String,
}

/// Every setting, in the order of the documentation.
#[must_use]
pub fn definitions() -> Vec<Definition> {
    command().get_arguments().filter_map(definition).collect()
}

fn command() -> Command {
    Settings::augment_args(Command::new("settings").disable_help_flag(true))
}

fn definition(argument: &Arg) -> Option<Definition> {
    let summary = argument.get_help().map(ToString::to_string).unwrap_or_default();
    Some(Definition {
        name: argument.get_env()?.to_str()?.to_owned(),
        flag: argument.get_long()?.to_owned(),
        default: argument.get_default_values().first().and_then(|value| value.to_str()).map(str::to_owned),
        heading: argument.get_help_heading().unwrap_or_default().to_owned(),
        help: argument.get_long_help().map_or_else(|| summary.clone(), ToString::to_string),
        summary,
    })
}
