//! What the suite's full plan adds to the code flow, and what of the other flows applies to it.

use entra_emulator::{Endpoint, Signing, TokenEdit};
use serde_json::json;
use suite::Refusal;

use crate::case::{Case, case};
use crate::setup::{PERSON, Setup, UPN, merge, signs_in, without};

pub(crate) fn all() -> Vec<Case> {
    let setup = Setup::Generic;
    vec![
        case("oidcc-client-test-form-post-error", error_by_form_post),
        setup.refuses_token("oidcc-client-test-missing-aud", without("aud"), "id_token.missing_claim"),
        case("oidcc-client-test-userinfo-bearer-header", user_info_by_header),
        case("oidcc-client-test-nonce-unless-code-flow", sends_a_nonce),
        setup.refuses_token(
            "oidcc-client-test-invalid-sig-hs256",
            TokenEdit::signing(Signing::BrokenHmac),
            "id_token.bad_alg",
        ),
        setup.refuses_token(
            "oidcc-client-test-invalid-sig-es256",
            TokenEdit::signing(Signing::BrokenEs256),
            "id_token.bad_alg",
        ),
        setup.refuses_token(
            "oidcc-client-test-invalid-athash",
            TokenEdit::claims(json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"})),
            "id_token.bad_at_hash",
        ),
        case("oidcc-client-test-distributed-claims", distributed_claims),
        case("oidcc-client-test-3rd-party-init-login", begun_by_a_third_party),
    ]
}

async fn error_by_form_post() {
    let app = Setup::GenericFormPost.start().await;
    let refusal = Refusal::watch(&app).await;
    let response = refusal.browser.begin("/auth/sign-in?prompt=none").await;
    assert!(response.has_form("/auth/callback"), "by form_post: {}", response.text());
    let answer = refusal.browser.deliver(response).await;
    refusal.assert(&answer, "provider.").await;
}

async fn user_info_by_header() {
    let app = Setup::Generic.start().await;
    signs_in(&app).await;
    let request = app.emulator.control().requests_of(Endpoint::Userinfo).remove(0);
    assert_eq!(request.header("authorization"), Some("Bearer"));
    assert_eq!((request.method.as_str(), request.parameter("access_token")), ("GET", None));
}

async fn sends_a_nonce() {
    let app = Setup::Generic.start().await;
    signs_in(&app).await;
    let request = app.emulator.control().requests_of(Endpoint::Authorize).remove(0);
    assert!(request.parameter("nonce").is_some_and(|nonce| nonce.len() >= 43), "256 random bits");
}

/// Neither the ID token nor userinfo can make the application call an address that they name.
async fn distributed_claims() {
    let app = Setup::Generic.start().await;
    let control = app.emulator.control();
    let endpoint = format!("{}/_claim-source/groups", app.emulator.base_url());
    let elsewhere = json!({
        "_claim_names": {"groups": "src1", "department": "src1"},
        "_claim_sources": {"src1": {"endpoint": endpoint, "access_token": "for-the-claim-source"}},
    });
    control.edit_id_token(None, TokenEdit::claims(elsewhere.clone()));
    merge(control, Endpoint::Userinfo, elsewhere);
    signs_in(&app).await;
    assert_eq!(control.count(Endpoint::ClaimSource), 0);
}

/// Another site names the issuer and where to go: the person goes on from the sign-in page. With
/// another issuer nothing is begun, and a target elsewhere leads home.
async fn begun_by_a_third_party() {
    let app = Setup::Generic.start().await;
    let page = |issuer: &str, target: &str| {
        let pairs = [("iss", issuer), ("target_link_uri", target), ("login_hint", UPN)];
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("/auth/sign-in?{query}")
    };
    let own = format!("{}/profile?x=1", app.origin());
    for (target, expected) in [(own.as_str(), "/profile?x=1"), ("https://attacker.example/profile", "/")] {
        let answer = app.browser().sign_in_at(&page(&app.emulator.issuer(), target), PERSON).await;
        answer.assert_status(303);
        assert_eq!(answer.location_path(), expected);
    }
    let browser = app.browser();
    browser.get(&page("https://attacker.example", &own)).await.assert_status(400);
    assert!(browser.cookie_names().is_empty(), "nothing is begun");
}
