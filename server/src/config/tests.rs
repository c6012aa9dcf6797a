//! Each setting missing, mistyped, unknown or in an impossible pair names exactly the variable; nothing echoes a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args as _, Command};
use entra::crypto::KeyRing;
use ring::signature::{KeyPair as _, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use secrecy::ExposeSecret as _;
use url::Url;

use super::reference::{env_example, settings_reference};
use super::settings::definitions;
use super::*;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const OTHER_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
const CLIENT: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const RING: &str = "2026-11:ERERERERERERERERERERERERERERERERERERERERESI=";
const ISSUER: &str = "https://accounts.example.com/realms/main";

/// What a production start needs at least.
const MINIMUM: [(&str, &str); 4] = [
    ("ENTRA_TENANT_ID", TENANT),
    ("ENTRA_CLIENT_ID", CLIENT),
    ("ENTRA_CLIENT_SECRET", "s3cr3t-value"),
    ("TOKEN_ENCRYPTION_KEYS", RING),
];

/// What turns the minimum into a start with another provider.
const GENERIC: [(&str, &str); 2] = [("OIDC_ISSUER", ISSUER), ("ENTRA_TENANT_ID", "")];

fn release() -> Build {
    Build {
        database: Database::Sqlite,
        dev: false,
        graph: true,
        api: true,
        tenancy: Tenancy::Single,
        dev_keys: PathBuf::from("/nonexistent/dev-keys"),
    }
}

/// The minimum with `changes`, the later ones counting.
fn settings(changes: &[(&str, &str)]) -> Settings {
    let pairs: BTreeMap<&str, &str> = MINIMUM.iter().chain(changes).copied().collect();
    Settings::from_pairs(pairs).expect("names occur once")
}

fn validate(changes: &[(&str, &str)]) -> Result<Config, Problems> {
    settings(changes).validate(&release(), &Environment::default())
}

fn accept(changes: &[(&str, &str)]) -> Config {
    validate(changes).unwrap_or_else(|problems| panic!("{changes:?}: {problems}"))
}

/// The names of each problem of `result`.
fn refused(result: Result<Config, Problems>) -> Vec<Vec<String>> {
    let problems = result.expect_err("refused");
    problems.list().iter().map(|problem| problem.names().to_vec()).collect()
}

fn generic(changes: &[Pair]) -> Vec<Pair> {
    GENERIC.iter().chain(changes).copied().collect()
}

/// A folder of its own for a test, removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(entra::crypto::random_token().expect("randomness"));
        fs::create_dir(&path).expect("a folder");
        Self(path)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).expect("writes");
        path.to_str().expect("UTF-8").to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_minimum_is_enough_and_the_defaults_are_the_documented_ones() {
    let config = accept(&[]);
    assert_eq!(config.public_url.origin(), "http://localhost:3000");
    assert_eq!(config.bind_addr.to_string(), "127.0.0.1:3000");
    assert_eq!(config.database, DatabaseConfig::Sqlite { path: PathBuf::from("data/app.db") });
    let authority = "https://login.microsoftonline.com".to_owned();
    let tenant = Tenant::Single(TENANT.to_owned());
    assert_eq!(config.provider.kind, ProviderKind::Entra { authority, tenant });
    assert_eq!(config.provider.client_id, CLIENT);
    assert_eq!(config.provider.scopes.join(" "), "openid profile email offline_access User.Read");
    assert_eq!(config.provider.response_mode, ResponseMode::Query);
    assert_eq!(config.provider.clock_leeway, Duration::from_secs(120));
    assert_eq!(config.graph_url.expect("Graph").as_str(), "https://graph.microsoft.com/");
    assert_eq!(config.session.idle_timeout, Duration::from_secs(30 * 60));
    assert_eq!(config.session.absolute_timeout, Duration::from_secs(8 * 60 * 60));
    assert_eq!(config.tokens.keys.current_id(), "2026-11");
    assert_eq!(config.tokens.refresh_threshold, Duration::from_secs(10 * 60));
    assert_eq!(config.tokens.grant_idle_limit, Duration::from_secs(14 * 24 * 60 * 60));
    assert_eq!(config.tokens.on_grant_revoked, OnGrantRevoked::EndSessions);
    assert_eq!(config.http.timeout, Duration::from_secs(10));
    assert_eq!(config.http.retries, 3);
    assert_eq!(config.http.extra_ca_file, None);
    assert_eq!(config.auth_rate_limit, None);
    assert_eq!(config.audit_retention, Duration::from_secs(365 * 24 * 60 * 60));
    assert!(config.login_exempt_paths.is_empty() && config.trusted_proxies.is_empty());
    assert!(config.sync.create_new_users && !config.sync.block_guest_users && config.sync.mirror_groups);
    assert_eq!(config.sync.groups_claim, "groups");
    assert_eq!(config.sync.role_mapping, [RoleRule::parse("Admin", "admin").expect("a rule")]);
    assert!(config.sync.claim_mapping.is_empty() && config.sync.boolean_claim_mapping.is_empty());
    assert!(config.sync.admin_users.is_empty());
}

/// Name and value.
type Pair = (&'static str, &'static str);

