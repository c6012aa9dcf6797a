//! Client authentication: docs/requirements.tsv S-09 and E-35.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use rsa::pkcs1::EncodeRsaPublicKey as _;
use rsa::pkcs8::{EncodePrivateKey as _, LineEnding};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::config::{ClientCredential, ProviderConfig};
use crate::crypto::{digest, random_token};
use crate::oidc::testing::{
    ACCESS_TOKEN, AUTHORITY, Answer, Bench, CLIENT_ID, Key, OTHER_TENANT, TENANT, document, entra, generic, multi,
    single,
};

/// A file that is removed with the test.
struct TempFile(PathBuf);

impl TempFile {
    fn new(content: &str) -> Self {
        let name = format!("oidc-{}", random_token().expect("random"));
        let file = Self(std::env::temp_dir().join(name));
        file.write(content);
        file
    }

    fn write(&self, content: &str) {
        std::fs::write(&self.0, content).expect("writes");
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn with_credential(credential: ClientCredential) -> Bench {
    Bench::with_config(ProviderConfig { credential, ..entra(single()) })
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn private_key(key: Key) -> String {
    key.private().to_pkcs8_pem(LineEnding::LF).expect("PEM").to_string()
}

#[tokio::test]
async fn s_09_entra_gets_the_secret_in_the_body() {
    let bench = Bench::entra();
    bench.sign_in(|_| ()).await.expect("signs in");
    let request = bench.script.last("/token");
    assert_eq!(request.form["client_id"], CLIENT_ID);
    assert_eq!(request.form["client_secret"], "s+e/c %r&e=t");
    assert!(!request.headers.contains_key("authorization"));
}

#[tokio::test]
async fn s_09_and_t_13_other_providers_get_it_as_they_list() {
    let cases = [
        (json!(["client_secret_basic"]), true),
        (json!(["client_secret_post", "client_secret_basic"]), true),
        (json!(["client_secret_post"]), false),
        (json!(null), true),
        (json!(["private_key_jwt"]), true),
    ];
    for (methods, is_basic) in cases {
        let config = ProviderConfig { client_id: "id:with%".to_owned(), ..generic() };
        let bench = Bench::with_config(config);
        let mut metadata = document(&bench.config);
        metadata["token_endpoint_auth_methods_supported"] = methods.clone();
        bench.set_metadata(&metadata);
        let begun = bench.begin().await;
        let _ = bench.finish_with(begun, &Answer::lost()).await;
        let request = bench.script.last("/token");
        assert_eq!(request.headers.contains_key("authorization"), is_basic, "{methods}");
        assert_eq!(request.form.contains_key("client_secret"), !is_basic, "{methods}");
        if is_basic {
            let credentials = request.headers["authorization"].to_str().expect("text").strip_prefix("Basic ");
            let decoded = STANDARD.decode(credentials.expect("basic")).expect("base64");
            assert_eq!(String::from_utf8(decoded).expect("text"), "id%3Awith%25:s%2Be%2Fc+%25r%26e%3Dt");
        }
    }
}

#[tokio::test]
async fn e_35_a_secret_file_is_read_anew() {
    let file = TempFile::new("first\n");
    let bench = with_credential(ClientCredential::SecretFile(file.0.clone()));
    bench.sign_in(|_| ()).await.expect("signs in");
    assert_eq!(bench.script.last("/token").form["client_secret"], "first");
    file.write("second");
    bench.sign_in(|_| ()).await.expect("signs in");
    assert_eq!(bench.script.last("/token").form["client_secret"], "second");
}

#[tokio::test]
async fn e_35_a_federated_token_is_read_on_each_use() {
    let file = TempFile::new("header.payload.one\n");
    let bench = with_credential(ClientCredential::FederatedTokenFile(file.0.clone()));
    for token in ["header.payload.one", "header.payload.two"] {
        file.write(token);
        bench.sign_in(|_| ()).await.expect("signs in");
        let form = bench.script.last("/token").form;
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert_eq!(form["client_assertion"], token);
        assert_eq!(form["client_id"], CLIENT_ID);
        assert!(!form.contains_key("client_secret"));
    }
}

#[tokio::test]
async fn e_35_a_certificate_signs_a_fresh_assertion_each_time() {
    let certificate = TempFile::new(&pem("CERTIFICATE", b"certificate one"));
    let key = TempFile::new(&private_key(Key::A));
    let (certificate_file, key_file) = (certificate.0.clone(), key.0.clone());
    let bench = with_credential(ClientCredential::Certificate { certificate_file, key_file });
    let mut ids = Vec::new();
    for (der, signer) in [(&b"certificate one"[..], Key::A), (b"certificate one", Key::A), (b"certificate two", Key::B)]
    {
        certificate.write(&pem("CERTIFICATE", der));
        key.write(&private_key(signer));
        bench.sign_in(|_| ()).await.expect("signs in");
        let form = bench.script.last("/token").form;
        let (header, claims) = verified_assertion(&form["client_assertion"], signer);
        assert_eq!(header["alg"], "PS256");
        assert_eq!(header["x5t#S256"], URL_SAFE_NO_PAD.encode(digest(der)), "rotated without a restart");
        assert_eq!(claims["aud"], format!("{AUTHORITY}/{TENANT}/token"));
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT_ID), &json!(CLIENT_ID)));
        let now = bench.clock.now().timestamp();
        let lifetime = claims["exp"].as_i64().expect("a date") - now;
        assert!((300..=600).contains(&lifetime), "{lifetime}");
        assert_eq!(claims["nbf"], now);
        ids.push(claims["jti"].as_str().expect("text").to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn e_35_an_assertion_for_a_token_of_the_applications_own_is_for_the_tenants_own_endpoint() {
    let certificate = TempFile::new(&pem("CERTIFICATE", b"certificate one"));
    let key = TempFile::new(&private_key(Key::A));
    let (certificate_file, key_file) = (certificate.0.clone(), key.0.clone());
    let credential = ClientCredential::Certificate { certificate_file, key_file };
    let bench = Bench::with_config(ProviderConfig { credential, ..entra(multi(&[TENANT, OTHER_TENANT])) });
    let answer = json!({ "token_type": "Bearer", "access_token": ACCESS_TOKEN, "expires_in": 3599 });
    bench.script.answer("/token", Answer::json(200, &answer));
    let mut ids = Vec::new();
    for tenant in [TENANT, OTHER_TENANT] {
        bench.client.app_token(tenant, "https://graph.example/.default").await.expect("a token");
        let request = bench.script.last("/token");
        assert_eq!(request.form["grant_type"], "client_credentials");
        assert!(!request.form.contains_key("client_secret") && !request.headers.contains_key("authorization"));
        let (header, claims) = verified_assertion(&request.form["client_assertion"], Key::A);
        assert_eq!(header["x5t#S256"], URL_SAFE_NO_PAD.encode(digest(b"certificate one")));
        assert_eq!(claims["aud"], request.url, "for the endpoint that it is sent to");
        assert!(request.url.contains(tenant), "{}", request.url);
        assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT_ID), &json!(CLIENT_ID)));
        ids.push(claims["jti"].as_str().expect("text").to_owned());
    }
    assert_ne!(ids[0], ids[1]);
}

