//! Faults and edits: that each misbehaviour is what it says, for as long as it says.

use std::io::Read as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra_emulator::{AuthorizationEdit, Endpoint, Fault, JsonEdit, Signing, TokenEdit};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use crate::kit::{Answer, Kit, assert_error, decode, is_signed_by, text};

fn metadata_url(kit: &Kit) -> String {
    kit.tenant_url("v2.0/.well-known/openid-configuration")
}

#[tokio::test]
async fn a_fault_lasts_as_long_as_it_was_set_for() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let url = metadata_url(&kit);
    control.fault_next(Endpoint::Metadata, 2, Fault::respond(500, "oops"));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(kit.get(&url).await.status().as_u16());
    }
    assert_eq!(statuses, [500, 500, 200]);
    control.fault(Endpoint::Metadata, Fault::html());
    for _ in 0..3 {
        assert!(kit.get(&url).await.text().await.expect("a page").starts_with("<!doctype html>"));
    }
    assert_eq!(kit.get(&kit.tenant_url("discovery/v2.0/keys")).await.status(), StatusCode::OK, "others are well");
    control.clear_faults();
    assert!(kit.get_json(&url).await["issuer"].is_string());
}

#[tokio::test]
async fn f_04_canned_answers() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    control.fault_next(Endpoint::Me, 1, Fault::retry_after(429, "7"));
    control.fault_next(Endpoint::Me, 1, Fault::redirect("http://127.0.0.1:1/"));
    control.fault_next(Endpoint::Me, 1, Fault::respond(200, ""));
    let response = kit.graph("/v1.0/me", "any").await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()[header::RETRY_AFTER], "7");
    let response = kit.graph("/v1.0/me", "any").await;
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()[header::LOCATION], "http://127.0.0.1:1/");
    assert_eq!(kit.graph("/v1.0/me", "any").await.text().await.expect("a body"), "");
}

#[tokio::test]
async fn f_02_a_hanging_request_waits_for_release() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    control.fault_next(Endpoint::Metadata, 1, Fault::Hang);
    let url = metadata_url(&kit);
    let mut request = Box::pin(kit.get_json(&url));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut request).await.is_err());
    assert_eq!(control.count(Endpoint::Metadata), 1, "it has arrived");
    control.release();
    assert!(request.await["issuer"].is_string(), "the genuine answer comes in the end");
}

#[tokio::test]
async fn f_03_slow_huge_and_bombed_bodies() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let url = metadata_url(&kit);
    let genuine = kit.get(&url).await.bytes().await.expect("a body");
    control.fault_next(Endpoint::Metadata, 1, Fault::Drip { milliseconds: 0 });
    assert_eq!(kit.get(&url).await.bytes().await.expect("a body"), genuine);
    control.fault_next(Endpoint::Metadata, 1, Fault::Delay { milliseconds: 1 });
    assert_eq!(kit.get(&url).await.bytes().await.expect("a body"), genuine);

    control.fault_next(Endpoint::Keys, 1, Fault::Huge { megabytes: 50 });
    let huge = kit.get(&kit.tenant_url("discovery/v2.0/keys")).await.bytes().await.expect("a body");
    assert_eq!(huge.len(), 50 * 1024 * 1024);

    control.fault_next(Endpoint::Keys, 1, Fault::GzipBomb { megabytes: 10 });
    let mut bomb = kit.get(&kit.tenant_url("discovery/v2.0/keys")).await;
    // The client's decoder reads all of it and only then finds the checksum wrong.
    let mut unpacked = 0;
    while let Ok(Some(chunk)) = bomb.chunk().await {
        assert!(chunk.iter().all(|byte| *byte == b' '));
        unpacked += chunk.len();
    }
    assert!(unpacked > 9 * 1024 * 1024, "{unpacked}");
}