/// A bad value, and the variables that the one problem names.
const REFUSED: &[(&[Pair], &[&str])] = &[
    (&[("PUBLIC_URL", "app.example.com")], &["PUBLIC_URL"]),
    (&[("PUBLIC_URL", "http://app.example.com")], &["PUBLIC_URL"]),
    (&[("PUBLIC_URL", "http://localhost.example.com")], &["PUBLIC_URL"]),
    (&[("PUBLIC_URL", "http://128.0.0.1")], &["PUBLIC_URL"]),
    (&[("PUBLIC_URL", "https://app.example.com/base")], &["PUBLIC_URL"]),
    (&[("PUBLIC_URL", "https://app.example.com/?a=b")], &["PUBLIC_URL"]),
    (&[("PUBLIC_URL", "https://app.example.com/#top")], &["PUBLIC_URL"]),
    (&[("PUBLIC_URL", "https://user@app.example.com")], &["PUBLIC_URL"]),
    (&[("PUBLIC_URL", "ftp://app.example.com")], &["PUBLIC_URL"]),
    (&[("BIND_ADDR", "localhost:3000")], &["BIND_ADDR"]),
    (&[("BIND_ADDR", "127.0.0.1")], &["BIND_ADDR"]),
    (&[("BIND_ADDR", ":3000")], &["BIND_ADDR"]),
    (&[("METRICS_ADDR", "9464")], &["METRICS_ADDR"]),
    (&[("METRICS_ADDR", "127.0.0.1:3000"), ("BIND_ADDR", "127.0.0.1:3000")], &["METRICS_ADDR", "BIND_ADDR"]),
    (&[("TRUSTED_PROXIES", "10.0.0.0/33")], &["TRUSTED_PROXIES"]),
    (&[("TRUSTED_PROXIES", "10.0.0.1, proxy.example.com")], &["TRUSTED_PROXIES"]),
    (&[("AUTH_RATE_LIMIT", "60")], &["AUTH_RATE_LIMIT"]),
    (&[("AUTH_RATE_LIMIT", "60/1")], &["AUTH_RATE_LIMIT"]),
    (&[("AUTH_RATE_LIMIT", "0/1m")], &["AUTH_RATE_LIMIT"]),
    (&[("AUTH_RATE_LIMIT", "60/0s")], &["AUTH_RATE_LIMIT"]),
    (&[("AUTH_RATE_LIMIT", "none")], &["AUTH_RATE_LIMIT"]),
    (&[("API_RATE_LIMIT", "600")], &["API_RATE_LIMIT"]),
    (&[("HSTS_INCLUDE_SUBDOMAINS", "some")], &["HSTS_INCLUDE_SUBDOMAINS"]),
    (&[("LOGIN_EXEMPT_PATHS", "docs")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LOGIN_EXEMPT_PATHS", "/")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LOGIN_EXEMPT_PATHS", "/docs/../admin")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LOGIN_EXEMPT_PATHS", "/docs//x")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LOGIN_EXEMPT_PATHS", "//docs")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LOGIN_EXEMPT_PATHS", "/docs?x=1")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LOGIN_EXEMPT_PATHS", "/docs%2fx")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LOGIN_EXEMPT_PATHS", "/docs/*")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LOGIN_EXEMPT_PATHS", "/docs,/admin/users")], &["LOGIN_EXEMPT_PATHS"]),
    (&[("LIVE_RELOAD", "1")], &["LIVE_RELOAD"]),
    (&[("DATABASE_URL", "sqlite::memory:")], &["DATABASE_URL"]),
    (&[("DATABASE_URL_FILE", "/nowhere")], &["DATABASE_URL_FILE"]),
    (&[("DATABASE_URL", "sqlite://:memory:")], &["DATABASE_URL"]),
    (&[("DATABASE_URL", "sqlite:data/app.db")], &["DATABASE_URL"]),
    (&[("DATABASE_URL", "sqlite://")], &["DATABASE_URL"]),
    (&[("DATABASE_URL", "sqlite://data/")], &["DATABASE_URL"]),
    (&[("DATABASE_URL", "sqlite://data/app.db?mode=rwc")], &["DATABASE_URL"]),
    (&[("DATABASE_URL", "data/app.db")], &["DATABASE_URL"]),
    (&[("DATABASE_URL", "mysql://db/app")], &["DATABASE_URL"]),
    (&[("DATABASE_URL", "postgres://db/app")], &["DATABASE_URL"]),
    (&[("AUDIT_RETENTION", "365")], &["AUDIT_RETENTION"]),
    (&[("AUDIT_RETENTION", "3651d")], &["AUDIT_RETENTION"]),
    (&[("AUDIT_LOG", "stdout")], &["AUDIT_LOG"]),
    (&[("ENTRA_TENANT_ID", "contoso.onmicrosoft.com")], &["ENTRA_TENANT_ID"]),
    (&[("ENTRA_TENANT_ID", "consumers")], &["ENTRA_TENANT_ID"]),
    (&[("ENTRA_TENANT_ID", "72f988bf86f141af91ab2d7cd011db47")], &["ENTRA_TENANT_ID"]),
    (&[("ENTRA_TENANT_ID", "organizations")], &["ENTRA_ALLOWED_TENANTS"]),
    (&[("ENTRA_TENANT_ID", "common"), ("ENTRA_ALLOWED_TENANTS", ",")], &["ENTRA_ALLOWED_TENANTS"]),
    (&[("ENTRA_TENANT_ID", "common"), ("ENTRA_ALLOWED_TENANTS", "contoso")], &["ENTRA_ALLOWED_TENANTS"]),
    (&[("ENTRA_ALLOWED_TENANTS", OTHER_TENANT)], &["ENTRA_TENANT_ID", "ENTRA_ALLOWED_TENANTS"]),
    (&[("ENTRA_CLIENT_ID", "my-app")], &["ENTRA_CLIENT_ID"]),
    (&[("ENTRA_CLIENT_SECRET", "change-me")], &["ENTRA_CLIENT_SECRET"]),
    (&[("ENTRA_CLIENT_SECRET", "<client secret>")], &["ENTRA_CLIENT_SECRET"]),
    (&[("ENTRA_CLIENT_SECRET_FILE", "/x")], &["ENTRA_CLIENT_SECRET", "ENTRA_CLIENT_SECRET_FILE"]),
    (&[("ENTRA_FEDERATED_TOKEN_FILE", "/x")], &["ENTRA_CLIENT_SECRET", "ENTRA_FEDERATED_TOKEN_FILE"]),
    (
        &[("ENTRA_CLIENT_CERTIFICATE_FILE", "/x"), ("ENTRA_CLIENT_KEY_FILE", "/y")],
        &["ENTRA_CLIENT_SECRET", "ENTRA_CLIENT_CERTIFICATE_FILE", "ENTRA_CLIENT_KEY_FILE"],
    ),
    (
        &[("ENTRA_CLIENT_SECRET", ""), ("ENTRA_CLIENT_CERTIFICATE_FILE", "/x")],
        &["ENTRA_CLIENT_CERTIFICATE_FILE", "ENTRA_CLIENT_KEY_FILE"],
    ),
    (
        &[("ENTRA_CLIENT_SECRET", ""), ("ENTRA_CLIENT_KEY_FILE", "/x")],
        &["ENTRA_CLIENT_CERTIFICATE_FILE", "ENTRA_CLIENT_KEY_FILE"],
    ),
    (
        &[("ENTRA_CLIENT_SECRET", ""), ("ENTRA_CLIENT_SECRET_FILE", "/nonexistent/secret")],
        &["ENTRA_CLIENT_SECRET_FILE"],
    ),
    (
        &[("ENTRA_CLIENT_SECRET", ""), ("ENTRA_FEDERATED_TOKEN_FILE", "/nonexistent/token")],
        &["ENTRA_FEDERATED_TOKEN_FILE"],
    ),
    (&[("ENTRA_AUTHORITY", "http://login.example.com")], &["ENTRA_AUTHORITY"]),
    (&[("ENTRA_AUTHORITY", "login.microsoftonline.com")], &["ENTRA_AUTHORITY"]),
    (&[("ENTRA_AUTHORITY", "https://login.microsoftonline.com/common")], &["ENTRA_AUTHORITY"]),
    (
        &[("ENTRA_AUTHORITY", "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0")],
        &["ENTRA_AUTHORITY"],
    ),
    (&[("GRAPH_URL", "http://graph.example.com")], &["GRAPH_URL"]),
    (&[("GRAPH_URL", "https://graph.microsoft.com/v1.0/")], &["GRAPH_URL"]),
    (&[("GRAPH_URL", "https://user:password@graph.microsoft.com")], &["GRAPH_URL"]),
    (&[("ENTRA_SCOPES", "profile email")], &["ENTRA_SCOPES"]),
    (&[("ENTRA_SCOPES", "openid,profile")], &["ENTRA_SCOPES"]),
    (&[("ENTRA_SCOPES", "openid \"profile\"")], &["ENTRA_SCOPES"]),
    (&[("ENTRA_RESPONSE_MODE", "fragment")], &["ENTRA_RESPONSE_MODE"]),
    (&[("OIDC_ISSUER", ISSUER)], &["OIDC_ISSUER", "ENTRA_TENANT_ID"]),
    (&[GENERIC[0], GENERIC[1], ("ENTRA_ALLOWED_TENANTS", TENANT)], &["OIDC_ISSUER", "ENTRA_ALLOWED_TENANTS"]),
    (&[GENERIC[1], ("OIDC_ISSUER", "http://accounts.example.com")], &["OIDC_ISSUER"]),
    (&[GENERIC[1], ("OIDC_ISSUER", "https://accounts.example.com?x=1")], &["OIDC_ISSUER"]),
    (&[GENERIC[0], GENERIC[1], ("ENTRA_CLIENT_ID", "my app")], &["ENTRA_CLIENT_ID"]),
    (&[("CLOCK_LEEWAY", "301s")], &["CLOCK_LEEWAY"]),
    (&[("CLOCK_LEEWAY", "120")], &["CLOCK_LEEWAY"]),
    (&[("SESSION_IDLE_TIMEOUT", "30")], &["SESSION_IDLE_TIMEOUT"]),
    (&[("SESSION_IDLE_TIMEOUT", "0m")], &["SESSION_IDLE_TIMEOUT"]),
    (&[("SESSION_IDLE_TIMEOUT", "-5m")], &["SESSION_IDLE_TIMEOUT"]),
    (&[("SESSION_IDLE_TIMEOUT", "+5m")], &["SESSION_IDLE_TIMEOUT"]),
    (&[("SESSION_IDLE_TIMEOUT", "1.5h")], &["SESSION_IDLE_TIMEOUT"]),
    (&[("SESSION_IDLE_TIMEOUT", "m")], &["SESSION_IDLE_TIMEOUT"]),
    (&[("SESSION_IDLE_TIMEOUT", "99999999999999999999d")], &["SESSION_IDLE_TIMEOUT"]),
    (&[("SESSION_IDLE_TIMEOUT", "18446744073709551615d")], &["SESSION_IDLE_TIMEOUT"]),
    (&[("SESSION_ABSOLUTE_TIMEOUT", "91d")], &["SESSION_ABSOLUTE_TIMEOUT"]),
    (&[("SESSION_ABSOLUTE_TIMEOUT", "1 day")], &["SESSION_ABSOLUTE_TIMEOUT"]),
    (&[("SESSION_IDLE_TIMEOUT", "9h")], &["SESSION_IDLE_TIMEOUT", "SESSION_ABSOLUTE_TIMEOUT"]),
    (&[("TOKEN_ENCRYPTION_KEYS", "change-me")], &["TOKEN_ENCRYPTION_KEYS"]),
    (&[("TOKEN_ENCRYPTION_KEYS", ""), ("TOKEN_ENCRYPTION_KEYS_FILE", "/nowhere")], &["TOKEN_ENCRYPTION_KEYS_FILE"]),
    (&[("TOKEN_ENCRYPTION_KEYS", "k1:change-me")], &["TOKEN_ENCRYPTION_KEYS"]),
    (&[("TOKEN_ENCRYPTION_KEYS", "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")], &["TOKEN_ENCRYPTION_KEYS"]),
    (&[("TOKEN_REFRESH_THRESHOLD", "25h")], &["TOKEN_REFRESH_THRESHOLD"]),
    (&[("TOKEN_REFRESH_THRESHOLD", "ten minutes")], &["TOKEN_REFRESH_THRESHOLD"]),
    (&[("GRANT_IDLE_LIMIT", "14")], &["GRANT_IDLE_LIMIT"]),
    (&[("ON_GRANT_REVOKED", "ignore")], &["ON_GRANT_REVOKED"]),
    (&[("CREATE_NEW_USERS", "maybe")], &["CREATE_NEW_USERS"]),
    (&[("BLOCK_GUEST_USERS", "1")], &["BLOCK_GUEST_USERS"]),
    (&[("MIRROR_GROUPS", "yes")], &["MIRROR_GROUPS"]),
    (&[("CLAIM_MAPPING", "shoe_size=shoe")], &["CLAIM_MAPPING"]),
    (&[("CLAIM_MAPPING", "email")], &["CLAIM_MAPPING"]),
    (&[("CLAIM_MAPPING", "email=")], &["CLAIM_MAPPING"]),
    (&[("CLAIM_MAPPING", "email=mail,email=upn")], &["CLAIM_MAPPING"]),
    (&[("BOOLEAN_CLAIM_MAPPING", "email=mail")], &["BOOLEAN_CLAIM_MAPPING"]),
    (&[("GROUPS_CLAIM", "my groups")], &["GROUPS_CLAIM"]),
    (&[("GROUPS_CLAIM_EMITTED", "often")], &["GROUPS_CLAIM_EMITTED"]),
    (&[("GROUPS_KEEP_FOR", "91d")], &["GROUPS_KEEP_FOR"]),
    (&[("ROLE_MAPPING", "Admin")], &["ROLE_MAPPING"]),
    (&[("ROLE_MAPPING", "Admin=admin,group:=staff")], &["ROLE_MAPPING"]),
    (&[("ROLE_MAPPING", "Admin=Admin")], &["ROLE_MAPPING"]),
    (&[("ROLE_MAPPING", "=admin")], &["ROLE_MAPPING"]),
    (&[("ROLE_MAPPING", "Admin=")], &["ROLE_MAPPING"]),
    (&[("API_AUDIENCE", "api://one two")], &["API_AUDIENCE"]),
    (&[("API_SCOPE", "one two")], &["API_SCOPE"]),
    (&[("API_SCOPE", "one\"")], &["API_SCOPE"]),
    (&[("API_CROSS_TENANT_APPS", "contoso/app")], &["API_CROSS_TENANT_APPS"]),
    (&[("ADMIN_USERS", "alice@example.com")], &["ADMIN_USERS"]),
    (&[("ADMIN_USERS", "contoso.com/9188040d-6c67-4c5b-b112-36a304b66dad")], &["ADMIN_USERS"]),
    (&[GENERIC[0], GENERIC[1], ("ADMIN_USERS", "https://other.example.com#alice")], &["ADMIN_USERS"]),
    (&[GENERIC[0], GENERIC[1], ("ADMIN_USERS", "alice")], &["ADMIN_USERS"]),
    (&[("DIRECTORY_SYNC_INTERVAL", "2d")], &["DIRECTORY_SYNC_INTERVAL"]),
    (&[GENERIC[0], GENERIC[1], ("DIRECTORY_SYNC_INTERVAL", "1h")], &["DIRECTORY_SYNC_INTERVAL", "OIDC_ISSUER"]),
    (&[("ERASE_USERS_AFTER", "365")], &["ERASE_USERS_AFTER"]),
    (&[("ERASE_USERS_AFTER", "30s")], &["ERASE_USERS_AFTER"]),
    (&[("ADMIN_SIGN_IN_MAX_AGE", "10")], &["ADMIN_SIGN_IN_MAX_AGE"]),
    (&[("ADMIN_SIGN_IN_MAX_AGE", "on")], &["ADMIN_SIGN_IN_MAX_AGE"]),
    (&[("ADMIN_AUTH_CONTEXT", "c100")], &["ADMIN_AUTH_CONTEXT"]),
    (&[("ADMIN_AUTH_CONTEXT", "c0")], &["ADMIN_AUTH_CONTEXT"]),
    (&[("ADMIN_AUTH_CONTEXT", "mfa")], &["ADMIN_AUTH_CONTEXT"]),
    (&[GENERIC[0], GENERIC[1], ("ADMIN_AUTH_CONTEXT", "a b")], &["ADMIN_AUTH_CONTEXT"]),
    (&[("HTTP_TIMEOUT", "10")], &["HTTP_TIMEOUT"]),
    (&[("HTTP_TIMEOUT", "6m")], &["HTTP_TIMEOUT"]),
    (&[("HTTP_RETRIES", "11")], &["HTTP_RETRIES"]),
    (&[("HTTP_RETRIES", "-1")], &["HTTP_RETRIES"]),
    (&[("HTTP_RETRIES", "many")], &["HTTP_RETRIES"]),
    (&[("EXTRA_CA_FILE", "/nonexistent/ca.pem")], &["EXTRA_CA_FILE"]),
];

#[test]
fn k_04_a_bad_value_or_an_impossible_pair_names_its_variables() {
    for (changes, names) in REFUSED {
        assert_eq!(refused(validate(changes)), [names.to_vec()], "{changes:?}");
    }
}

#[test]
fn every_setting_has_a_bad_value_in_the_table() {
    let tried: BTreeSet<&str> = REFUSED.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    for definition in definitions() {
        assert!(tried.contains(definition.name.as_str()), "{}", definition.name);
    }
}

#[test]
fn all_problems_are_reported_at_once() {
    let one_each: BTreeMap<&str, &str> = REFUSED
        .iter()
        .filter(|(changes, names)| changes.len() == 1 && *names == [changes[0].0])
        .map(|(changes, _)| changes[0])
        .collect();
    let problems = Settings::from_pairs(&one_each).expect("settings").validate(&release(), &Environment::default());
    let named: BTreeSet<String> = refused(problems).concat().into_iter().collect();
    for name in one_each.keys() {
        assert!(named.contains(*name), "{name}");
    }
    assert!(one_each.len() >= 25, "{}", one_each.len());
}

#[test]
fn k_13_without_a_required_setting_there_is_no_start() {
    let credentials = [
        "ENTRA_CLIENT_SECRET",
        "ENTRA_CLIENT_SECRET_FILE",
        "ENTRA_CLIENT_CERTIFICATE_FILE",
        "ENTRA_CLIENT_KEY_FILE",
        "ENTRA_FEDERATED_TOKEN_FILE",
    ];
    for (name, _) in MINIMUM {
        let expected = if name == "ENTRA_CLIENT_SECRET" { credentials.to_vec() } else { vec![name] };
        for nothing in ["", "   "] {
            assert_eq!(refused(validate(&[(name, nothing)])), std::slice::from_ref(&expected), "{name}");
        }
    }
    for name in ["ENTRA_CLIENT_ID", "TOKEN_ENCRYPTION_KEYS"] {
        assert_eq!(refused(validate(&generic(&[(name, "")]))), [[name]]);
    }
    let several = [("ENTRA_TENANT_ID", "organizations"), ("ENTRA_ALLOWED_TENANTS", "")];
    assert_eq!(refused(validate(&several)), [["ENTRA_ALLOWED_TENANTS"]]);
}

#[test]
fn a_start_without_any_provider_gets_set_up_advice() {
    let settings = Settings::from_pairs([("PUBLIC_URL", "https://app.example.com")]).expect("settings");
    assert!(settings.name_no_provider());
    let text = settings.validate(&release(), &Environment::default()).expect_err("refused").to_string();
    for part in [
        "ENTRA_TENANT_ID: missing",
        "ENTRA_CLIENT_ID: missing",
        "TOKEN_ENCRYPTION_KEYS: missing",
        "App registrations",
        "https://app.example.com/auth/callback",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = validate(&[("ENTRA_TENANT_ID", "")]).expect_err("refused").to_string();
    assert!(!text.contains("App registrations"), "{text}");
}

#[test]
fn e_38_redirect_uris_that_entra_refuses_are_refused_for_entra() {
    let long = format!("https://{}.example.com", ["a"; 130].join("."));
    let too_long = format!("https://{}.example.com", vec!["abcdefghi"; 24].join("."));
    for url in ["http://[::1]:3000", "https://a,b.example.com", "https://it's.example.com", &long, &too_long] {
        assert_eq!(refused(validate(&[("PUBLIC_URL", url)])), [["PUBLIC_URL"]], "{url}");
    }
    for url in ["http://localhost", "http://127.0.0.1:8080", "https://localhost:3000", "https://app.example.com/"] {
        accept(&[("PUBLIC_URL", url)]);
    }
    accept(&generic(&[("PUBLIC_URL", "http://[::1]:3000")]));
}

#[test]
fn http_is_accepted_on_loopback_in_every_address() {
    let config = accept(&[
        ("PUBLIC_URL", "http://127.8.9.1:3000"),
        ("ENTRA_AUTHORITY", "http://localhost:3001/"),
        ("GRAPH_URL", "http://[::1]:3001/graph/"),
        ("ENTRA_CLIENT_ID", "an-emulated-client"),
    ]);
    let ProviderKind::Entra { authority, .. } = config.provider.kind else { panic!("Entra") };
    assert_eq!(authority, "http://localhost:3001");
    assert_eq!(config.graph_url.expect("Graph").as_str(), "http://[::1]:3001/graph");
    accept(&[("OIDC_ISSUER", "http://127.0.0.1:9000"), ("ENTRA_TENANT_ID", "")]);
}

#[test]
fn the_public_url_is_normalised_to_its_origin() {
    let config = accept(&[("PUBLIC_URL", " HTTPS://App.Example.com:443/ ")]);
    assert_eq!(config.public_url.origin(), "https://app.example.com");
    assert_eq!(config.public_url.with_path("/auth/callback"), "https://app.example.com/auth/callback");
}

#[test]
fn the_rate_limit_is_off_on_loopback_unless_it_is_set() {
    let minute = Duration::from_secs(60);
    assert_eq!(accept(&[]).auth_rate_limit, None);
    let public = ("PUBLIC_URL", "https://app.example.com");
    assert_eq!(accept(&[public]).auth_rate_limit, Some(RateLimit { count: 60, per: minute }));
    assert_eq!(accept(&[public, ("AUTH_RATE_LIMIT", "OFF")]).auth_rate_limit, None);
    assert_eq!(accept(&[]).api_rate_limit, None);
    assert_eq!(accept(&[public]).api_rate_limit, Some(RateLimit { count: 600, per: minute }));
    assert_eq!(accept(&[public, ("API_RATE_LIMIT", "off")]).api_rate_limit, None);
    let set = accept(&[("AUTH_RATE_LIMIT", "5/30s")]).auth_rate_limit;
    assert_eq!(set, Some(RateLimit { count: 5, per: Duration::from_secs(30) }));
}

#[test]
fn times_take_units() {
    for (text, seconds) in [("45s", 45), ("5m", 300), ("8h", 28_800), ("7d", 604_800), ("007m", 420)] {
        let config = accept(&[("SESSION_ABSOLUTE_TIMEOUT", text), ("SESSION_IDLE_TIMEOUT", "1s")]);
        assert_eq!(config.session.absolute_timeout, Duration::from_secs(seconds), "{text}");
    }
    let same = accept(&[("SESSION_ABSOLUTE_TIMEOUT", "30m"), ("SESSION_IDLE_TIMEOUT", "30m")]);
    assert_eq!(same.session.idle_timeout, same.session.absolute_timeout);
    assert_eq!(accept(&[("CLOCK_LEEWAY", "5m")]).provider.clock_leeway, Duration::from_secs(300));
}

#[test]
fn sqlite_paths_are_relative_or_absolute() {
    for (url, path) in [
        ("sqlite://app.db", "app.db"),
        ("sqlite://data/deep/app.db", "data/deep/app.db"),
        ("sqlite:///var/lib/app.db", "/var/lib/app.db"),
        ("SQLITE://app.db", "app.db"),
    ] {
        let expected = DatabaseConfig::Sqlite { path: PathBuf::from(path) };
        assert_eq!(accept(&[("DATABASE_URL", url)]).database, expected, "{url}");
    }
}

fn postgres(url: &str) -> Result<DatabaseConfig, Problems> {
    let build = Build { database: Database::Postgres, ..release() };
    settings(&[("DATABASE_URL", url)]).validate_database(&build, &Environment::default()).map(|(database, _)| database)
}

#[test]
fn postgresql_verifies_the_server_unless_it_is_local() {
    use SslMode::{Disable, VerifyFull};
    for (url, expected, ssl_mode) in [
        ("postgres://db.example.com/app", "postgres://db.example.com/app", VerifyFull),
        ("postgresql://u:p@db/app", "postgresql://u:p@db/app", VerifyFull),
        ("postgres://localhost/app", "postgres://localhost/app", Disable),
        ("postgres://127.0.0.1:5433/app", "postgres://127.0.0.1:5433/app", Disable),
        ("postgres://[::1]/app", "postgres://[::1]/app", Disable),
        ("postgres:///app?host=/run/postgresql", "postgres:///app?host=%2Frun%2Fpostgresql", Disable),
        ("postgres://%2Frun%2Fpostgresql/app", "postgres://%2Frun%2Fpostgresql/app", Disable),
        ("postgres://localhost/app?host=db.example.com", "postgres://localhost/app?host=db.example.com", VerifyFull),
        ("postgres://localhost/app?sslmode=verify-full", "postgres://localhost/app", VerifyFull),
        ("postgres://db/app?sslmode=disable&options=x", "postgres://db/app?options=x", Disable),
    ] {
        let url_expected = RedactedUrl(Url::parse(expected).expect("a URL"));
        let config = postgres(url).unwrap_or_else(|problems| panic!("{url}: {problems}"));
        assert_eq!(config, DatabaseConfig::Postgres { url: url_expected, ssl_mode }, "{url}");
    }
}

#[test]
fn postgresql_urls_that_would_not_verify_are_refused() {
    for url in [
        "",
        "sqlite://data/app.db",
        "postgres://db/app?sslmode=require",
        "postgres://db/app?sslmode=prefer",
        "postgres://localhost/app?sslmode=verify-ca",
        "postgres://db/app?sslmode=",
        "postgres://db/app?sslrootcert=/ca.pem",
        "postgres://db:port/app",
    ] {
        let problems = postgres(url).expect_err(url);
        assert_eq!(problems.list().len(), 1, "{problems}");
        assert_eq!(problems.list()[0].names(), ["DATABASE_URL"], "{url}");
    }
}

#[test]
fn several_tenants_are_listed_in_lower_case_and_once() {
    let list = format!("{}, {TENANT},{OTHER_TENANT}", TENANT.to_uppercase());
    let config = accept(&[("ENTRA_TENANT_ID", "Organizations"), ("ENTRA_ALLOWED_TENANTS", &list)]);
    let ProviderKind::Entra { tenant, .. } = config.provider.kind else { panic!("Entra") };
    let allowed = vec![TENANT.to_owned(), OTHER_TENANT.to_owned()];
    assert_eq!(tenant, Tenant::Multi { endpoint: "organizations".to_owned(), allowed });
}

#[test]
fn a_project_for_several_tenants_asks_for_the_list_alone() {
    let build = Build { tenancy: Tenancy::Multi, ..release() };
    let environment = Environment::default();
    let none = settings(&[("ENTRA_TENANT_ID", "")]);
    assert_eq!(refused(none.validate(&build, &environment)), [["ENTRA_ALLOWED_TENANTS"]]);
    let listed = settings(&[("ENTRA_TENANT_ID", ""), ("ENTRA_ALLOWED_TENANTS", TENANT)]);
    let ProviderKind::Entra { tenant, .. } = listed.validate(&build, &environment).expect("accepted").provider.kind
    else {
        panic!("Entra")
    };
    assert_eq!(tenant, Tenant::Multi { endpoint: "organizations".to_owned(), allowed: vec![TENANT.to_owned()] });
}

#[test]
fn another_provider_has_no_graph_and_identities_of_its_own() {
    let config = accept(&generic(&[("ENTRA_CLIENT_ID", "starter"), ("ADMIN_USERS", concat_admin())]));
    assert_eq!(config.provider.kind, ProviderKind::Generic { issuer: ISSUER.to_owned() });
    assert_eq!(config.provider.client_id, "starter");
    assert_eq!(config.provider.scopes.join(" "), "openid profile email offline_access");
    assert_eq!(config.graph_url, None);
    let key = IdentityKey { realm: ISSUER.to_owned(), subject: "248289761001".to_owned() };
    assert_eq!(config.sync.admin_users, [key]);
}

fn concat_admin() -> &'static str {
    "https://accounts.example.com/realms/main#248289761001"
}

#[test]
fn a_project_without_graph_asks_for_no_graph_scope() {
    let build = Build { graph: false, ..release() };
    let config = settings(&[]).validate(&build, &Environment::default()).expect("accepted");
    assert_eq!(config.graph_url, None);
    assert_eq!(config.provider.scopes.join(" "), "openid profile email offline_access");
}

#[test]
fn scopes_may_be_chosen() {
    let config = accept(&[("ENTRA_SCOPES", "openid  profile openid api://x/access_as_user")]);
    assert_eq!(config.provider.scopes, ["openid", "profile", "api://x/access_as_user"]);
}

#[test]
fn lists_and_mappings_are_taken_apart() {
    let config = accept(&[
        ("CLAIM_MAPPING", "job_title = jobTitle, department=dept,"),
        ("BOOLEAN_CLAIM_MAPPING", "is_external=ext"),
        ("GROUPS_CLAIM", "off"),
        ("ROLE_MAPPING", "Admin=admin,Task=Write=editor,Admin=admin"),
        ("TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.7, 2001:db8::1"),
        ("LOGIN_EXEMPT_PATHS", "/docs/, /docs, /.well-known/security.txt"),
        ("CREATE_NEW_USERS", "False"),
    ]);
    let text = |text: &str| text.to_owned();
    assert_eq!(
        config.sync.claim_mapping,
        [(TextColumn::JobTitle, text("jobTitle")), (TextColumn::Department, text("dept"))]
    );
    assert_eq!(config.sync.boolean_claim_mapping, [(BooleanColumn::IsExternal, text("ext"))]);
    assert_eq!(config.sync.groups_claim, "");
    assert_eq!(
        config.sync.role_mapping,
        [("Admin", "admin"), ("Task=Write", "editor")].map(|(who, role)| RoleRule::parse(who, role).expect("a rule"))
    );
    let networks: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::1/128"]);
    assert_eq!(config.login_exempt_paths, ["/docs", "/.well-known/security.txt"]);
    assert!(!config.sync.create_new_users);
}

#[test]
fn an_unknown_column_is_answered_with_the_known_ones() {
    let text = validate(&[("CLAIM_MAPPING", "shoe_size=x")]).expect_err("refused").to_string();
    assert!(text.contains("display_name or given_name or family_name or email or job_title or department"), "{text}");
}

#[test]
fn admin_users_are_tenant_and_object_in_lower_case() {
    let admin = format!("{}/{}", TENANT.to_uppercase(), OTHER_TENANT.to_uppercase());
    let key = IdentityKey { realm: TENANT.to_owned(), subject: OTHER_TENANT.to_owned() };
    assert_eq!(accept(&[("ADMIN_USERS", &admin)]).sync.admin_users, [key]);
}

#[test]
fn blanks_are_trimmed_and_an_empty_value_is_none() {
    let config = accept(&[("ENTRA_CLIENT_SECRET", "  s3cr3t  "), ("SESSION_IDLE_TIMEOUT", " "), ("ADMIN_USERS", "")]);
    let ClientCredential::Secret(secret) = config.provider.credential else { panic!("a secret") };
    assert_eq!(secret.expose_secret(), "s3cr3t");
    assert_eq!(config.session.idle_timeout, Duration::from_secs(30 * 60));
}

#[test]
fn a_secret_or_token_file_must_hold_something_real() {
    let folder = Folder::new();
    let good = folder.file("good", "s3cr3t\n");
    for (name, content) in [("empty", ""), ("blank", " \n"), ("example", "change-me\n")] {
        let path = folder.file(name, content);
        let result = validate(&[("ENTRA_CLIENT_SECRET", ""), ("ENTRA_CLIENT_SECRET_FILE", &path)]);
        assert_eq!(refused(result), [["ENTRA_CLIENT_SECRET_FILE"]], "{name}");
    }
    let config = accept(&[("ENTRA_CLIENT_SECRET", ""), ("ENTRA_CLIENT_SECRET_FILE", &good)]);
    assert!(matches!(config.provider.credential, ClientCredential::SecretFile(path) if path == Path::new(&good)));
    let config = accept(&[("ENTRA_CLIENT_SECRET", ""), ("ENTRA_FEDERATED_TOKEN_FILE", &good)]);
    assert!(
        matches!(config.provider.credential, ClientCredential::FederatedTokenFile(path) if path == Path::new(&good))
    );
}

/// What a certificate for `key` holds at least: its public half.
fn certificate_for(key: &str) -> String {
    let der = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key");
    pem("CERTIFICATE", pair.public_key().as_ref())
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

#[test]
fn a_certificate_and_its_key_belong_together() {
    let folder = Folder::new();
    let certificate = folder.file("certificate.pem", certificate_for(TEST_KEY));
    let stranger = folder.file("stranger.pem", pem("CERTIFICATE", &[0x30; 600]));
    let key = folder.file("key.pem", TEST_KEY);
    let sec1 = folder.file("sec1.pem", pem("RSA PRIVATE KEY", &[1, 2, 3]));
    let (certificate_name, key_name) = ("ENTRA_CLIENT_CERTIFICATE_FILE", "ENTRA_CLIENT_KEY_FILE");
    let result = |certificate: &str, key: &str| {
        validate(&[("ENTRA_CLIENT_SECRET", ""), (certificate_name, certificate), (key_name, key)])
    };
    let config = result(&certificate, &key).expect("accepted");
    assert!(matches!(config.provider.credential, ClientCredential::Certificate { .. }));
    assert_eq!(refused(result(&stranger, &key)), [[certificate_name, key_name]]);
    assert_eq!(refused(result(&key, &key)), [[certificate_name]]);
    assert_eq!(refused(result(&certificate, &certificate)), [[key_name]]);
    assert_eq!(refused(result(&certificate, &sec1)), [[key_name]]);
    assert_eq!(refused(result("/nonexistent/a", "/nonexistent/b")), [[certificate_name], [key_name]]);
}

#[test]
fn the_extra_ca_file_must_hold_certificates() {
    let folder = Folder::new();
    let bundle = folder.file("ca.pem", pem("CERTIFICATE", &[0x30, 1]).repeat(2));
    assert_eq!(accept(&[("EXTRA_CA_FILE", &bundle)]).http.extra_ca_file, Some(PathBuf::from(&bundle)));
    for (name, content) in [("empty", String::new()), ("key", pem("PRIVATE KEY", &[1])), ("text", "hello".to_owned())] {
        let path = folder.file(name, content);
        assert_eq!(refused(validate(&[("EXTRA_CA_FILE", &path)])), [["EXTRA_CA_FILE"]], "{name}");
    }
}

#[test]
fn secrets_can_come_from_files_but_not_twice() {
    let folder = Folder::new();
    let url = folder.file("url", "sqlite:///var/lib/app.db\n");
    let keys = folder.file("keys", format!("{RING}\n"));
    let changes = [("DATABASE_URL_FILE", url.as_str()), ("TOKEN_ENCRYPTION_KEYS_FILE", keys.as_str())];
    let config = accept(&[changes.as_slice(), &[("TOKEN_ENCRYPTION_KEYS", "")]].concat());
    assert_eq!(config.database, DatabaseConfig::Sqlite { path: PathBuf::from("/var/lib/app.db") });
    let both = [changes.as_slice(), &[("DATABASE_URL", "sqlite://app.db")]].concat();
    let pairs = [["DATABASE_URL", "DATABASE_URL_FILE"], ["TOKEN_ENCRYPTION_KEYS", "TOKEN_ENCRYPTION_KEYS_FILE"]];
    assert_eq!(refused(validate(&both)), pairs);
    for content in ["", "mysql://db/app"] {
        let file = folder.file("wrong", content);
        assert_eq!(refused(validate(&[("DATABASE_URL_FILE", &file)])), [["DATABASE_URL_FILE"]], "{content}");
    }
    let missing = folder.0.join("none").display().to_string();
    let changes = [("TOKEN_ENCRYPTION_KEYS", ""), ("TOKEN_ENCRYPTION_KEYS_FILE", missing.as_str())];
    assert_eq!(refused(validate(&changes)), [["TOKEN_ENCRYPTION_KEYS_FILE"]]);
}

#[test]
fn dev_keys_are_made_once_and_for_the_owner_alone() {
    let folder = Folder::new();
    let dev_keys = folder.0.join("data").join("dev-keys");
    let build = Build { dev: true, dev_keys: dev_keys.clone(), ..release() };
    let without_keys = settings(&[("TOKEN_ENCRYPTION_KEYS", "")]);
    let keys = || without_keys.validate(&build, &Environment::default()).expect("accepted").tokens.keys;
    let sealed = keys().seal(b"text", b"place").expect("seals");
    loosen(&dev_keys);
    assert_eq!(keys().open(&sealed, b"place").expect("the same keys").as_slice(), b"text");
    assert_eq!(fs::read_dir(folder.0.join("data")).expect("a folder").count(), 1);
    assert_private(&dev_keys);
    fs::write(&dev_keys, "broken").expect("writes");
    let result = without_keys.validate(&build, &Environment::default());
    assert_eq!(refused(result), [["TOKEN_ENCRYPTION_KEYS"]]);
}

#[cfg(unix)]
fn loosen(path: &Path) {
    assert_private(path);
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("rights");
}

#[cfg(unix)]
fn assert_private(path: &Path) {
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[cfg(not(unix))]
fn loosen(_path: &Path) {}

#[cfg(not(unix))]
fn assert_private(_path: &Path) {}

#[test]
fn starts_at_once_share_their_dev_keys() {
    let folder = Folder::new();
    let build = Build { dev: true, dev_keys: folder.0.join("dev-keys"), ..release() };
    let start = || settings(&[("TOKEN_ENCRYPTION_KEYS", "")]).validate(&build, &Environment::default());
    let rings: Vec<KeyRing> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|start| start.join().expect("no panic").expect("accepted").tokens.keys).collect()
    });
    let sealed = rings[0].seal(b"text", b"place").expect("seals");
    assert!(rings.iter().all(|ring| ring.open(&sealed, b"place").is_ok()));
}

