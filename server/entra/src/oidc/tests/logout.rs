//! Signing out at the provider, and being told by it: docs/requirements.tsv S-30, S-35, S-40.

use secrecy::SecretString;
use serde_json::json;

use crate::oidc::EndSession;
use crate::oidc::testing::{
    AUTHORITY, Answer, Bench, CLIENT_ID, GENERIC_ISSUER, Key, OID, TENANT, Token, document, entra, generic, multi,
    query,
};

fn request() -> EndSession {
    EndSession {
        post_logout_redirect_uri: "https://app.example/auth/signed-out".to_owned(),
        login_hint: Some("opaque-hint".to_owned()),
        id_token: Some(SecretString::from("the.id.token")),
    }
}

#[tokio::test]
async fn s_30_and_e_37_entra_gets_a_logout_hint() {
    let url = Bench::entra().client.end_session_url(request()).await.expect("a place");
    assert!(url.as_str().starts_with(&format!("{AUTHORITY}/{TENANT}/logout?")));
    let query = query(&url);
    assert_eq!(query["post_logout_redirect_uri"], "https://app.example/auth/signed-out");
    assert_eq!(query["logout_hint"], "opaque-hint");
    assert!(!query.contains_key("id_token_hint"));
}

#[tokio::test]
async fn s_30_other_providers_get_an_id_token_hint() {
    let url = Bench::with_config(generic()).client.end_session_url(request()).await.expect("a place");
    let query = query(&url);
    assert_eq!(query["id_token_hint"], "the.id.token");
    assert_eq!(query["client_id"], CLIENT_ID);
    assert!(!query.contains_key("logout_hint"));
}

#[tokio::test]
async fn s_30_no_such_place_or_no_provider_is_no_error() {
    let bench = Bench::with_config(generic());
    let mut metadata = document(&bench.config);
    metadata.as_object_mut().expect("an object").remove("end_session_endpoint");
    bench.set_metadata(&metadata);
    assert_eq!(bench.client.end_session_url(request()).await, None);
    let down = Bench::entra();
    down.script.answer("/.well-known/openid-configuration", Answer::lost());
    assert_eq!(down.client.end_session_url(request()).await, None);
}

#[tokio::test]
async fn s_35_the_issuer_of_a_front_channel_request() {
    let bench = Bench::with_config(entra(multi(&[TENANT])));
    let issuer = format!("{AUTHORITY}/{TENANT}/v2.0");
    assert!(!bench.client.is_our_issuer(&issuer), "nothing is known yet");
    bench.begin().await;
    assert!(bench.client.is_our_issuer(&issuer));
    assert!(!bench.client.is_our_issuer("https://evil.example"));
}

fn logout_token(bench: &Bench) -> Token {
    let mut token = bench.token();
    token.header.insert("typ".to_owned(), json!("logout+jwt"));
    token.set("events", json!({ "http://schemas.openid.net/event/backchannel-logout": {} }));
    token.set("jti", "jti-1");
    for claim in ["name", "email", "preferred_username", "nbf"] {
        token.remove(claim);
    }
    token
}

async fn verdict(edit: impl FnOnce(&mut Token)) -> &'static str {
    let bench = Bench::with_config(generic());
    let mut token = logout_token(&bench);
    edit(&mut token);
    bench.client.verify_logout_token(&token.sign()).await.map_or_else(|error| error.reason(), |_| "accepted")
}

#[tokio::test]
async fn s_40_a_good_logout_token_says_whose_sessions_end() {
    let bench = Bench::with_config(generic());
    let token = bench.client.verify_logout_token(&logout_token(&bench).sign()).await.expect("accepted");
    assert_eq!(token.realm, GENERIC_ISSUER);
    assert_eq!(token.subject.as_deref(), Some("pairwise-subject"));
    assert_eq!(token.sid.as_deref(), Some("session-1"));
    assert_eq!(token.jti, "jti-1");
    assert!(token.remember_until > bench.clock.now() + chrono::Duration::hours(1), "longer than iat passes");
    assert_eq!(verdict(|t| t.remove("sid")).await, "accepted");
    assert_eq!(verdict(|t| t.remove("sub")).await, "accepted");
    assert_eq!(verdict(|t| t.remove("exp")).await, "accepted");
    assert_eq!(verdict(|t| drop(t.header.remove("typ"))).await, "accepted");
}

