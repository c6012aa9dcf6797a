//! From [`Settings`] to [`Config`]: every part is read before any is missed, so that all problems come at once.

use std::net::SocketAddr;
use std::time::Duration;

use entra::config::HttpConfig;
use entra::crypto::KeyRing;
use store::config::DatabaseConfig;

use super::build::Build;
use super::dotenv::Environment;
use super::parse::{self, DAY, MINUTE, SECOND};
use super::problems::{Problem, Problems};
use super::reader::Reader;
use super::settings::Settings;
use super::types::{
    AdminActsConfig, ApiConfig, Config, OnGrantRevoked, PublicUrl, RateLimit, RegistrationConfig, SessionConfig,
    SyncConfig, TokenConfig, is_behind_unnamed_proxy,
};
use super::{credential, database, dev_keys, names, provider, urls};
use crate::paths::CALLBACK;

const KEYS: &str = "TOKEN_ENCRYPTION_KEYS";
const KEYS_FILE: &str = "TOKEN_ENCRYPTION_KEYS_FILE";
const DATABASE_URL: &str = "DATABASE_URL";
const DATABASE_URL_FILE: &str = "DATABASE_URL_FILE";
const ONE_OF_THEM: &str = "only one of them can be used; keep one";

impl Settings {
    /// Everything that the server needs to know, for `build`; `environment` holds the names that are set.
    ///
    /// In dev mode this makes the development keys if there are none.
    ///
    /// # Errors
    /// All problems at once.
    pub fn validate(&self, build: &Build, environment: &Environment) -> Result<Config, Problems> {
        let config = self.read(environment, |reader| config(reader, build));
        config.map_err(|problems| problems.with_advice(set_up_advice(self)))
    }

    /// The database and whom its certificate is checked against, for `server migrate`: it needs no provider and no
    /// keys.
    ///
    /// # Errors
    /// As [`Settings::validate`].
    pub fn validate_database(
        &self,
        build: &Build,
        environment: &Environment,
    ) -> Result<(DatabaseConfig, HttpConfig), Problems> {
        self.read(environment, |reader| {
            let database = database_config(reader, build);
            let http = http(reader);
            database.zip(http)
        })
    }

    /// What the registration with Entra has to say, for `server entra-setup`: there is none yet.
    ///
    /// # Errors
    /// As [`Settings::validate`].
    pub fn validate_registration(
        &self,
        build: &Build,
        environment: &Environment,
    ) -> Result<RegistrationConfig, Problems> {
        self.read(environment, |reader| {
            let public_url = public_url(reader);
            let registration = provider::registration(reader, build);
            let directory_sync = directory_sync_interval(reader, build);
            let (accounts, scopes) = registration?;
            let directory_sync = directory_sync?.is_some();
            Some(RegistrationConfig { public_url: public_url?, accounts, scopes, directory_sync })
        })
    }

    /// `BIND_ADDR` alone, for asking the server that listens there.
    ///
    /// # Errors
    /// As [`Settings::validate`].
    pub fn validate_bind_addr(&self, environment: &Environment) -> Result<SocketAddr, Problems> {
        self.read(environment, |reader| reader.parse("BIND_ADDR", parse::socket_address))
    }

    /// What is allowed but probably not meant.
    #[must_use]
    pub fn warnings(&self, build: &Build, environment: &Environment) -> Vec<Problem> {
        let mut reader = Reader::new(self, Vec::new());
        let mut warnings = names::near_misses(&environment.names);
        warnings.extend(without_effect(&reader, build));
        warnings.extend(trusts_everyone(&reader));
        warnings.extend(rules_of_strangers(&mut reader, build));
        warnings.extend(sees_only_the_proxy(&mut reader));
        warnings.extend(exposes_database(&mut reader, build));
        warnings
    }