#[test]
fn keys_that_are_given_count_in_dev_mode_too() {
    let build = Build { dev: true, ..release() };
    let config = settings(&[]).validate(&build, &Environment::default()).expect("accepted");
    assert_eq!(config.tokens.keys.current_id(), "2026-11");
}

fn environment(names: &[&str]) -> Environment {
    Environment { names: names.iter().map(|&name| name.to_owned()).collect(), problems: Vec::new() }
}

#[test]
fn k_04_an_unknown_entra_name_stops_the_start_with_the_nearest_as_advice() {
    for (name, advice) in [
        ("ENTRA_TENNANT_ID", "ENTRA_TENANT_ID"),
        ("ENTRA_CLIENTSECRET", "ENTRA_CLIENT_SECRET"),
        ("ENTRA_SKIP_ISSUER_CHECK", "ENTRA_"),
        ("OIDC_ISSUER_URL", "OIDC_ISSUER"),
    ] {
        let problems = settings(&[]).validate(&release(), &environment(&["PATH", name])).expect_err(name);
        assert_eq!(problems.list().len(), 1, "{problems}");
        assert_eq!(problems.list()[0].names(), [name]);
        assert!(problems.to_string().contains(&format!("did you mean {advice}")), "{problems}");
    }
    let known: Vec<String> = definitions().into_iter().map(|known| known.name).collect();
    let known = Environment { names: known, problems: Vec::new() };
    settings(&[]).validate(&release(), &known).expect("known names are accepted");
}