#[tokio::test]
async fn s_40_entras_people_are_known_by_tenant_and_object_id() {
    let token = |tenant: &str, bench: &Bench| {
        let mut token = logout_token(bench);
        token.set("tid", tenant);
        token.set("iss", format!("{AUTHORITY}/{tenant}/v2.0"));
        token.sign()
    };
    let bench = Bench::with_config(entra(multi(&[TENANT])));
    let accepted = bench.client.verify_logout_token(&token(TENANT, &bench)).await.expect("accepted");
    assert_eq!((accepted.realm.as_str(), accepted.subject.as_deref()), (TENANT, Some(OID)));
    let other = "0d0d0d0d-0000-4000-8000-000000000000";
    let refused = bench.client.verify_logout_token(&token(other, &bench)).await.expect_err("another tenant");
    assert!(refused.is_denied(), "{refused}");
    let mut mixed = logout_token(&bench);
    mixed.set("tid", other);
    let refused = bench.client.verify_logout_token(&mixed.sign()).await.expect_err("iss of another tenant");
    assert_eq!(refused.reason(), "id_token.bad_iss");
}

#[tokio::test]
async fn s_40_each_single_edit_is_refused() {
    type Edit = fn(&mut Token);
    let edits: [(&str, Edit, &str); 18] = [
        ("alg none", |t| drop(t.header.insert("alg".to_owned(), json!("none"))), "id_token.bad_alg"),
        ("wrong alg", |t| drop(t.header.insert("alg".to_owned(), json!("HS256"))), "id_token.bad_alg"),
        ("other key", |t| t.key = Key::B, "id_token.bad_signature"),
        ("no events", |t| t.remove("events"), "logout_token.no_event"),
        ("wrong event", |t| t.set("events", json!({ "https://example.com": {} })), "logout_token.no_event"),
        (
            "event no object",
            |t| t.set("events", json!(["http://schemas.openid.net/event/backchannel-logout"])),
            "logout_token.no_event",
        ),
        ("nonce", |t| t.set("nonce", "n"), "logout_token.nonce"),
        ("iss", |t| t.set("iss", format!("{GENERIC_ISSUER}1")), "id_token.bad_iss"),
        ("aud", |t| t.set("aud", format!("{CLIENT_ID}1")), "id_token.bad_aud"),
        ("aud besides ours", |t| t.set("aud", json!([CLIENT_ID, "other"])), "id_token.bad_aud"),
        ("no aud", |t| t.remove("aud"), "id_token.missing_claim"),
        ("no jti", |t| t.remove("jti"), "id_token.missing_claim"),
        ("no iat", |t| t.remove("iat"), "id_token.missing_claim"),
        ("old iat", |t| t.set("iat", 1_790_000_000 - 4000), "id_token.bad_iat"),
        ("expired", |t| t.set("exp", 1_790_000_000 - 301), "id_token.expired"),
        ("exp as text", |t| t.set("exp", "1790003600"), "id_token.wrong_type"),
        ("typ", |t| drop(t.header.insert("typ".to_owned(), json!("at+jwt"))), "id_token.bad_typ"),
        (
            "nobody",
            |t| {
                t.remove("sub");
                t.remove("sid");
            },
            "id_token.missing_claim",
        ),
    ];
    for (name, edit, reason) in edits {
        assert_eq!(verdict(edit).await, reason, "{name}");
    }
}

#[tokio::test]
async fn s_40_tokens_of_one_kind_do_not_pass_for_the_other() {
    let bench = Bench::with_config(generic());
    let as_logout = bench.client.verify_logout_token(&bench.token().sign()).await.expect_err("an ID token");
    assert_eq!(as_logout.reason(), "logout_token.no_event");
    let as_id_token = |token: &mut Token| {
        token.header.insert("typ".to_owned(), json!("logout+jwt"));
    };
    assert_eq!(bench.refusal(as_id_token).await, "id_token.bad_typ");
    let long = "x".repeat(10 * 1024 * 1024);
    assert_eq!(bench.client.verify_logout_token(&long).await.expect_err("too long").reason(), "id_token.too_long");
}
