//! `docs/security.md` says what the code has: times, limits, hosts, secrets, algorithms, events.

use std::collections::BTreeSet;
use std::path::Path;

use server::config::settings::{Definition, definitions};

use crate::requirements::{product, text};

const SECURITY: &str = "docs/security.md";

/// A section of the document, by its heading.
fn section(heading: &str) -> String {
    let document = text(SECURITY);
    let start = document.split_once(&format!("\n## {heading}\n"));
    let (_, rest) = start.unwrap_or_else(|| panic!("{SECURITY} has no section {heading:?}"));
    rest.split("\n## ").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn default_of(name: &str) -> String {
    let known = definitions().into_iter().find(|known| known.name == name).unwrap_or_else(|| panic!("no {name}"));
    known.default.unwrap_or_default()
}

/// Settings whose names end in one of `ends`.
fn settings_ending_in(ends: &[&str]) -> Vec<String> {
    let is_one = |known: &Definition| ends.iter().any(|end| known.name.ends_with(end));
    definitions().into_iter().filter(is_one).map(|known| known.name).collect()
}

#[track_caller]
fn assert_names(section: &str, names: impl IntoIterator<Item = impl AsRef<str>>) {
    let missing: Vec<String> =
        names.into_iter().map(|name| name.as_ref().to_owned()).filter(|name| !section.contains(name)).collect();
    assert!(missing.is_empty(), "{SECURITY} does not say {missing:?} in:\n{section}");
}

/// Constants of the code and how a section puts them; whoever changes one changes the other.
#[track_caller]
fn assert_says(section: &str, constants: &[(&str, &str, &str)]) {
    for (file, declaration, words) in constants {
        assert!(text(file).contains(declaration), "{file} no longer has `{declaration}`: see {SECURITY}, {words:?}");
        assert!(section.contains(words), "{SECURITY} does not say {words:?}");
    }
}

#[test]
fn v_7_1_the_times_of_sessions_and_how_they_relate_to_the_providers_are_documented() {
    let sessions = section("Sessions, and how they relate to the provider's");
    for (setting, default, words) in [
        ("SESSION_IDLE_TIMEOUT", "30m", "| 30 minutes | `SESSION_IDLE_TIMEOUT` |"),
        ("SESSION_ABSOLUTE_TIMEOUT", "8h", "| 8 hours after the sign-in | `SESSION_ABSOLUTE_TIMEOUT` |"),
        ("ADMIN_SIGN_IN_MAX_AGE", "1h", "| 1 hour | `ADMIN_SIGN_IN_MAX_AGE` |"),
    ] {
        assert_eq!(default_of(setting), default, "see {SECURITY}: {words}");
        assert_names(&sessions, [words]);
    }
    assert_names(
        &sessions,
        ["NIST SP 800-63B", "sessions a person | no limit", "ON_GRANT_REVOKED", "background refresh"],
    );
    assert_says(
        &sessions,
        &[
            (
                "server/entra/src/oidc/transaction.rs",
                "TRANSACTION_LIFETIME: Duration = Duration::minutes(10)",
                "10 minutes, five a browser",
            ),
            ("server/src/sign_in/transaction_cookie.rs", "MAX_OPEN: usize = 5", "10 minutes, five a browser"),
        ],
    );
}

#[test]
fn v_13_1_1_every_host_and_every_file_that_a_setting_names_is_documented() {
    let going_out = section("What goes out, and what comes in");
    assert_names(&going_out, settings_ending_in(&["_AUTHORITY", "_ISSUER", "_ADDR"]));
    assert_names(
        &going_out,
        [
            "`GRAPH_URL`",
            "`DATABASE_URL`",
            "`PUBLIC_URL`",
            "`EXTRA_CA_FILE`",
            "HTTPS_PROXY",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ],
    );
    let urls = settings_ending_in(&["_URL"]);
    assert_eq!(urls.len(), 3, "a new address belongs into {SECURITY}: {urls:?}");
    let secrets = section("Keys and secrets");
    assert_names(&secrets, settings_ending_in(&["_FILE"]).into_iter().filter(|name| name != "EXTRA_CA_FILE"));
}

#[test]
fn v_13_1_2_v_13_1_3_and_v_13_2_6_pools_and_times_are_as_documented() {
    let going_out = section("What goes out, and what comes in");
    assert_eq!((default_of("HTTP_TIMEOUT"), default_of("HTTP_RETRIES")), ("10s".to_owned(), "3".to_owned()));
    assert_names(&going_out, ["`HTTP_TIMEOUT` (10 s)", "`HTTP_RETRIES` (3)"]);
    let pool = "server/store/src/pool.rs";
    assert_says(
        &going_out,
        &[
            (pool, "const CONNECTIONS: usize = 16;", "PostgreSQL: 16 connections"),
            (pool, "const CONNECTIONS: usize = 4;", "SQLite: 4 connections"),
            (pool, "const READERS: usize = 8;", "8 for short reads"),
            (pool, "const WAIT: Duration = Duration::from_secs(5);", "5 s for a connection"),
            (pool, "SET statement_timeout = '30s'", "PostgreSQL: 30 s a statement"),
            ("server/store/src/sqlite.rs", "PRAGMA busy_timeout = 5000;", "SQLite: 5 s for a lock"),
            ("server/src/serve.rs", "const DATABASE_TRIES: u32 = 30;", "at the start 30 tries"),
            ("server/src/serve.rs", "const DRAIN: Duration = Duration::from_secs(30);", "a shutdown waits 30 s"),
            (
                "server/src/error/mod.rs",
                "UNAVAILABLE_RETRY_AFTER: Duration = Duration::from_secs(10)",
                "503 with `Retry-After: 10`",
            ),
            ("server/entra/src/http.rs", "CONNECT_TIMEOUT: Duration = Duration::from_secs(3)", "3 s to connect"),
            ("server/entra/src/http.rs", "IDLE_CONNECTIONS: usize = 32", "Up to 32 idle connections"),
            (
                "server/entra/src/http.rs",
                "FIRST_PAUSE: Duration = Duration::from_millis(200)",
                "after 200 ms, doubling",
            ),
            ("server/entra/src/http.rs", "DEFAULT_LIMIT: usize = 1024 * 1024", "more than 1 MiB"),
            ("server/entra/src/graph.rs", "MAX_JSON: usize = 4 * 1024 * 1024", "(Graph: 4 MiB)"),
            ("server/entra/src/graph/pacing.rs", "FIRST_WAIT: Duration = Duration::from_secs(1)", "else 1 s, doubling"),
            ("server/src/tokens/refresh.rs", "CONCURRENCY: usize = 32", "32 refreshes"),
            (
                "server/src/tokens/refresh.rs",
                "BACKOFF: chrono::Duration = chrono::Duration::seconds(2)",
                "a refresh after 2 s",
            ),
            (
                "server/src/tokens/refresh.rs",
                "MAX_BACKOFF: chrono::Duration = chrono::Duration::minutes(5)",
                "doubling to 5 minutes",
            ),
            ("server/entra/src/oidc/cache.rs", "USABLE: Duration = Duration::hours(24)", "serve for 24 hours"),
            ("server/entra/src/oidc/cache.rs", "const PAUSE: Duration = Duration::seconds(5)", "again after 5 s"),
            (
                "server/entra/src/oidc/cache.rs",
                "LONG_PAUSE: Duration = Duration::seconds(60)",
                "or 60 s while the last ones serve",
            ),
            ("server/src/web/middleware/mod.rs", "BODY_LIMIT: usize = 64 * 1024", "At most 64 KiB of a body"),
        ],
    );
}

#[test]
fn v_13_1_4_every_secret_has_its_schedule() {
    let secrets = section("Keys and secrets");
    let is_secret = |known: &Definition| ["SECRET", "KEY", "TOKEN_FILE"].iter().any(|part| known.name.contains(part));
    let names: Vec<String> = definitions().into_iter().filter(is_secret).map(|known| known.name).collect();
    assert!(names.len() >= 5, "{names:?}");
    assert_names(&secrets, names);
    assert_names(
        &secrets,
        ["NIST SP 800-57", "once a year", "every six months", "DATABASE_URL", "`server keys rotate`"],
    );
}

/// Crates that do cryptography, by the name that sources use.
const CRYPTOGRAPHY: [&str; 9] =
    ["chacha20poly1305", "ring", "sha2", "subtle", "rustls", "rand", "zeroize", "secrecy", "x509-cert"];

/// What must not be used for anything (ASVS appendix C).
const FORBIDDEN: [&str; 12] = [
    "md5",
    "md-5",
    "sha1",
    "sha-1",
    "des",
    "rc4",
    "blowfish",
    "aes-ecb",
    "cbc",
    "openssl",
    "native-tls",
    "jsonwebtoken",
];

#[test]
fn v_11_1_2_v_11_2_1_and_v_11_4_1_the_inventory_of_cryptography_is_complete() {
    let inventory = section("Cryptography: the inventory");
    let manifests = ["server/Cargo.toml", "server/entra/Cargo.toml", "server/store/Cargo.toml"].map(text);
    let dependencies = manifests
        .iter()
        .filter_map(|manifest| manifest.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()));
    let used: BTreeSet<&str> = dependencies
        .flat_map(str::lines)
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .collect();
    for name in CRYPTOGRAPHY {
        assert!(used.contains(name), "{name} is no longer used: {SECURITY}");
        assert_names(&inventory, [format!("`{name}`")]);
    }
    for name in FORBIDDEN {
        assert!(!used.contains(name), "{name} is not for use");
    }
    // Whatever else sounds like cryptography has to be entered here and there.
    let sounds =
        ["crypt", "cipher", "hash", "hmac", "sha", "aead", "rsa", "ecdsa", "ed25519", "tls", "x509", "argon", "blake"];
    let known = ["rustls-native-certs", "rustls-pki-types", "tokio-postgres-rustls"];
    let unknown: Vec<&&str> = used
        .iter()
        .filter(|name| sounds.iter().any(|sound| name.contains(sound)))
        .filter(|name| !CRYPTOGRAPHY.contains(name) && !known.contains(name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?} is not in the inventory of {SECURITY}");
    assert_names(
        &inventory,
        ["`TOKEN_ENCRYPTION_KEYS`", "XChaCha20-Poly1305", "HMAC-SHA-256", "RS256", "PS256", "may not be used for"],
    );
}

/// Algorithms are chosen in few places: nothing else names a primitive.
#[test]
fn v_11_3_1_and_v_11_6_1_primitives_are_named_where_the_inventory_says() {
    let places = [
        ("XChaCha20Poly1305::", "crypto.rs"),
        ("HMAC_SHA256", "crypto.rs"),
        ("Sha256::", "crypto.rs"),
        ("OsRng", "crypto.rs"),
        ("RSA_PSS_SHA256", "credential.rs"),
    ];
    for (path, code) in product() {
        for (primitive, place) in places {
            let is_there = code.lines().any(|line| line.contains(primitive) && !line.trim_start().starts_with("//"));
            assert!(!is_there || path.ends_with(place), "{}: {primitive}", path.display());
        }
        for weak in ["SHA1", "Sha1", "Md5", "PKCS1_SHA256", "thread_rng", "SmallRng", "seed_from_u64", "danger_accept"]
        {
            assert!(!code.contains(weak), "{}: {weak}", path.display());
        }
    }
}

/// What is compared with a secret is compared by `subtle`: no other file holds a comparison of one.
#[test]
fn v_11_2_4_secrets_are_compared_in_constant_time() {
    for (file, comparison) in [
        ("server/entra/src/crypto.rs", "mac(key, purpose, value).as_ref().ct_eq(&given)"),
        ("server/entra/src/oidc/flow.rs", "state.as_bytes().ct_eq(transaction.state().as_bytes())"),
        ("server/entra/src/oidc/id_token.rs", "expected.as_bytes().ct_eq(found.secret().as_bytes())"),
    ] {
        assert!(text(file).contains(comparison), "{file}: {comparison}");
    }
    for (path, code) in product() {
        for line in code.lines().filter(|line| line.contains("==") || line.contains("!=")) {
            let compares = ["nonce", "verifier", "client_secret", "csrf", "expose_secret"].iter().find(|secret| {
                line.contains(&format!("{secret} =="))
                    || line.contains(&format!("== {secret}"))
                    || line.contains("expose_secret() ==")
            });
            assert_eq!(compares, None, "{}: {line}", path.display());
        }
    }
}

#[test]
fn v_16_1_1_every_log_and_every_event_is_documented() {
    let logs = section("What is recorded, and what never is");
    let rows = text("server/src/admin/backend/rows.rs");
    let table = rows.split("const EVENTS").nth(1).and_then(|rest| rest.split("];").next()).expect("the kinds");
    let kinds: BTreeSet<&str> = table.split("(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(kinds.len() >= 22, "{kinds:?}");
    assert_names(&logs, kinds.iter().map(|kind| format!("`{kind}`")));
    for (path, code) in product() {
        for written in code.split("kind: \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let is_event = written.contains('.') || written == "sign_out";
            assert!(!is_event || kinds.contains(written), "{}: {written} has no words", path.display());
        }
    }
    assert_names(&logs, ["standard error", "JSON", "UTC", "`AUDIT_RETENTION`, 365 days", "`METRICS_ADDR`", "OTLP"]);
    assert_eq!(default_of("AUDIT_RETENTION"), "365d");
    // V-16.2.3: the process writes its log there alone.
    let telemetry = text("server/src/observe/telemetry.rs");
    assert!(telemetry.contains(".with_writer(std::io::stderr)"));
    for (path, code) in product() {
        let opens =
            ["File::create", "OpenOptions", "tracing_appender", "syslog"].iter().find(|way| code.contains(**way));
        // The development keys and the database.
        let is_known = ["config/dev_keys.rs", "store/src/pool.rs"].iter().any(|known| path.ends_with(Path::new(known)));
        assert!(opens.is_none() || is_known, "{}: {opens:?}", path.display());
    }
}

#[test]
fn v_3_7_5_what_browsers_it_needs_is_documented() {
    let browsers = section("What browsers it needs");
    assert_names(
        &browsers,
        ["`Sec-Fetch-Site`", "`Origin`", "`__Host-`", "`SameSite`", "Content Security Policy", "HSTS", "JavaScript"],
    );
}

/// Nothing that opens a door is in the source, and no setting has a secret as its default.
#[test]
fn v_13_3_1_and_v_13_2_3_no_secret_is_in_the_source_and_none_has_a_default() {
    for (path, code) in product() {
        for sign in ["PRIVATE KEY-----\\n", "PRIVATE KEY-----\nMII", "\"eyJ", "AccountKey=", "client_secret=\""] {
            assert!(!code.contains(sign), "{}: {sign}", path.display());
        }
    }
    for known in definitions() {
        let is_secret = ["SECRET", "KEY", "TOKEN_FILE", "DATABASE_URL"].iter().any(|part| known.name.contains(part));
        assert!(!is_secret || known.default.is_none(), "{} has a default", known.name);
    }
    let example = text(".env.example");
    for name in ["ENTRA_CLIENT_SECRET", "TOKEN_ENCRYPTION_KEYS", "ENTRA_CLIENT_KEY_FILE"] {
        assert!(example.contains(&format!("#{name}=\n")), "{name} is empty in the example");
    }
}

/// V-12.3: what proves who a server is cannot be switched off.
#[test]
fn v_12_3_2_no_setting_turns_a_check_of_certificates_off() {
    for known in definitions() {
        let name = known.name.to_lowercase();
        let sounds = ["insecure", "verify", "skip", "no_tls", "ssl", "trust_all", "validate", "allow_http"];
        assert!(!sounds.iter().any(|sound| name.contains(sound)), "{name}");
    }
    for (path, code) in product() {
        for way in [
            "danger_accept_invalid",
            "dangerous()",
            "with_custom_certificate_verifier",
            "tls_built_in_root_certs(false)",
        ] {
            assert!(!code.contains(way), "{}: {way}", path.display());
        }
    }
}