#[test]
fn a_near_miss_of_another_name_is_a_warning() {
    let environment = environment(&["PUBLIC_URI", "DATABSE_URL", "public_url", "HOME", "HTTP_PROXY", "METRICS_ADDR"]);
    settings(&[]).validate(&release(), &environment).expect("accepted");
    let warnings = settings(&[]).warnings(&release(), &environment);
    let named: Vec<&str> = warnings.iter().flat_map(|warning| warning.names()).map(String::as_str).collect();
    assert_eq!(named, ["PUBLIC_URI", "DATABSE_URL", "public_url"]);
}

#[test]
fn what_has_no_effect_or_is_risky_is_warned_about() {
    let names = |changes: &[(&str, &str)], build: &Build| -> Vec<String> {
        let warnings = settings(changes).warnings(build, &Environment::default());
        warnings.iter().flat_map(|warning| warning.names().to_vec()).collect()
    };
    let entra = ("ENTRA_AUTHORITY", "https://login.microsoftonline.us");
    let graph = ("GRAPH_URL", "https://graph.microsoft.us");
    assert_eq!(names(&generic(&[entra, graph]), &release()), ["ENTRA_AUTHORITY", "GRAPH_URL"]);
    assert_eq!(names(&[entra, graph], &Build { graph: false, ..release() }), ["GRAPH_URL"]);
    assert_eq!(names(&[("TRUSTED_PROXIES", "0.0.0.0/0")], &release()), ["TRUSTED_PROXIES"]);
    let (https, proxies) = (("PUBLIC_URL", "https://app.example.com"), ("TRUSTED_PROXIES", "10.1.0.0/24"));
    for inside in ["127.0.0.1:3000", "[::1]:3000", "10.1.2.3:3000", "0.0.0.0:3000", "[::]:3000", "[fd00::1]:3000"] {
        assert_eq!(names(&[https, ("BIND_ADDR", inside)], &release()), ["TRUSTED_PROXIES"], "{inside}");
        assert!(names(&[https, proxies, ("BIND_ADDR", inside)], &release()).is_empty(), "{inside}");
    }
    assert!(names(&[https, ("BIND_ADDR", "203.0.113.7:3000")], &release()).is_empty());
    let postgres = Build { database: Database::Postgres, ..release() };
    assert_eq!(names(&[("DATABASE_URL", "postgres://db/app?sslmode=disable")], &postgres), ["DATABASE_URL"]);
    assert!(names(&[("DATABASE_URL", "postgres://localhost/app")], &postgres).is_empty());
    assert!(names(&[entra, graph], &release()).is_empty());
    let stranger = ("ROLE_MAPPING", "0d0d0d0d-0000-4000-8000-000000000000/Admin=admin");
    assert_eq!(names(&[stranger], &release()), ["ROLE_MAPPING"], "nobody of that tenant signs in");
    let scope = ("API_SCOPE", "read");
    assert_eq!(names(&[scope], &Build { api: false, ..release() }), ["API_SCOPE"]);
    assert!(names(&[scope], &release()).is_empty());
}