#[tokio::test]
async fn f_06_connections_break() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let url = metadata_url(&kit);
    let genuine = kit.get(&url).await.bytes().await.expect("a body");
    control.fault_next(Endpoint::Metadata, 1, Fault::Truncate);
    let half = kit.get(&url).await.bytes().await.expect("a body");
    assert_eq!(half, genuine[..genuine.len() / 2]);
    control.fault_next(Endpoint::Metadata, 1, Fault::ResetMidBody);
    assert!(kit.get(&url).await.bytes().await.is_err());
    // A standing fault, since a client may try again on a fresh connection.
    control.fault(Endpoint::Metadata, Fault::Close);
    assert!(kit.http.get(&url).send().await.is_err());
    control.clear_faults();
    assert_eq!(kit.get(&url).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn f_06_a_closed_connection_has_no_answer_at_all() {
    let kit = Kit::new();
    kit.emulator.control().fault(Endpoint::Metadata, Fault::Close);
    let address = kit.emulator.address();
    let path = format!("/{}/v2.0/.well-known/openid-configuration", kit.emulator.tenant_id());
    let read = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        std::io::Write::write_all(&mut stream, format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes())
            .expect("sent");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).map(|_| bytes).unwrap_or_default()
    });
    assert!(read.await.expect("read").is_empty());
}

#[tokio::test]
async fn f_10_the_answer_is_lost_after_the_work() {
    let kit = Kit::new();
    let form = kit.redemption(&kit.code("member1").await);
    kit.emulator.control().fault_next(Endpoint::Token, 1, Fault::LoseAnswer);
    let lost = kit.http.post(kit.tenant_url("oauth2/v2.0/token")).form(&form).send().await;
    assert!(lost.is_err());
    assert_error(&kit.token(&form).await.1, "invalid_grant", 54005);
}

#[tokio::test]
async fn e_30_every_code_comes_in_entras_shape() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    for (code, error, status) in [
        (7000215, "invalid_client", 401),
        (7000222, "invalid_client", 401),
        (65001, "invalid_grant", 400),
        (50173, "invalid_grant", 400),
        (70008, "invalid_grant", 400),
        (90033, "temporarily_unavailable", 503),
        (90055, "temporarily_unavailable", 429),
        (50196, "invalid_grant", 400),
    ] {
        control.fault_next(Endpoint::Token, 1, Fault::aadsts(code));
        let (answered, body) = kit.token(&kit.refresh("any")).await;
        assert_eq!(answered.as_u16(), status, "AADSTS{code}");
        assert_error(&body, error, code);
    }
    control.fault_next(Endpoint::Authorize, 1, Fault::aadsts(90094));
    let answer = Answer::of(kit.authorize(&kit.request(), None).await);
    assert_eq!((answer.get("error"), answer.get("state")), ("access_denied", "the-state"));
    control.fault_next(Endpoint::Authorize, 1, Fault::aadsts(50011));
    assert_eq!(kit.authorize(&kit.request(), None).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn headers_can_be_replaced() {
    let kit = Kit::new();
    let headers =
        vec![("Content-Type".to_owned(), "text/plain".to_owned()), ("Cache-Control".to_owned(), String::new())];
    kit.emulator.control().fault_next(Endpoint::Metadata, 1, Fault::Headers { headers });
    let response = kit.get(&metadata_url(&kit)).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain");
    assert!(!response.headers().contains_key(header::CACHE_CONTROL));
}

#[tokio::test]
async fn s_15_claims_can_be_edited() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let additions = json!({ "iss": "1", "exp": -7200 }).as_object().expect("an object").clone();
    control.edit_id_token(Some(1), TokenEdit::claims(json!({ "aud": [kit.emulator.client_id(), "x"], "sub": null })));
    control.edit_id_token(Some(1), TokenEdit { add: additions, ..TokenEdit::default() });
    control.edit_id_token(
        Some(1),
        TokenEdit {
            set_claims: json!({ "nbf": null }).as_object().expect("an object").clone(),
            ..TokenEdit::default()
        },
    );
    control.edit_id_token(
        Some(1),
        TokenEdit::with(|header, claims| {
            header["typ"] = json!("at+jwt");
            claims["nonce"] = json!("another");
        }),
    );
    let token = text(&kit.sign_in("member1").await, "id_token").to_owned();
    assert!(is_signed_by(&token, &kit.key_set().await), "edited, but well signed");
    let (header, claims) = decode(&token);
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(claims["aud"], json!([kit.emulator.client_id(), "x"]));
    assert!(claims.get("sub").is_none());
    assert!(claims.get("nbf").is_some_and(Value::is_null));
    assert_eq!(claims["iss"], format!("{}1", kit.emulator.issuer()));
    assert!(claims["exp"].as_i64() < claims["iat"].as_i64());
    assert_eq!(claims["nonce"], "another");
    let (_, next) = decode(text(&kit.sign_in("member1").await, "id_token"));
    assert_eq!(next["nonce"], "the-nonce", "the edits were for one token");
}

