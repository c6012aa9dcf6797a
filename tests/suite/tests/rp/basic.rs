//! RP Basic: the code flow, with the response in the query and, once more, by form_post.

use entra_emulator::{Endpoint, KeySetShape, Options, Signing, TokenEdit};
use serde_json::json;
use suite::TestApp;

use crate::case::{Case, case};
use crate::setup::{Setup, UPN, appended, merge, signs_in, without, without_kid};
use crate::table::FORM_POST;

/// With the response in the query.
pub(crate) fn query() -> Vec<Case> {
    by(Setup::Generic)
}

/// With the response in a form that posts itself.
pub(crate) fn form_post() -> Vec<Case> {
    by(Setup::GenericFormPost).into_iter().map(|case| case.below(FORM_POST)).collect()
}

fn by(setup: Setup) -> Vec<Case> {
    vec![
        case("oidcc-client-test", move || complete_sign_in(setup)),
        setup.refuses_token("oidcc-client-test-invalid-iss", appended("iss", "1"), "id_token.bad_iss"),
        setup.refuses_token("oidcc-client-test-missing-sub", without("sub"), "id_token.missing_claim"),
        setup.refuses_token("oidcc-client-test-invalid-aud", appended("aud", "1"), "id_token.bad_aud"),
        setup.refuses_token("oidcc-client-test-missing-iat", without("iat"), "id_token.missing_claim"),
        setup.accepts("oidcc-client-test-kid-absent-single-jwks", |app| {
            app.emulator.control().edit_id_token(None, without_kid());
            app.emulator.control().set_key_set_shape(KeySetShape { without_kid: true, ..KeySetShape::default() });
        }),
        setup.refuses(
            "oidcc-client-test-kid-absent-multiple-jwks",
            |app| {
                app.emulator.control().edit_id_token(None, without_kid());
                app.emulator.control().set_key_set_shape(KeySetShape { decoys: 2, ..KeySetShape::default() });
            },
            "id_token.ambiguous_key",
        ),
        case("oidcc-client-test-idtoken-sig-rs256", move || signed_with_rs256(setup)),
        setup.refuses_token(
            "oidcc-client-test-idtoken-sig-none",
            TokenEdit::signing(Signing::None),
            "id_token.bad_alg",
        ),
        setup.refuses_token(
            "oidcc-client-test-invalid-sig-rs256",
            TokenEdit::signing(Signing::BrokenSignature),
            "id_token.bad_signature",
        ),
        setup.refuses_user_info("oidcc-client-test-userinfo-invalid-sub", json!({"sub": "somebody else"})),
        setup.refuses_token("oidcc-client-test-nonce-invalid", appended("nonce", "1"), "id_token.bad_nonce"),
        case("oidcc-client-test-scope-userinfo-claims", move || claims_by_scope(setup)),
        case("oidcc-client-test-client-secret-basic", move || secret_by_basic(setup)),
    ]
}

async fn complete_sign_in(setup: Setup) {
    let app = setup.start().await;
    signs_in(&app).await;
    let control = app.emulator.control();
    let request = control.requests_of(Endpoint::Authorize).remove(0);
    let scope = request.parameter("scope").unwrap_or_default();
    assert!(scope.split(' ').any(|scope| scope == "openid"), "{scope}");
    assert_eq!(request.parameter("client_id"), Some(app.emulator.client_id()));
    assert_eq!(request.parameter("response_type"), Some("code"));
    let redirect = format!("{}/auth/callback", app.origin());
    assert_eq!(request.parameter("redirect_uri"), Some(redirect.as_str()));
    assert_eq!(request.parameter("code_challenge_method"), Some("S256"));
    let exchange = control.requests_of(Endpoint::Token).remove(0);
    assert_eq!(exchange.parameter("redirect_uri"), Some(redirect.as_str()));
    assert!(exchange.parameter("code_verifier").is_some());
    assert_eq!((exchange.status, control.count(Endpoint::Token)), (Some(200), 1));
    assert_eq!(control.count(Endpoint::Userinfo), 1);
}

async fn signed_with_rs256(setup: Setup) {
    let app = setup.start().await;
    let only_rs256 = TokenEdit::with(|header, _| assert!(header.get("alg").is_none(), "the emulator's own choice"));
    app.emulator.control().edit_id_token(None, only_rs256);
    app.emulator.control().set_key_set_shape(KeySetShape { with_alg: true, ..KeySetShape::default() });
    signs_in(&app).await;
}

async fn claims_by_scope(setup: Setup) {
    let app = setup.start().await;
    let profile = json!({
        "name": "From Userinfo", "email": "userinfo@contoso.example", "email_verified": true,
        "phone_number": "+1 555 0100", "address": {"formatted": "1 Main Street"},
    });
    merge(app.emulator.control(), Endpoint::Userinfo, profile);
    signs_in(&app).await;
    let request = app.emulator.control().requests_of(Endpoint::Authorize).remove(0);
    let scopes: Vec<&str> = request.parameter("scope").unwrap_or_default().split(' ').collect();
    assert!(["profile", "email"].iter().all(|scope| scopes.contains(scope)), "{scopes:?}");
    let user = app.db_user(UPN).await;
    assert_eq!((user.display_name.as_str(), user.email.as_str()), ("From Userinfo", "userinfo@contoso.example"));
}

async fn secret_by_basic(setup: Setup) {
    let options = Options {
        client_id: "client:one".to_owned(),
        client_secret: Some("%+:/ &=~secret".to_owned()),
        ..Options::default()
    };
    let app = setup.start_with(options).await;
    let only_basic = json!({"token_endpoint_auth_methods_supported": ["client_secret_basic"]});
    merge(app.emulator.control(), Endpoint::Metadata, only_basic);
    signs_in(&app).await;
    assert_authenticated_by_basic(&app, true);
}

/// Whether the code was redeemed with the secret in the `Authorization` header, or in the body.
pub(crate) fn assert_authenticated_by_basic(app: &TestApp, by_basic: bool) {
    let exchange = app.emulator.control().requests_of(Endpoint::Token).remove(0);
    assert_eq!(exchange.header("authorization"), by_basic.then_some("Basic"));
    assert_eq!(exchange.parameter("client_secret").is_none(), by_basic);
}