#[test]
fn v_10_3_the_audience_of_the_api_follows_the_client_id() {
    let client_id = accept(&[]).provider.client_id;
    let api = accept(&[]).api.expect("the API");
    assert_eq!(api.audiences, [client_id.clone(), format!("api://{client_id}")]);
    assert_eq!(api.scope, "access_as_user");
    let api = accept(&[("API_AUDIENCE", "api://a, https://b"), ("API_SCOPE", "read")]).api.expect("the API");
    assert_eq!((api.audiences.join(" "), api.scope.as_str()), ("api://a https://b".to_owned(), "read"));
    let without = settings(&[]).validate(&Build { api: false, ..release() }, &Environment::default());
    assert_eq!(without.expect("accepted").api, None);
}

#[test]
fn a_malformed_env_file_is_reported_with_everything_else() {
    let line = Problem::new([".env, line 3"], "is not NAME=value");
    let environment = Environment { names: vec!["ENTRA_X".to_owned()], problems: vec![line] };
    let result = settings(&[("HTTP_RETRIES", "x")]).validate(&release(), &environment);
    assert_eq!(refused(result), [[".env, line 3"], ["ENTRA_X"], ["HTTP_RETRIES"]]);
}

#[test]
fn no_text_echoes_a_value() {
    const CANARY: &str = "hunter2canary";
    let everywhere: Vec<(String, String)> =
        definitions().into_iter().map(|known| (known.name, format!("{CANARY}={CANARY} x"))).collect();
    let settings = Settings::from_pairs(everywhere.clone()).expect("settings");
    let problems = settings.validate(&release(), &Environment::default()).expect_err("refused");
    assert!(problems.list().len() >= 25, "{problems}");
    for text in [problems.to_string(), format!("{problems:?}"), format!("{settings:?}")] {
        assert!(!text.contains(CANARY), "{text}");
    }
    let config = accept(&[("ENTRA_CLIENT_SECRET", CANARY)]);
    assert!(!format!("{config:?}").contains(CANARY));
    let with_password = postgres(&format!("postgres://u:{CANARY}@db/app")).expect("accepted");
    assert!(!format!("{with_password:?}").contains(CANARY));
}

