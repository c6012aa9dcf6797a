//! The commands of the binary that need no database.
#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

use std::process::{Command, Output};

/// Runs `server` in an empty folder, with these settings and no others.
fn server(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_server"));
    command.args(arguments).env_clear().envs(settings.iter().copied()).current_dir(folder.path());
    command.output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn keys_new_prints_one_key_and_never_the_same() {
    let key = || text(&server(&["keys", "new", "--id", "k1"], &[]).stdout);
    let (first, second) = (key(), key());
    assert!(first.starts_with("k1:") && first.lines().count() == 1, "{first}");
    assert_ne!(first, second);
}

#[test]
fn entra_setup_follows_from_the_settings_before_there_is_a_registration() {
    let settings = [("PUBLIC_URL", "https://portal.example"), ("ENTRA_TENANT_ID", "organizations")];
    for (format, needed) in [
        ("steps", "Web, https://portal.example/auth/callback"),
        ("az", "--sign-in-audience AzureADMultipleOrgs"),
        ("terraform", "sign_in_audience        = \"AzureADMultipleOrgs\""),
    ] {
        let output = server(&["entra-setup", format], &settings);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains(needed), "{format}: {}", text(&output.stdout));
    }
}

#[test]
fn entra_setup_refuses_another_provider() {
    let output = server(&["entra-setup"], &[("OIDC_ISSUER", "https://op.example")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("OIDC_ISSUER"));
}

#[test]
fn the_script_for_the_azure_cli_is_a_shell_script() {
    let script = text(&server(&["entra-setup", "az"], &[("PUBLIC_URL", "https://portal.example")]).stdout);
    let checked = Command::new("bash").args(["-n", "-c", &script]).output().expect("bash");
    assert!(checked.status.success(), "{}", text(&checked.stderr));
}

/// A database of the kind that this build has; nobody connects to it.
const DATABASE: (&str, &str) =
    ("DATABASE_URL", if cfg!(feature = "sqlite") { "sqlite://app.db" } else { "postgres://localhost/app" });

#[cfg(debug_assertions)]
#[test]
fn a_debug_build_does_not_serve_the_public() {
    let key = text(&server(&["keys", "new"], &[]).stdout);
    let entra = [
        ("ENTRA_TENANT_ID", "00000000-0000-4000-8000-000000000000"),
        ("ENTRA_CLIENT_ID", "00000000-0000-4000-8000-000000000001"),
        ("ENTRA_CLIENT_SECRET", "a-secret"),
        ("TOKEN_ENCRYPTION_KEYS", key.trim()),
    ];
    let public = ("PUBLIC_URL", "https://app.example.com");
    for settings in [&[public, DATABASE][..], &[&[public, DATABASE], &entra[..]].concat()] {
        let output = server(&["serve"], settings);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("PUBLIC_URL: this is a debug build"), "{}", text(&output.stderr));
    }
}

// Elsewhere it would take a database server to come as far.
#[cfg(feature = "sqlite")]
#[test]
fn a_start_behind_a_proxy_that_nobody_named_warns() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let output = server(&["serve"], &[("PUBLIC_URL", "https://app.localhost"), ("BIND_ADDR", &address)]);
    assert_eq!(output.status.code(), Some(1), "the port is taken");
    let log = text(&output.stderr);
    assert!(log.contains("WARN") && log.contains("TRUSTED_PROXIES: "), "{log}");
}

#[test]
fn the_health_check_fails_where_nothing_listens() {
    let output = server(&["healthcheck"], &[("BIND_ADDR", "127.0.0.1:1")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("BIND_ADDR"), "{}", text(&output.stderr));
}

#[test]
fn k_04_wrong_settings_stop_every_command_with_all_problems_at_once() {
    let settings = [("PUBLIC_URL", "http://app.example"), ("ENTRA_VALIDATE", "off"), ("HTTP_TIMEOUT", "soon")];
    for arguments in [&["serve"][..], &["doctor"], &["keys", "rotate"]] {
        let output = server(arguments, &settings);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let problems = text(&output.stderr);
        for name in ["PUBLIC_URL", "ENTRA_VALIDATE", "HTTP_TIMEOUT"] {
            assert!(problems.contains(name), "{arguments:?}: {problems}");
        }
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn migrate_needs_nothing_but_the_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("deep/app.db").display());
    let migrate = || server(&["migrate"], &[("DATABASE_URL", &url), ("PUBLIC_URL", "not looked at")]);
    let [first, second] = [migrate(), migrate()];
    assert!(first.status.success() && text(&first.stdout).starts_with("ran "), "{}", text(&first.stderr));
    assert_eq!(text(&second.stdout), "the schema is up to date\n");
    assert!(!folder.path().join("data").exists(), "no keys are made");
}