    fn read<T>(
        &self,
        environment: &Environment,
        read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Result<T, Problems> {
        let mut problems = environment.problems.clone();
        problems.extend(names::unknown(&environment.names));
        let mut reader = Reader::new(self, problems);
        let value = read(&mut reader);
        reader.finish(value)
    }
}

fn config(reader: &mut Reader<'_>, build: &Build) -> Option<Config> {
    let public_url = public_url(reader);
    let bind_addr = reader.parse("BIND_ADDR", parse::socket_address);
    let metrics_addr = metrics_addr(reader);
    let trusted_proxies = reader.list("TRUSTED_PROXIES", parse::networks);
    let auth_rate_limit = rate_limit(reader, "AUTH_RATE_LIMIT", 60, public_url.as_ref());
    let hsts_include_subdomains = reader.boolean("HSTS_INCLUDE_SUBDOMAINS");
    let login_exempt_paths = reader.list("LOGIN_EXEMPT_PATHS", parse::exempt_paths);
    let live_reload = reader.boolean("LIVE_RELOAD");
    let database = database_config(reader, build);
    let audit_retention = reader.duration("AUDIT_RETENTION", SECOND..=DAY * 3650);
    let audit_log = reader.choice("AUDIT_LOG", &[("off", false), ("stderr", true)]);
    let provider = provider::read(reader, build);
    let graph_url = reader.parse("GRAPH_URL", urls::graph_url);
    let api = api(reader);
    let api_rate_limit = rate_limit(reader, "API_RATE_LIMIT", 600, public_url.as_ref());
    let session = session(reader);
    let tokens = tokens(reader, build);
    let sync = sync(reader);
    let directory_sync_interval = directory_sync_interval(reader, build);
    let erase_users_after = reader.parse("ERASE_USERS_AFTER", |text| parse::duration_or_off(text, MINUTE..=DAY * 3650));
    let admin_acts = admin_acts(reader);
    let http = http(reader);
    let has_graph = build.graph && !provider::is_generic(reader);
    Some(Config {
        public_url: public_url?,
        bind_addr: bind_addr?,
        metrics_addr: metrics_addr?,
        database: database?,
        provider: provider?,
        graph_url: graph_url.filter(|_| has_graph),
        api: api.filter(|_| build.api),
        session: session?,
        tokens: tokens?,
        sync: sync?,
        directory_sync_interval: directory_sync_interval?,
        erase_users_after: erase_users_after?,
        admin_acts: admin_acts?,
        http: http?,
        auth_rate_limit: auth_rate_limit?,
        api_rate_limit: api_rate_limit?,
        hsts_include_subdomains: hsts_include_subdomains?,
        audit_retention: audit_retention?,
        audit_log: audit_log?,
        login_exempt_paths: login_exempt_paths?,
        live_reload: live_reload? && cfg!(debug_assertions),
        trusted_proxies: trusted_proxies?,
    })
}

fn public_url(reader: &mut Reader<'_>) -> Option<PublicUrl> {
    let public_url = reader.parse("PUBLIC_URL", urls::public_url)?;
    if !provider::is_generic(reader) {
        reader.parse("PUBLIC_URL", |_| urls::check_redirect_uri(&public_url))?;
    }
    Some(public_url)
}

/// Never the public listener: what is counted is not for everybody.
fn metrics_addr(reader: &mut Reader<'_>) -> Option<Option<SocketAddr>> {
    if reader.given("METRICS_ADDR").is_none() {
        return Some(None);
    }
    let address = reader.parse("METRICS_ADDR", parse::socket_address)?;
    if reader.text("BIND_ADDR").is_some_and(|public| public == address.to_string()) {
        return reader.refuse(["METRICS_ADDR", "BIND_ADDR"], "must differ: metrics are not for the public");
    }
    Some(Some(address))
}

/// Off by default on a developer's machine, where everything comes from one address.
fn rate_limit(
    reader: &mut Reader<'_>,
    name: &str,
    a_minute: u32,
    public_url: Option<&PublicUrl>,
) -> Option<Option<RateLimit>> {
    if reader.given(name).is_some() {
        return reader.parse(name, parse::rate_limit);
    }
    let is_local = public_url.is_some_and(|public_url| entra::http::is_loopback(public_url.url().host()));
    Some((!is_local).then_some(RateLimit { count: a_minute, per: MINUTE }))
}

fn database_config(reader: &mut Reader<'_>, build: &Build) -> Option<DatabaseConfig> {
    let parse = |text: &str| database::parse(text, build.database);
    match (reader.given(DATABASE_URL), reader.given(DATABASE_URL_FILE)) {
        (Some(_), Some(_)) => reader.refuse([DATABASE_URL, DATABASE_URL_FILE], ONE_OF_THEM),
        (None, Some(_)) => reader.parse(DATABASE_URL_FILE, |path| parse(&credential::read_text(path)?)),
        (Some(_), None) => reader.parse(DATABASE_URL, parse),
        (None, None) => match database::default_url(build.database) {
            Some(url) => parse(url).map_or_else(|refusal| reader.refuse([DATABASE_URL], refusal), Some),
            None => reader.refuse([DATABASE_URL], "missing; write postgres://user:password@host/name"),
        },
    }
}

fn session(reader: &mut Reader<'_>) -> Option<SessionConfig> {
    const NAMES: [&str; 2] = ["SESSION_IDLE_TIMEOUT", "SESSION_ABSOLUTE_TIMEOUT"];
    let [idle_timeout, absolute_timeout] = NAMES.map(|name| reader.duration(name, SECOND..=DAY * 90));
    let (idle_timeout, absolute_timeout) = (idle_timeout?, absolute_timeout?);
    if idle_timeout > absolute_timeout {
        return reader.refuse(NAMES, "the idle time-out must not be longer than the absolute one");
    }
    Some(SessionConfig { idle_timeout, absolute_timeout })
}

fn tokens(reader: &mut Reader<'_>, build: &Build) -> Option<TokenConfig> {
    let keys = keys(reader, build);
    let refresh_threshold = reader.duration("TOKEN_REFRESH_THRESHOLD", SECOND..=DAY);
    let grant_idle_limit = reader.duration("GRANT_IDLE_LIMIT", SECOND..=DAY * 365);
    let on_grant_revoked = reader
        .choice("ON_GRANT_REVOKED", &[("end-sessions", OnGrantRevoked::EndSessions), ("keep", OnGrantRevoked::Keep)]);
    Some(TokenConfig {
        keys: keys?,
        refresh_threshold: refresh_threshold?,
        grant_idle_limit: grant_idle_limit?,
        on_grant_revoked: on_grant_revoked?,
    })
}

fn keys(reader: &mut Reader<'_>, build: &Build) -> Option<KeyRing> {
    match (reader.given(KEYS), reader.given(KEYS_FILE)) {
        (Some(_), Some(_)) => reader.refuse([KEYS, KEYS_FILE], ONE_OF_THEM),
        (None, Some(_)) => reader.parse(KEYS_FILE, |path| parse::keys(&credential::read_text(path)?)),
        (Some(_), None) => reader.parse(KEYS, parse::keys),
        (None, None) if build.dev => {
            dev_keys::load_or_create(&build.dev_keys).map_or_else(|refusal| reader.refuse([KEYS], refusal), Some)
        }
        (None, None) => reader.refuse([KEYS], "missing; `server keys new` prints a key"),
    }
}

fn sync(reader: &mut Reader<'_>) -> Option<SyncConfig> {
    let create_new_users = reader.boolean("CREATE_NEW_USERS");
    let block_guest_users = reader.boolean("BLOCK_GUEST_USERS");
    let claim_mapping = reader.list("CLAIM_MAPPING", parse::claim_mapping);
    let boolean_claim_mapping = reader.list("BOOLEAN_CLAIM_MAPPING", parse::boolean_claim_mapping);
    let groups_claim = reader.parse("GROUPS_CLAIM", parse::groups_claim);
    let groups_claim_emitted = reader.boolean("GROUPS_CLAIM_EMITTED");
    let groups_keep_for = reader.duration("GROUPS_KEEP_FOR", Duration::ZERO..=DAY * 90);
    let mirror_groups = reader.boolean("MIRROR_GROUPS");
    let role_mapping = reader.list("ROLE_MAPPING", parse::role_mapping);
    let admin_users = provider::admin_users(reader);
    Some(SyncConfig {
        create_new_users: create_new_users?,
        block_guest_users: block_guest_users?,
        claim_mapping: claim_mapping?,
        boolean_claim_mapping: boolean_claim_mapping?,
        groups_claim: groups_claim?,
        groups_claim_emitted: groups_claim_emitted?,
        groups_keep_for: groups_keep_for?,
        mirror_groups: mirror_groups?,
        role_mapping: role_mapping?,
        admin_users: admin_users?,
    })
}

fn directory_sync_interval(reader: &mut Reader<'_>, build: &Build) -> Option<Option<Duration>> {
    const NAME: &str = "DIRECTORY_SYNC_INTERVAL";
    let interval = reader.parse(NAME, |text| parse::duration_or_off(text, SECOND..=DAY))?;
    if interval.is_some() && provider::is_generic(reader) {
        return reader.refuse([NAME, "OIDC_ISSUER"], "only a directory of Microsoft Entra ID can be asked for changes");
    }
    if interval.is_some() && !build.graph {
        return reader.refuse([NAME], "this application is built without Microsoft Graph; write off");
    }
    Some(interval)
}

fn admin_acts(reader: &mut Reader<'_>) -> Option<AdminActsConfig> {
    const CONTEXT: &str = "ADMIN_AUTH_CONTEXT";
    let sign_in_max_age = reader.parse("ADMIN_SIGN_IN_MAX_AGE", |text| parse::duration_or_off(text, SECOND..=DAY * 90));
    let is_generic = provider::is_generic(reader);
    let auth_context = match reader.given(CONTEXT) {
        Some(_) => reader.parse(CONTEXT, |text| parse::auth_context(text, is_generic)).map(Some),
        None => Some(None),
    };
    Some(AdminActsConfig { sign_in_max_age: sign_in_max_age?, auth_context: auth_context? })
}

fn api(reader: &mut Reader<'_>) -> Option<ApiConfig> {
    let client_id = reader.text("ENTRA_CLIENT_ID").unwrap_or_default();
    let audiences = reader.list("API_AUDIENCE", |text| parse::entries(text, parse::audience));
    let scope = reader.parse("API_SCOPE", parse::scope);
    let cross_tenant_apps = reader.list("API_CROSS_TENANT_APPS", parse::tenant_apps);
    let audiences = match audiences? {
        given if given.is_empty() => vec![client_id.clone(), format!("api://{client_id}")],
        given => given,
    };
    Some(ApiConfig { audiences, scope: scope?, cross_tenant_apps: cross_tenant_apps? })
}

fn http(reader: &mut Reader<'_>) -> Option<HttpConfig> {
    const CA_FILE: &str = "EXTRA_CA_FILE";
    let timeout = reader.duration("HTTP_TIMEOUT", SECOND..=MINUTE * 5);
    let retries = reader.parse("HTTP_RETRIES", |text| parse::number(text, 0..=10));
    let extra_ca_file = match reader.given(CA_FILE) {
        Some(_) => reader.parse(CA_FILE, credential::ca_file).map(Some),
        None => Some(None),
    };
    Some(HttpConfig { timeout: timeout?, retries: retries?, extra_ca_file: extra_ca_file? })
}

/// Settings that are given where they are not used.
fn without_effect(reader: &Reader<'_>, build: &Build) -> Vec<Problem> {
    let generic: &[&str] = if provider::is_generic(reader) { &["ENTRA_AUTHORITY", "GRAPH_URL"] } else { &[] };
    let graphless: &[&str] = if build.graph || !generic.is_empty() { &[] } else { &["GRAPH_URL"] };
    let without_api: &[&str] =
        if build.api { &[] } else { &["API_AUDIENCE", "API_CROSS_TENANT_APPS", "API_RATE_LIMIT", "API_SCOPE"] };
    let release: &[&str] = if cfg!(debug_assertions) { &[] } else { &["LIVE_RELOAD"] };
    let given =
        generic.iter().chain(graphless).chain(without_api).chain(release).filter(|name| reader.given(name).is_some());
    given.map(|name| Problem::new([*name], "has no effect here")).collect()
}

/// A trusted network that holds every address lets anyone choose the address they are seen with.
fn trusts_everyone(reader: &Reader<'_>) -> Option<Problem> {
    let networks = parse::networks(reader.given("TRUSTED_PROXIES")?).ok()?;
    let text = "trusts every address, so that anyone can forge the one they are seen with";
    networks.iter().any(|network| network.prefix_len() == 0).then(|| Problem::new(["TRUSTED_PROXIES"], text))
}

/// Rules that no person can fit: of a tenant whose people cannot sign in.
fn rules_of_strangers(reader: &mut Reader<'_>, build: &Build) -> Option<Problem> {
    let rules = parse::role_mapping(reader.given("ROLE_MAPPING")?).ok()?;
    let kind = provider::read(reader, build)?.kind;
    let is_stranger = |tenant: &str| !kind.tenants().iter().any(|known| known == tenant);
    let rule = rules.iter().find(|rule| rule.condition.tenant().is_some_and(is_stranger))?;
    Some(Problem::new(["ROLE_MAPPING"], format!("{rule} is about a tenant whose people cannot sign in here")))
}

/// Whoever is behind a proxy that is not named has its address, and all share one allowance.
fn sees_only_the_proxy(reader: &mut Reader<'_>) -> Option<Problem> {
    let public_url = reader.text("PUBLIC_URL").and_then(|text| urls::public_url(&text).ok())?;
    let bind_addr = reader.parse("BIND_ADDR", parse::socket_address)?;
    let proxies = reader.list("TRUSTED_PROXIES", parse::networks)?;
    let text = "nothing is trusted, so that everybody has the address of the proxy in front: one rate limit for all \
                of them, and no client addresses in the audit log; name the networks of your proxies";
    is_behind_unnamed_proxy(&public_url, bind_addr.ip(), &proxies).then(|| Problem::new(["TRUSTED_PROXIES"], text))
}

fn exposes_database(reader: &mut Reader<'_>, build: &Build) -> Option<Problem> {
    let exposed = database_config(reader, build).is_some_and(|config| database::is_exposed(&config));
    exposed
        .then(|| Problem::new(["DATABASE_URL"], "sslmode=disable sends passwords and data in clear over the network"))
}

/// How to register the application, for a start that names no provider at all.
fn set_up_advice(settings: &Settings) -> Option<String> {
    let reader = Reader::new(settings, Vec::new());
    let public_url = reader.text("PUBLIC_URL").and_then(|text| urls::public_url(&text).ok());
    let redirect_uri = public_url.map_or_else(|| format!("PUBLIC_URL{}", CALLBACK), |url| url.with_path(CALLBACK));
    settings.name_no_provider().then(|| {
        format!(
            "To let people sign in with Microsoft Entra ID:\n\
             1. Open https://entra.microsoft.com, Entra ID > App registrations > New registration.\n\
             2. Add a platform of type Web with the redirect URI {redirect_uri}\n\
             3. Copy from its Overview: Directory (tenant) ID to ENTRA_TENANT_ID, Application (client) ID to \
             ENTRA_CLIENT_ID.\n\
             4. Under Certificates & secrets make a client secret; its Value goes to ENTRA_CLIENT_SECRET.\n\
             5. Put what `server keys new` prints into TOKEN_ENCRYPTION_KEYS.\n\
             For another OpenID Provider set OIDC_ISSUER instead of ENTRA_TENANT_ID. docs/settings.md lists all settings."
        )
    })
}