/// Header and claims of an assertion whose PS256 signature verifies.
fn verified_assertion(assertion: &str, key: Key) -> (Value, Value) {
    let (input, signature) = assertion.rsplit_once('.').expect("three parts");
    let public = key.private().to_public_key().to_pkcs1_der().expect("DER");
    let verifier = UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public.as_bytes());
    verifier.verify(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).expect("base64")).expect("verifies");
    let (header, claims) = input.split_once('.').expect("two parts");
    let part = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64")).expect("JSON");
    (part(header), part(claims))
}

#[tokio::test]
async fn files_that_cannot_be_used_name_their_setting_and_show_nothing_of_their_content() {
    let missing = PathBuf::from("/nonexistent/file");
    let empty = TempFile::new(" \n");
    let garbage = TempFile::new("canary-content");
    let certificate = TempFile::new(&pem("CERTIFICATE", b"certificate"));
    let small = TempFile::new(&private_key(Key::Small));
    let with_key = |key: &TempFile| ClientCredential::Certificate {
        certificate_file: certificate.0.clone(),
        key_file: key.0.clone(),
    };
    let swapped = ClientCredential::Certificate { certificate_file: small.0.clone(), key_file: certificate.0.clone() };
    let cases = [
        (ClientCredential::SecretFile(missing.clone()), "credential.unreadable", "ENTRA_CLIENT_SECRET_FILE"),
        (ClientCredential::SecretFile(empty.0.clone()), "credential.unreadable", "ENTRA_CLIENT_SECRET_FILE"),
        (ClientCredential::FederatedTokenFile(missing), "credential.unreadable", "ENTRA_FEDERATED_TOKEN_FILE"),
        (with_key(&garbage), "credential.unusable", "ENTRA_CLIENT_KEY_FILE"),
        (with_key(&small), "credential.unusable", "ENTRA_CLIENT_KEY_FILE"),
        (swapped, "credential.unusable", "ENTRA_CLIENT_CERTIFICATE_FILE"),
    ];
    for (credential, reason, setting) in cases {
        let bench = with_credential(credential);
        let error = bench.sign_in(|_| ()).await.expect_err("refused");
        assert_eq!(error.reason(), reason);
        assert!(error.to_string().contains(setting), "{error}");
        assert!(!error.to_string().contains("canary"));
        assert_eq!(bench.script.count("/token"), 0);
        assert!(bench.client.status().token_endpoint.is_failing);
    }
}

#[test]
fn a_secret_does_not_show() {
    let credential = ClientCredential::Secret(SecretString::from("canary"));
    assert!(!format!("{credential:?}").contains("canary"));
}
