//! How the application proves who it is: each method, and each way to fail.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entra_emulator::{Options, Signing};
use reqwest::{Response, StatusCode};
use rsa::pkcs8::EncodePublicKey as _;
use serde_json::{Value, json};

use crate::kit::{Kit, Parameters, assert_error, text};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn without(mut form: Parameters, names: &[&str]) -> Parameters {
    form.retain(|(name, _)| !names.contains(&name.as_str()));
    form
}

fn with_assertion(form: Parameters, assertion: &str) -> Parameters {
    let mut form = without(form, &["client_secret"]);
    form.push(("client_assertion_type".to_owned(), ASSERTION_TYPE.to_owned()));
    form.push(("client_assertion".to_owned(), assertion.to_owned()));
    form
}

async fn json_of(response: Response) -> (StatusCode, Value) {
    (response.status(), response.json().await.expect("JSON"))
}

/// The emulator's own certificate, which these tests register for the application: its private
/// key is at hand through `sign_jwt`.
async fn certificate(kit: &Kit) -> Vec<u8> {
    let key_set = kit.key_set().await;
    STANDARD.decode(key_set["keys"][0]["x5c"][0].as_str().expect("a certificate")).expect("base64")
}

fn claims(kit: &Kit, jti: &str) -> Value {
    let now = kit.emulator.control().now();
    json!({
        "aud": kit.tenant_url("oauth2/v2.0/token"),
        "iss": kit.emulator.client_id(),
        "sub": kit.emulator.client_id(),
        "jti": jti,
        "nbf": now,
        "iat": now,
        "exp": now + 600,
    })
}

#[tokio::test]
async fn e_35_secret_by_basic_is_form_encoded() {
    let secret = "a+b/c %&=~:ü";
    let kit = Kit::with(Options { client_secret: Some(secret.to_owned()), ..Options::default() });
    let form = without(kit.redemption(&kit.code("member1").await), &["client_id", "client_secret"]);
    let encode = |text: &str| serde_urlencoded::to_string([("", text)]).expect("a pair").split_off(1);
    let request = kit.http.post(kit.tenant_url("oauth2/v2.0/token"));
    let request = request.basic_auth(encode(kit.emulator.client_id()), Some(encode(secret)));
    let (status, body) = json_of(request.form(&form).send().await.expect("an answer")).await;
    assert_eq!(status, StatusCode::OK, "{body}");

    let request =
        kit.http.post(kit.tenant_url("oauth2/v2.0/token")).basic_auth(kit.emulator.client_id(), Some("wrong"));
    let (status, body) = json_of(request.form(&form).send().await.expect("an answer")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_error(&body, "invalid_client", 7000215);
}

#[tokio::test]
async fn secrets_can_be_wrong_missing_or_expired() {
    let kit = Kit::new();
    let form = kit.redemption(&kit.code("member1").await);
    let mut wrong = without(form.clone(), &["client_secret"]);
    let (status, body) = kit.token(&wrong).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_error(&body, "invalid_client", 7000218);
    wrong.push(("client_secret".to_owned(), "wrong".to_owned()));
    assert_error(&kit.token(&wrong).await.1, "invalid_client", 7000215);
    let mut unknown = without(form.clone(), &["client_id"]);
    unknown.push(("client_id".to_owned(), "nobody".to_owned()));
    assert_error(&kit.token(&unknown).await.1, "unauthorized_client", 700016);

    let control = kit.emulator.control();
    control.expire_client_secrets(true);
    assert_error(&kit.token(&form).await.1, "invalid_client", 7000222);
    control.add_client_secret("the-next-one");
    let mut renewed = without(form, &["client_secret"]);
    renewed.push(("client_secret".to_owned(), "the-next-one".to_owned()));
    assert_eq!(kit.token(&renewed).await.0, StatusCode::OK, "no code was lost");
}

#[tokio::test]
async fn e_35_a_certificate_signs_the_assertion() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let thumbprint = control.register_certificate(&certificate(&kit).await).expect("a key");
    let sha1 = control.current_kid();
    for (header, signing) in [
        (json!({ "x5t#S256": thumbprint, "kid": null }), Signing::Ps256),
        (json!({ "x5t": sha1, "kid": null }), Signing::Current),
    ] {
        let assertion = control.sign_jwt(header, claims(&kit, &format!("{signing:?}")), signing);
        let form = with_assertion(kit.redemption(&kit.code("member1").await), &assertion);
        let (status, body) = kit.token(&form).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let again = with_assertion(kit.redemption(&kit.code("member1").await), &assertion);
        assert_error(&kit.token(&again).await.1, "invalid_client", 700027);
    }
}

#[tokio::test]
async fn a_bare_public_key_can_be_registered_as_pem() {
    let kit = Kit::new();
    let key_set = kit.key_set().await;
    let number = |name: &str| {
        rsa::BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(text(&key_set["keys"][0], name)).expect("base64url"))
    };
    let public = rsa::RsaPublicKey::new(number("n"), number("e")).expect("a key");
    let pem = public.to_public_key_pem(rsa::pkcs8::LineEnding::LF).expect("PEM");
    let control = kit.emulator.control();
    let id = control.register_certificate(pem.as_bytes()).expect("a key");
    let assertion = control.sign_jwt(json!({ "kid": id }), claims(&kit, "1"), Signing::Ps256);
    let (status, body) = kit.token(&with_assertion(kit.redemption(&kit.code("member1").await), &assertion)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(control.register_certificate(b"no key"), None);
}

#[tokio::test]
async fn bad_assertions_are_told_apart() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let header = json!({ "x5t#S256": control.register_certificate(&certificate(&kit).await).expect("a key") });
    let form = kit.redemption(&kit.code("member1").await);
    let now = control.now();
    for (claim, value, code) in [
        ("aud", json!("https://login.example/token"), 700023),
        ("iss", json!("somebody"), 700021),
        ("sub", json!("somebody"), 700021),
        ("exp", json!(now - 1), 700024),
        ("exp", json!(now + 100 * 3600), 700024),
        ("nbf", json!(now + 3600), 700024),
        ("jti", json!(""), 700027),
    ] {
        let mut claims = claims(&kit, "once");
        claims[claim] = value;
        let assertion = control.sign_jwt(header.clone(), claims, Signing::Ps256);
        let (status, body) = kit.token(&with_assertion(form.clone(), &assertion)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{claim}");
        assert_error(&body, "invalid_client", code);
    }
    for signing in [Signing::BrokenSignature, Signing::UnpublishedKey, Signing::None, Signing::HmacWithClientSecret] {
        let assertion = control.sign_jwt(header.clone(), claims(&kit, "once"), signing);
        assert_error(&kit.token(&with_assertion(form.clone(), &assertion)).await.1, "invalid_client", 700027);
    }
    control.clear_certificates();
    let assertion = control.sign_jwt(header, claims(&kit, "once"), Signing::Ps256);
    assert_error(&kit.token(&with_assertion(form, &assertion)).await.1, "invalid_client", 700027);
}

#[tokio::test]
async fn a_federated_token_is_taken_if_it_is_registered() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let token = control.sign_jwt(json!({}), json!({ "aud": "api://AzureADTokenExchange" }), Signing::UnpublishedKey);
    let form = with_assertion(kit.redemption(&kit.code("member1").await), &token);
    assert_error(&kit.token(&form).await.1, "invalid_client", 700211);
    control.accept_federated_token(&token);
    assert_eq!(kit.token(&form).await.0, StatusCode::OK);
}
