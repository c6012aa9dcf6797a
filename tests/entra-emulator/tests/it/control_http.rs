//! The control API over HTTP: refused unless it was switched on, and as able as the handle.

use entra_emulator::{Options, Persona};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::kit::{Answer, Kit, assert_error, decode, text};

fn controlled() -> Kit {
    Kit::with(Options { http_control: true, ..Options::default() })
}

async fn call(kit: &Kit, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = kit.http.request(method, format!("{}/_control{path}", kit.emulator.base_url()));
    let request = if body.is_null() { request } else { request.json(body) };
    let response = request.send().await.expect("an answer");
    (response.status(), response.json().await.unwrap_or(Value::Null))
}

async fn post(kit: &Kit, path: &str, body: Value) {
    let (status, answer) = call(kit, Method::POST, path, &body).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{path}: {answer}");
}

#[tokio::test]
async fn it_is_off_unless_it_was_asked_for() {
    let kit = Kit::new();
    for path in ["", "/requests", "/clock", "/nothing"] {
        let (status, _) = call(&kit, Method::GET, path, &Value::Null).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    let (status, _) = call(&kit, Method::POST, "/clock", &json!({ "offset": 5 })).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn forms_of_foreign_pages_are_refused() {
    let kit = controlled();
    let url = format!("{}/_control/clock", kit.emulator.base_url());
    let response = kit.http.post(url).body("{\"offset\":5}").send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn mistakes_are_told() {
    let kit = controlled();
    for (path, body) in [
        ("/clock", json!({ "ofset": 5 })),
        ("/faults", json!({ "endpoint": "nowhere", "fault": { "kind": "hang" } })),
        ("/settings", json!({ "unknown": true })),
    ] {
        let (status, answer) = call(&kit, Method::POST, path, &body).await;
        assert!(status.is_client_error(), "{path}");
        assert!(answer["error"].is_string(), "{path}: {answer}");
    }
    let (status, _) = call(&kit, Method::PATCH, "/personas/nobody", &json!({ "name": "x" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn time_keys_and_settings() {
    let kit = controlled();
    post(&kit, "/clock", json!({ "offset": 1000, "advance": 10 })).await;
    let before = kit.emulator.control().current_kid();
    post(&kit, "/keys/rotate", json!({ "keep_old": true })).await;
    post(&kit, "/keys/add", json!({ "count": 1 })).await;
    post(&kit, "/keys/shape", json!({ "with_alg": true })).await;
    let (_, summary) = call(&kit, Method::GET, "", &Value::Null).await;
    assert_eq!(summary["clock_offset"], 1010);
    assert_ne!(summary["kid"], json!(before));
    let key_set = kit.key_set().await;
    assert_eq!(key_set["keys"].as_array().map(Vec::len), Some(3));
    assert_eq!(key_set["keys"][0]["alg"], "RS256");

    post(
        &kit,
        "/settings",
        json!({ "refresh_rotation": "strict", "access_token_lifetime": [20, 20], "auto_sign_in": ["admin"] }),
    )
    .await;
    let answer = Answer::of(kit.authorize(&kit.request(), None).await);
    let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    assert_eq!(body["expires_in"], 20);
    let refresh = kit.refresh(text(&body, "refresh_token"));
    assert_eq!(kit.token(&refresh).await.0, StatusCode::OK);
    assert_error(&kit.token(&refresh).await.1, "invalid_grant", 70000);
}

#[tokio::test]
async fn personas_and_tenants() {
    let kit = controlled();
    let tenant = uuid::Uuid::from_u128(11);
    post(&kit, "/tenants", json!({ "id": tenant, "domain": "fabrikam.example", "name": "Fabrikam" })).await;
    post(
        &kit,
        "/personas",
        json!({ "id": "mallory", "tenant_id": tenant, "upn": "m@fabrikam.example", "name": "Mallory" }),
    )
    .await;
    post(&kit, "/personas/generate", json!({ "count": 2 })).await;
    let (_, personas) = call(&kit, Method::GET, "/personas", &Value::Null).await;
    assert_eq!(personas.as_array().map(Vec::len), Some(10));
    let (_, mallory) = call(&kit, Method::GET, "/personas/mallory", &Value::Null).await;
    let mallory: Persona = serde_json::from_value(mallory).expect("a persona");
    assert!(!mallory.oid.is_nil());

    let (status, _) =
        call(&kit, Method::PATCH, "/personas/member1", &json!({ "name": "Renamed", "email": null })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let body = kit.sign_in("member1").await;
    let (_, claims) = decode(text(&body, "id_token"));
    assert_eq!(claims["name"], "Renamed");
    assert!(claims.get("email").is_none());
    post(&kit, "/personas/member1/revoke?access_tokens=true", Value::Null).await;
    assert_error(&kit.token(&kit.refresh(text(&body, "refresh_token"))).await.1, "invalid_grant", 50173);
    assert_eq!(kit.graph("/v1.0/me", text(&body, "access_token")).await.status(), StatusCode::UNAUTHORIZED);
    let (status, _) = call(&kit, Method::DELETE, "/personas/member1", &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = call(&kit, Method::GET, "/personas/member1", &Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn faults_and_edits() {
    let kit = controlled();
    let fault = json!({ "kind": "respond", "status": 503, "headers": [["Retry-After", "9"]], "body": "busy" });
    post(&kit, "/faults", json!({ "endpoint": "token", "times": 1, "fault": fault })).await;
    let response = kit.http.post(kit.tenant_url("oauth2/v2.0/token")).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "9");

    post(&kit, "/edits/token", json!({ "times": 1, "edit": { "claims": { "acct": 1 }, "signing": "none" } })).await;
    post(&kit, "/edits/json", json!({ "endpoint": "token", "times": 1, "merge": { "expires_in": -1 } })).await;
    post(&kit, "/edits/authorization", json!({ "times": 1, "edit": { "set": { "state": "x" } } })).await;
    let answer = kit.pick("member1", &kit.request()).await;
    assert_eq!(answer.get("state"), "x");
    let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    assert_eq!(body["expires_in"], -1);
    let (header, claims) = decode(text(&body, "id_token"));
    assert_eq!((header["alg"].as_str(), claims["acct"].as_i64()), (Some("none"), Some(1)));

    post(&kit, "/faults", json!({ "endpoint": "keys", "fault": { "kind": "aadsts", "code": 90033 } })).await;
    assert_eq!(kit.get(&kit.tenant_url("discovery/v2.0/keys")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (status, _) = call(&kit, Method::DELETE, "/faults", &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(kit.get(&kit.tenant_url("discovery/v2.0/keys")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn requests_and_tokens() {
    let kit = controlled();
    kit.key_set().await;
    let (_, requests) = call(&kit, Method::GET, "/requests?endpoint=keys", &Value::Null).await;
    assert_eq!(requests.as_array().map(Vec::len), Some(1));
    let (status, _) = call(&kit, Method::DELETE, "/requests", &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (_, requests) = call(&kit, Method::GET, "/requests", &Value::Null).await;
    assert_eq!(requests, json!([]));
    let to_sign = json!({ "header": { "typ": "logout+jwt" }, "claims": { "sid": "1" }, "signing": "ps256" });
    let (_, signed) = call(&kit, Method::POST, "/sign", &to_sign).await;
    assert_eq!(
        decode(text(&signed, "token")).0,
        json!({ "typ": "logout+jwt", "alg": "PS256", "kid": kit.emulator.control().current_kid() })
    );
    post(&kit, "/registration", json!({ "expire_client_secrets": true, "redirect_uris": ["https://a.example/cb"] }))
        .await;
    assert_error(&kit.token(&kit.refresh("x")).await.1, "invalid_client", 7000222);
    assert_eq!(kit.authorize(&kit.request(), None).await.status(), StatusCode::BAD_REQUEST);
    post(&kit, "/personas/member1/claims", json!({ "claims": "{}" })).await;
    post(&kit, "/delta/resync", Value::Null).await;
    post(&kit, "/release", Value::Null).await;
}