#[test]
fn commands_that_need_less_ask_for_less() {
    let nothing = Settings::from_pairs::<&str, &str>([]).expect("settings");
    let (database, _) = nothing.validate_database(&release(), &Environment::default()).expect("accepted");
    assert_eq!(database, DatabaseConfig::Sqlite { path: PathBuf::from("data/app.db") });
    assert!(nothing.validate_database(&release(), &environment(&["ENTRA_X"])).is_err());
}

#[test]
fn flags_and_variables_have_one_name() {
    let definitions = definitions();
    let values = Settings::default().values().into_iter().map(|(name, _)| name).collect::<BTreeSet<_>>();
    assert_eq!(definitions.len(), values.len());
    for definition in definitions {
        assert_eq!(definition.flag, definition.name.to_ascii_lowercase().replace('_', "-"));
        assert!(values.contains(&definition.name), "{}", definition.name);
        assert!(!definition.summary.is_empty() && !definition.heading.is_empty(), "{}", definition.name);
    }
}

#[test]
fn help_shows_names_and_defaults_but_no_values_of_the_environment() {
    let command = Settings::augment_args(Command::new("serve"));
    command.clone().debug_assert();
    for argument in command.get_arguments() {
        assert!(argument.is_hide_env_values_set(), "{}", argument.get_id());
    }
    let help = command.clone().render_long_help().to_string();
    for part in ["--session-idle-timeout", "[env: SESSION_IDLE_TIMEOUT]", "[default: 30m]"] {
        assert!(help.contains(part), "{part} in {help}");
    }
}