#[tokio::test]
async fn s_15_signatures_can_be_bad() {
    let kit = Kit::new();
    let key_set = kit.key_set().await;
    for (signing, algorithm) in [
        (Signing::UnpublishedKey, "RS256"),
        (Signing::BrokenSignature, "RS256"),
        (Signing::HmacWithClientSecret, "HS256"),
        (Signing::BrokenHmac, "HS256"),
        (Signing::BrokenEs256, "ES256"),
        (Signing::Ps256, "PS256"),
        (Signing::None, "none"),
    ] {
        kit.emulator.control().edit_id_token(Some(1), TokenEdit::signing(signing));
        let token = text(&kit.sign_in("member1").await, "id_token").to_owned();
        assert_eq!(decode_header(&token)["alg"], algorithm, "{signing:?}");
        assert_eq!(decode_header(&token)["kid"], key_set["keys"][0]["kid"], "{signing:?}");
        assert!(!is_signed_by(&token, &key_set), "{signing:?}");
        if signing == Signing::HmacWithClientSecret {
            let (signed, mac) = token.rsplit_once('.').expect("a MAC");
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, kit.emulator.client_secret().as_bytes());
            let mac = URL_SAFE_NO_PAD.decode(mac).expect("base64url");
            ring::hmac::verify(&key, signed.as_bytes(), &mac).expect("a good MAC");
        }
    }
}

fn decode_header(token: &str) -> Value {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a header")).expect("base64url");
    serde_json::from_slice(&header).expect("JSON")
}

#[tokio::test]
async fn s_50_tokens_can_be_malformed() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    control.edit_id_token(Some(1), TokenEdit { json_serialisation: true, ..TokenEdit::default() });
    let token: Value = serde_json::from_str(text(&kit.sign_in("member1").await, "id_token")).expect("JSON");
    assert!(token["protected"].is_string() && token["signature"].is_string());
    let raw = r#"{"iss":"a","iss":"b"}"#;
    control.edit_id_token(
        Some(1),
        TokenEdit {
            raw_claims: Some(raw.to_owned()),
            suffix: ".trailing".to_owned(),
            header: json!({ "kid": "../../x", "jku": "http://evil.example" }).as_object().expect("an object").clone(),
            ..TokenEdit::default()
        },
    );
    let token = text(&kit.sign_in("member1").await, "id_token").to_owned();
    assert!(token.ends_with(".trailing"));
    assert_eq!(decode_header(&token)["kid"], "../../x");
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("claims")).expect("base64url");
    assert_eq!(claims, raw.as_bytes());
    control.edit_id_token(Some(1), TokenEdit { replace: Some("a.b.c.d.e".to_owned()), ..TokenEdit::default() });
    assert_eq!(kit.sign_in("member1").await["id_token"], "a.b.c.d.e");
}

#[tokio::test]
async fn token_responses_can_be_edited() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let patch = json!({ "expires_in": "soon", "token_type": "bEARER", "refresh_token": null });
    control.edit_json(Endpoint::Token, Some(1), JsonEdit::Merge(patch));
    let body = kit.sign_in("member1").await;
    assert_eq!(body["expires_in"], "soon");
    assert_eq!(body["token_type"], "bEARER");
    assert!(body.get("refresh_token").is_none());
    assert!(kit.sign_in("member1").await["refresh_token"].is_string());
}

