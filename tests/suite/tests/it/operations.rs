//! What operators run: the checks of `server doctor`, and the change to a new encryption key.

use entra_emulator::{Endpoint, Fault};
use server::diagnostics::doctor::examine;
use server::diagnostics::findings::{Finding, Level};
use server::tokens::{refresh_due, rotate};
use suite::TestApp;

async fn finding(app: &TestApp, check: &str) -> Finding {
    let findings = examine(&app.state).await;
    let found = findings.iter().find(|finding| finding.check == check).cloned();
    found.unwrap_or_else(|| panic!("no check {check} in {findings:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_is_content_with_a_good_registration() {
    let app = TestApp::start().await;
    let findings = examine(&app.state).await;
    let bad: Vec<&Finding> = findings.iter().filter(|finding| finding.level == Level::Failure).collect();
    assert!(bad.is_empty(), "{bad:?}");
    let checks: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
    let expected = [
        "database",
        "cookies",
        "client addresses",
        "scopes",
        "groups",
        "discovery",
        "clock",
        "redirect URI",
        "credential",
    ];
    assert_eq!(checks, expected);
    assert_eq!(finding(&app, "cookies").await.level, Level::Warning, "http on loopback is for development");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_where_groups_come_from_and_which_rules_give_nobody_a_role() {
    const RULES: &str = "0a0b0c0d-0000-4000-8000-000000000001=staff,Sales=sales";
    for (generic, settings, level, words) in [
        (false, &[][..], Level::Ok, "Microsoft Graph is asked"),
        (true, &[], Level::Ok, "GROUPS_CLAIM_EMITTED"),
        (true, &[("GROUPS_CLAIM_EMITTED", "false")], Level::Warning, "GROUPS_KEEP_FOR"),
        (false, &[("GROUPS_CLAIM", "off")], Level::Warning, "0a0b0c0d-0000-4000-8000-000000000001=staff gives nobody"),
    ] {
        let mut builder = TestApp::builder().setting("ROLE_MAPPING", RULES);
        for (name, value) in settings {
            builder = builder.setting(name, *value);
        }
        let app = if generic { builder.generic() } else { builder }.start().await;
        let found = finding(&app, "groups").await;
        assert_eq!(found.level, level, "{found:?}");
        assert!(found.detail.contains(words), "{found:?}");
    }
    let app = TestApp::builder().setting("ROLE_MAPPING", RULES).start().await;
    let named = entra_emulator::TokenEdit::claims(serde_json::json!({"groups": ["sales"]}));
    app.emulator.control().edit_id_token(Some(1), named);
    app.sign_in("member1").await;
    let found = finding(&app, "groups").await;
    assert_eq!((found.level, found.advice.contains("group:sales")), (Level::Warning, true), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_proxy_behind_which_all_people_are_one_client() {
    let https = |app: suite::TestAppBuilder| app.setting("PUBLIC_URL", "https://app.example.com");
    let app = https(TestApp::builder()).start().await;
    let found = finding(&app, "client addresses").await;
    assert_eq!(found.level, Level::Warning, "{found:?}");
    assert!(found.advice.contains("TRUSTED_PROXIES"), "{found:?}");
    let app = https(TestApp::builder()).setting("TRUSTED_PROXIES", "10.1.0.0/24").start().await;
    let found = finding(&app, "client addresses").await;
    assert!(found.level == Level::Ok && found.detail.contains("10.1.0.0/24"), "{found:?}");
    assert_eq!(finding(&TestApp::start().await, "client addresses").await.level, Level::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_redirect_uri_that_is_not_registered() {
    let app = TestApp::start().await;
    app.emulator.control().set_redirect_uris(&["https://elsewhere.example/auth/callback"]);
    let found = finding(&app, "redirect URI").await;
    assert_eq!(found.level, Level::Failure, "{found:?}");
    assert!(found.detail.contains("/auth/callback") && found.advice.contains("entra-setup"));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_registered_redirect_uri_with_form_post_too() {
    let app = TestApp::builder().setting("ENTRA_RESPONSE_MODE", "form_post").start().await;
    assert_eq!(finding(&app, "redirect URI").await.level, Level::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_wrong_or_expired_secret() {
    let app = TestApp::builder().setting("ENTRA_CLIENT_SECRET", "not-the-secret").start().await;
    let found = finding(&app, "credential").await;
    assert_eq!(found.level, Level::Failure);
    assert!(!found.detail.contains("not-the-secret") && !found.advice.is_empty(), "{found:?}");
    let app = TestApp::start().await;
    app.emulator.control().expire_client_secrets(true);
    assert_eq!(finding(&app, "credential").await.level, Level::Failure);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_finds_a_provider_that_is_down() {
    let app = TestApp::start().await;
    app.emulator.control().fault(Endpoint::Metadata, Fault::respond(503, ""));
    let found = finding(&app, "discovery").await;
    assert_eq!(found.level, Level::Failure);
}

#[tokio::test(flavor = "multi_thread")]
async fn l_06_doctor_finds_a_clock_that_is_off() {
    let app = TestApp::start().await;
    app.advance(45);
    assert_eq!(finding(&app, "clock").await.level, Level::Warning);
    app.advance(120);
    assert_eq!(finding(&app, "clock").await.level, Level::Failure);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_34_doctor_warns_of_missing_scopes() {
    let app = TestApp::builder().setting("ENTRA_SCOPES", "openid profile").start().await;
    let found = finding(&app, "scopes").await;
    assert_eq!(found.level, Level::Warning);
    assert!(found.detail.contains("offline_access") && found.detail.contains("User.Read"), "{found:?}");
}

const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "new:HxwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEAAQI=";

#[tokio::test(flavor = "multi_thread")]
async fn f_16_every_grant_is_sealed_anew_and_the_old_key_can_go() {
    let before = TestApp::builder().setting("TOKEN_ENCRYPTION_KEYS", OLD).start().await;
    before.emulator.control().set_access_token_lifetime(3600..=3600);
    for persona in ["admin", "member1", "member2"] {
        before.sign_in(persona).await;
    }
    let both =
        TestApp::builder().beside(&before).setting("TOKEN_ENCRYPTION_KEYS", format!("{NEW},{OLD}")).start().await;
    let rotation = rotate(&both.state).await.expect("rotated");
    assert_eq!((rotation.resealed, rotation.current, rotation.unreadable.len()), (3, 0, 0));
    let again = rotate(&both.state).await.expect("rotated");
    assert_eq!((again.resealed, again.current), (0, 3), "running it again does no harm");
    let after = TestApp::builder().beside(&before).setting("TOKEN_ENCRYPTION_KEYS", NEW).start().await;
    after.advance(3600);
    after.emulator.control().advance_clock(3600);
    assert_eq!(refresh_due(&after.state).await.expect("no error"), 3, "the new key alone opens every grant");
    assert_eq!(after.db_events("keys.rotated").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_16_a_grant_that_no_key_opens_is_named_and_the_others_are_sealed_anew() {
    let before = TestApp::builder().setting("TOKEN_ENCRYPTION_KEYS", OLD).start().await;
    before.sign_in("member1").await;
    let lost = TestApp::builder().beside(&before).setting("TOKEN_ENCRYPTION_KEYS", NEW).start().await;
    lost.sign_in("member2").await;
    let rotation = rotate(&lost.state).await.expect("rotated");
    let user = lost.db_user("member1@contoso.example").await;
    let unreadable: Vec<String> = lost.db_grants(&user).await.into_iter().map(|grant| grant.id).collect();
    assert_eq!(rotation.unreadable, unreadable);
    assert_eq!((rotation.resealed, rotation.current), (0, 1));
}