/// `text` is what the repository's file `path` holds; with `UPDATE_DOCS=1` it is written there.
pub(crate) fn assert_is_file(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, text).expect("writes");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "{} is out of date: UPDATE_DOCS=1 cargo test -p server writes it", path.display());
}

#[test]
fn the_troubleshooting_page_is_up_to_date() {
    assert_is_file("docs/troubleshooting.md", &entra::oidc::troubleshooting::troubleshooting());
}

#[test]
fn the_reference_is_up_to_date() {
    assert_is_file("docs/settings.md", &settings_reference());
}

#[test]
fn the_example_is_up_to_date_and_names_every_setting() {
    let example = env_example();
    assert_is_file(".env.example", &example);
    let is_setting = |line: &&str| line.starts_with(|first: char| first.is_ascii_uppercase());
    let uncommented: Vec<&str> = example.lines().filter_map(|line| line.strip_prefix('#')).filter(is_setting).collect();
    let entries: Result<Vec<(String, String)>, _> =
        dotenvy::from_read_iter(uncommented.join("\n").as_bytes()).collect();
    let entries: BTreeMap<String, String> = entries.expect("well formed").into_iter().collect();
    for definition in definitions() {
        assert_eq!(entries.get(&definition.name), Some(&definition.default.unwrap_or_default()), "{}", definition.name);
    }
}