#[tokio::test]
async fn metadata_and_userinfo_can_be_edited() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    control.edit_json_with(Endpoint::Metadata, None, |document| {
        document["issuer"] = json!(format!("{}INVALID", document["issuer"].as_str().unwrap_or_default()));
    });
    let document = kit.get_json(&metadata_url(&kit)).await;
    assert_eq!(document["issuer"], format!("{}INVALID", kit.emulator.issuer()));
    control.edit_json(Endpoint::Userinfo, Some(1), JsonEdit::Merge(json!({ "sub": "foobar" })));
    let body = kit.sign_in("member1").await;
    let userinfo: Value = kit.graph("/oidc/userinfo", text(&body, "access_token")).await.json().await.expect("JSON");
    assert_eq!(userinfo["sub"], "foobar");
}

#[tokio::test]
async fn authorization_responses_can_be_edited() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    control.edit_authorization(Some(1), AuthorizationEdit::set("state", "wrong"));
    assert_eq!(kit.pick("member1", &kit.request()).await.get("state"), "wrong");
    control.edit_authorization(Some(1), AuthorizationEdit::remove("state"));
    assert!(!kit.pick("member1", &kit.request()).await.parameters.contains_key("state"));
    control.edit_authorization(Some(1), AuthorizationEdit::append("iss", "http://evil.example"));
    control.edit_authorization(Some(1), AuthorizationEdit::append("error", "access_denied"));
    let answer = kit.pick("member1", &kit.request()).await;
    assert_eq!((answer.get("iss"), answer.get("error")), ("http://evil.example", "access_denied"));
    assert!(!answer.get("code").is_empty());
    control.edit_authorization(Some(1), AuthorizationEdit::append("code", "second"));
    assert!(kit.pick("member1", &kit.request()).await.url.ends_with("&code=second"));
    control.edit_authorization(Some(1), AuthorizationEdit::with(|parameters| parameters.clear()));
    assert!(kit.pick("member1", &kit.request()).await.parameters.is_empty());
}

#[tokio::test]
async fn the_clock_moves_tokens_and_the_date_header() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let before = control.now();
    control.set_clock_offset(3600);
    let (_, claims) = decode(text(&kit.sign_in("member1").await, "id_token"));
    assert!(claims["iat"].as_i64().expect("a time") >= before + 3600);
    let response = kit.get(&metadata_url(&kit)).await;
    let date = response.headers()[header::DATE].to_str().expect("text");
    let date = chrono::DateTime::parse_from_rfc2822(date).expect("a date").timestamp();
    assert!((date - control.now()).abs() <= 1, "{date}");
}

#[tokio::test]
async fn requests_are_recorded_without_their_secrets() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    control.clear_records();
    let body = kit.sign_in("member1").await;
    kit.graph("/v1.0/me", text(&body, "access_token")).await;
    assert_eq!(control.count(Endpoint::Authorize), 2);
    assert_eq!(control.count(Endpoint::Token), 1);
    assert_eq!(control.count(Endpoint::Me), 1);
    let authorize = &control.requests_of(Endpoint::Authorize)[0];
    assert_eq!(authorize.parameter("code_challenge_method"), Some("S256"));
    assert_eq!(authorize.parameter("nonce"), Some("the-nonce"));
    let token = &control.requests_of(Endpoint::Token)[0];
    assert_eq!(token.status, Some(200));
    assert_eq!(token.parameter("grant_type"), Some("authorization_code"));
    for secret in ["code", "code_verifier", "client_secret"] {
        assert_eq!(token.parameter(secret), Some("[redacted]"), "{secret}");
    }
    let me = &control.requests_of(Endpoint::Me)[0];
    assert_eq!(me.header("authorization"), Some("Bearer"));
    let everything = serde_json::to_string(&control.requests()).expect("JSON");
    assert!(!everything.contains(kit.emulator.client_secret()));
    assert!(!everything.contains(text(&body, "access_token")));
}
