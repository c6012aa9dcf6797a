//! What only the older suite has.

use entra_emulator::{Endpoint, Fault, Options, Signing, TokenEdit};
use serde_json::{Value, json};
use suite::TestApp;

use crate::basic::assert_authenticated_by_basic;
use crate::case::{Case, case};
use crate::setup::{PERSON, Setup, UPN, merge, signs_in};

/// A JWE in compact serialization (RFC 7516, section 3.1) of the right shape.
pub(crate) const JWE: &str =
    "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00iLCJjdHkiOiJKV1QifQ.c2VjcmV0.aXZpdml2aXY.Y2lwaGVydGV4dA.dGFndGFndGFn";

const ENCRYPTION: &str = "rp-id_token-sig+enc; rp-id_token-sig+enc-a128kw; rp-userinfo-enc; rp-userinfo-sig+enc; \
                          rp-request_uri-enc; rp-request_uri-sig+enc; rp-key-rotation-op-enc-key";

pub(crate) fn all() -> Vec<Case> {
    vec![
        Setup::Generic.refuses_token(
            "rp-id_token-sig-hs256",
            TokenEdit::signing(Signing::HmacWithClientSecret),
            "id_token.bad_alg",
        ),
        case("rp-token_endpoint-client_secret_post", secret_in_the_body),
        case("rp-token_endpoint-private_key_jwt", signed_assertion),
        case("rp-claims_request-id_token", claims_challenge),
        Setup::Generic.refuses_token(
            ENCRYPTION,
            TokenEdit { replace: Some(JWE.to_owned()), ..TokenEdit::default() },
            "id_token.encrypted",
        ),
    ]
}

async fn secret_in_the_body() {
    let options = Options { client_secret: Some("%+:/ &=~secret".to_owned()), ..Options::default() };
    let app = Setup::Generic.start_with(options).await;
    let only_post = json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
    merge(app.emulator.control(), Endpoint::Metadata, only_post);
    signs_in(&app).await;
    assert_authenticated_by_basic(&app, false);
}

async fn signed_assertion() {
    let emulator = std::sync::Arc::new(entra_emulator::Emulator::start(Options::default()).expect("an emulator"));
    let issued = emulator.control().issue_client_certificate().expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let app = TestApp::builder()
        .emulator(emulator)
        .setting("ENTRA_CLIENT_SECRET", "")
        .setting("ENTRA_CLIENT_CERTIFICATE_FILE", file("client.crt", &issued.certificate))
        .setting("ENTRA_CLIENT_KEY_FILE", file("client.key", &issued.key))
        .start()
        .await;
    signs_in(&app).await;
    let exchange = app.emulator.control().requests_of(Endpoint::Token).remove(0);
    assert!(exchange.parameter("client_assertion").is_some());
    assert_eq!((exchange.parameter("client_secret"), exchange.header("authorization")), (None, None));
}

/// Entra asks for claims in an error: the next request has them as they were, and brings a token.
async fn claims_challenge() {
    let app = Setup::Entra.start().await;
    let challenge = json!({"id_token": {"acrs": {"essential": true, "value": "c1"}}});
    let fault = Fault::Aadsts { code: 50076, claims: Some(challenge.to_string()) };
    app.emulator.control().fault_next(Endpoint::Token, 1, fault);
    let browser = app.browser();
    let again = browser.sign_in(PERSON).await;
    let at_provider = browser.get(again.location().expect("to the provider").as_str()).await;
    browser.pick(&at_provider, PERSON).await.assert_status(303);
    browser.get("/profile").await.assert_status(200).assert_text(UPN);
    let request = app.emulator.control().requests_of(Endpoint::Authorize).pop().expect("a request");
    let sent: Value = serde_json::from_str(request.parameter("claims").expect("claims")).expect("JSON");
    assert_eq!(sent["id_token"], challenge["id_token"]);
}