/// Made for these tests alone.
const TEST_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQCcoE3G/8HprKV/
3qXe5OCGWSJTm3/RHZ0I1gmgqv/jodtO1JTb6+5wxXD/jdLdg4g9/nPOQlgQ/ETQ
Z0RB9b7RGyusrd+NN0wzmyJV0429VEBkcVMbgyVr3ylNZfTwkKWlQYNztghpt/3u
oL2dqpPb07xuHGaLVlArCEEZfuTRABazlznDzpASUnI+oRH7QcftLtLzo8UK8s2R
ay+/iAVTUAF8+YWMnDjfbfJfv76birE/HWn0622JIYKeYxkuFgyja4v4Jo2zPP/e
cG4V99eneHSlJoM9bGPTYaPgIFwK5lkhdDMHX8/LjJVCl2lrvJ41GMlbbtbdeLlF
Lv7adiq7AgMBAAECggEAB5Nxb6i7VnQ1ZSP93fQwMA9rq6Of4RuPlvfTa2QaEIap
tvxtXt3goK/MMXBIvNI56tW+AEIRRHEPWw1DrfUXD8JCsI2QfKIqG2zrkj8zYe8L
VlBs9q23R6p5sva1jFVSzdWHaDdr3ME7lSlNQq0XjdCGEsVo6GB6bDpv+625n6pQ
AmVxUYCXJFgQRVGHozysPmnp6cdIlZMQmcrfYc3AYSdVPtSLc+bDmUeBlGHKC6Bo
tirvswGKyP2FV+5TU78W8SVSK3mvIAsZqU+uVDAsgJxIsFHUBVgFJazG8zdqUI/+
1nfMLyEPHy4YW6JiLugSbPGVH3UpthHvFzkjhdpRcQKBgQDXdliCE1NOIhQgt87u
xORKBm0g3qJ2hTEHxuQ2m5jKpp7WpX2wcHV5UPuMXIyFoP6WZD0RKrtSXow5B9lX
PyoZxxshtkgWOKLug8wcNczBAKMsOY7a502KpuTqkA5oo5OV2RWiwQN0BdjGIfzC
x8hR1XK3KuJsZ/joMz9dXZOypQKBgQC6GCQXOr637gvgWue0B1bpYdFWCze1LR0s
7fD+QRO3c7NldUzPGRCpQ5OZ3hpQm2D0C4VDeX35CzmFOyXXFfl11GDx3WtCM4Ry
4BsP07DtkFG0lgdl3AMwk9zGPANKdihVQQzI5DikweOnlAbhU9KYhrwIF32fqLpa
Q4CcPULJ3wKBgBEW0+JNQhg6X7pQmdsaRrkQVWt7/QrFeaQSRFuIb8/y8zo3Ggb6
hHbA05LIbGTU5hxriuRnrT/VO+3yD2z6F46/2gkMeh85EsM0NOYv5jOQp2CEmC4I
ln/eyN1J27q07qm99Bdak7mKFS1x2KhiTCMheN3KSvcqL/XKysXO/D35AoGBAJGQ
0KpbCVRWoHOeqB/qndFw8o6bt7fA0lGSzjAUN5gIqQtz9eEJej7s3Ug+s9bZs70y
RcvB/QgR/6x31+GnDrtcpXiL+pqOMcyqAIEg1gT+Hutjb+X9c4FMKCXoS6qzQllt
yNJbsvMttyYeZENdjh5BRlQOC/YXxa1VoASW5ueBAoGBALFd9lHd0fPFmDEYzfZm
4gO3nlzLcY6iVROUWJxOs/YQcnw8pESSX6nivDGl/DK+OK75ch7DftDoMbx6px13
vyco3PnXC0ZywOEhJh/J9QwF04qeW3cPwLXf2R+2TunGHHZJus5Zhv1rjJQgEAX4
Ba/c0EwjXkkDzBzZ3upVfF/1
-----END PRIVATE KEY-----
";

#[test]
fn what_is_public_is_reached_by_others() {
    for (url, is_public) in [
        ("https://app.example.com", true),
        ("https://203.0.113.7", true),
        ("https://[2001:db8::1]:8443", true),
        ("https://localhost:3000", false),
        ("https://app.localhost", false),
        ("https://intranet", false),
        ("https://app.TEST", false),
        ("https://192.168.1.4", false),
        ("https://[fd00::1]", false),
        ("http://127.0.0.1:3000", false),
    ] {
        assert_eq!(PublicUrl::new(Url::parse(url).expect("a URL")).is_public(), is_public, "{url}");
    }
}
