//! The token endpoint: codes, PKCE, refresh in both rotations, client credentials, on behalf of.

use entra_emulator::{RefreshRotation, Tenant};
use reqwest::{StatusCode, header};
use serde_json::json;

use crate::kit::{Answer, Kit, Parameters, SCOPES, assert_error, decode, pairs, text};

fn changed(mut form: Parameters, name: &str, value: &str) -> Parameters {
    form.retain(|(known, _)| known != name);
    if !value.is_empty() {
        form.push((name.to_owned(), value.to_owned()));
    }
    form
}

#[tokio::test]
async fn s_02_a_wrong_verifier_is_refused() {
    let kit = Kit::new();
    let code = kit.code("member1").await;
    for verifier in ["", "another-verifier-of-at-least-forty-three-characters", "short"] {
        let (status, body) = kit.token(&changed(kit.redemption(&code), "code_verifier", verifier)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_error(&body, "invalid_grant", 501481);
    }
    let (status, _) = kit.token(&kit.redemption(&code)).await;
    assert_eq!(status, StatusCode::OK, "the right one still works");
}

#[tokio::test]
async fn a_code_is_good_once() {
    let kit = Kit::new();
    let form = kit.redemption(&kit.code("member1").await);
    assert_eq!(kit.token(&form).await.0, StatusCode::OK);
    let (status, body) = kit.token(&form).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_error(&body, "invalid_grant", 54005);
}

#[tokio::test]
async fn a_code_expires_and_knows_its_redirect_uri() {
    let kit = Kit::new();
    let form = kit.redemption(&kit.code("member1").await);
    let elsewhere = changed(form.clone(), "redirect_uri", "http://localhost:3000/other");
    assert_error(&kit.token(&elsewhere).await.1, "invalid_grant", 500112);
    kit.emulator.control().advance_clock(601);
    assert_error(&kit.token(&form).await.1, "invalid_grant", 70008);
    assert_error(&kit.token(&changed(form, "code", "made-up")).await.1, "invalid_grant", 70000);
}

#[tokio::test]
async fn malformed_requests_are_told() {
    let kit = Kit::new();
    let form = kit.redemption(&kit.code("member1").await);
    assert_error(&kit.token(&changed(form.clone(), "grant_type", "")).await.1, "invalid_request", 900144);
    assert_error(&kit.token(&changed(form.clone(), "code", "")).await.1, "invalid_request", 900144);
    let device = changed(form.clone(), "grant_type", "password");
    assert_error(&kit.token(&device).await.1, "unsupported_grant_type", 70003);
    let mut twice = form.clone();
    twice.extend(pairs(&[("code", "another")]));
    assert_error(&kit.token(&twice).await.1, "invalid_request", 9002313);
}

#[tokio::test]
async fn answers_are_not_cached_and_carry_ids() {
    let kit = Kit::new();
    let id = "11111111-2222-4333-8444-555555555555";
    let form = changed(kit.redemption("made-up"), "code", "made-up");
    let request = kit.http.post(kit.tenant_url("oauth2/v2.0/token")).header("client-request-id", id).form(&form);
    let response = request.send().await.expect("an answer");
    assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store, no-cache");
    assert_eq!(response.headers()["client-request-id"], id);
    let trace = response.headers()["x-ms-request-id"].to_str().expect("text").to_owned();
    let body: serde_json::Value = response.json().await.expect("JSON");
    assert_eq!(body["correlation_id"], id);
    assert_eq!(body["trace_id"], trace);
}

#[tokio::test]
async fn e_31_as_at_entra_an_old_refresh_token_stays_good() {
    let kit = Kit::new();
    let first = text(&kit.sign_in("member1").await, "refresh_token").to_owned();
    let (status, body) = kit.token(&kit.refresh(&first)).await;
    assert_eq!(status, StatusCode::OK);
    let second = text(&body, "refresh_token").to_owned();
    assert_ne!(first, second);
    for token in [first, second] {
        assert_eq!(kit.token(&kit.refresh(&token)).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn e_31_strict_rotation_kills_the_family_on_reuse() {
    let kit = Kit::new();
    kit.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    let first = text(&kit.sign_in("member1").await, "refresh_token").to_owned();
    let bystander = text(&kit.sign_in("member1").await, "refresh_token").to_owned();
    let (_, body) = kit.token(&kit.refresh(&first)).await;
    let second = text(&body, "refresh_token").to_owned();
    let (status, body) = kit.token(&kit.refresh(&first)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_error(&body, "invalid_grant", 70000);
    assert_error(&kit.token(&kit.refresh(&second)).await.1, "invalid_grant", 70000);
    assert_eq!(kit.token(&kit.refresh(&bystander)).await.0, StatusCode::OK, "another sign-in lives on");
}

#[tokio::test]
async fn a_refused_refresh_uses_nothing_up() {
    let kit = Kit::new();
    kit.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    let token = text(&kit.sign_in("member1").await, "refresh_token").to_owned();
    let wrong = changed(kit.refresh(&token), "scope", "nonsense");
    assert_error(&kit.token(&wrong).await.1, "invalid_scope", 70011);
    let wrong = changed(kit.refresh(&token), "client_secret", "wrong");
    assert_error(&kit.token(&wrong).await.1, "invalid_client", 7000215);
    assert_eq!(kit.token(&kit.refresh(&token)).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_memory_of_a_family_is_bounded() {
    let kit = Kit::new();
    let first = text(&kit.sign_in("member1").await, "refresh_token").to_owned();
    for _ in 0..20 {
        assert_eq!(kit.token(&kit.refresh(&first)).await.0, StatusCode::OK);
        if kit.emulator.control().grant_counts().1 == 16 {
            break;
        }
    }
    kit.token(&kit.refresh(&first)).await;
    assert_eq!(kit.emulator.control().grant_counts().1, 16);
    assert_error(&kit.token(&kit.refresh(&first)).await.1, "invalid_grant", 70000);
}

#[tokio::test]
async fn s_20_a_refresh_keeps_who_and_when() {
    let kit = Kit::new();
    let body = kit.sign_in("member1").await;
    let (_, first) = decode(text(&body, "id_token"));
    kit.emulator.control().advance_clock(3600);
    let (_, body) = kit.token(&kit.refresh(text(&body, "refresh_token"))).await;
    let (_, second) = decode(text(&body, "id_token"));
    for claim in ["iss", "sub", "oid", "tid", "aud", "auth_time", "sid"] {
        assert_eq!(first[claim], second[claim], "{claim}");
    }
    assert!(second.get("nonce").is_none());
    assert!(second["iat"].as_i64() >= first["iat"].as_i64().map(|iat| iat + 3600));
}

#[tokio::test]
async fn e_33_one_resource_a_request() {
    let kit = Kit::new();
    let body = kit.sign_in("admin").await;
    let own = format!("api://{}/access_as_user", kit.emulator.client_id());
    let form = changed(kit.refresh(text(&body, "refresh_token")), "scope", &own);
    let (_, other) = kit.token(&form).await;
    assert_eq!(decode(text(&other, "access_token")).1["scp"], "access_as_user");
    let both = changed(form, "scope", &format!("{SCOPES} {own}"));
    assert_error(&kit.token(&both).await.1, "invalid_request", 28000);
}

#[tokio::test]
async fn refresh_tokens_end() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let token = text(&kit.sign_in("member1").await, "refresh_token").to_owned();
    assert!(control.revoke("member1"));
    let (_, body) = kit.token(&kit.refresh(&token)).await;
    assert_error(&body, "invalid_grant", 50173);
    assert_eq!(body["suberror"], "bad_token");
    let token = text(&kit.sign_in("member1").await, "refresh_token").to_owned();
    assert_eq!(kit.token(&kit.refresh(&token)).await.0, StatusCode::OK, "a new sign-in is good");

    control.change_persona("member1", |persona| persona.enabled = false);
    assert_error(&kit.token(&kit.refresh(&token)).await.1, "invalid_grant", 50057);
    control.change_persona("member1", |persona| persona.enabled = true);
    control.advance_clock(91 * 24 * 3600);
    assert_error(&kit.token(&kit.refresh(&token)).await.1, "invalid_grant", 700082);
    control.delete_persona("member1");
    control.set_clock_offset(0);
    assert_error(&kit.token(&kit.refresh(&token)).await.1, "invalid_grant", 50034);
}

#[tokio::test]
async fn e_40_a_refresh_may_ask_for_a_second_factor() {
    let kit = Kit::new();
    let page = kit.authorize(&kit.request(), None).await.text().await.expect("a page");
    let page = kit.submit(&page, ("persona", "mfa"), None).await.text().await.expect("a page");
    let answer = Answer::of(kit.submit(&page, ("mfa", "approve"), None).await);
    let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    let (status, refused) = kit.token(&kit.refresh(text(&body, "refresh_token"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_error(&refused, "invalid_grant", 50076);
    assert_eq!(refused["suberror"], "basic_action");

    let request = kit.request_with(&[("claims", text(&refused, "claims"))]);
    let answer = Answer::of(kit.authorize(&request, answer.cookie.as_deref()).await);
    let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    assert_eq!(kit.token(&kit.refresh(text(&body, "refresh_token"))).await.0, StatusCode::OK, "stepped up");
}

#[tokio::test]
async fn lifetimes_are_as_set() {
    let kit = Kit::new();
    kit.emulator.control().set_access_token_lifetime(20..=20);
    kit.emulator.control().set_id_token_lifetime(60);
    let body = kit.sign_in("member1").await;
    assert_eq!(body["expires_in"], 20);
    let (_, claims) = decode(text(&body, "id_token"));
    assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|iat| iat + 60));
    assert_eq!(kit.graph("/v1.0/me", text(&body, "access_token")).await.status(), StatusCode::OK);
    kit.emulator.control().advance_clock(20);
    assert_eq!(kit.graph("/v1.0/me", text(&body, "access_token")).await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn client_credentials_need_a_tenant_and_a_default_scope() {
    let kit = Kit::new();
    let form = pairs(&[
        ("grant_type", "client_credentials"),
        ("client_id", kit.emulator.client_id()),
        ("client_secret", kit.emulator.client_secret()),
        ("scope", "https://graph.microsoft.com/.default"),
    ]);
    let (status, body) = kit.token(&form).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.get("refresh_token").is_none() && body.get("id_token").is_none());
    let token = text(&body, "access_token");
    assert_eq!(kit.graph("/v1.0/users", token).await.status(), StatusCode::OK);
    assert_eq!(kit.graph("/v1.0/me", token).await.status(), StatusCode::BAD_REQUEST, "nobody is signed in");

    let wrong = changed(form.clone(), "scope", "https://graph.microsoft.com/User.Read.All");
    assert_error(&kit.token(&wrong).await.1, "invalid_scope", 70011);
    let own = changed(form, "scope", &format!("api://{}/.default", kit.emulator.client_id()));
    let (_, body) = kit.token(&own).await;
    assert_eq!(decode(text(&body, "access_token")).1["idtyp"], "app");
}

#[tokio::test]
async fn on_behalf_of_exchanges_an_api_token() {
    let kit = Kit::new();
    let own = format!("openid api://{}/access_as_user", kit.emulator.client_id());
    let body = kit.sign_in_with("member1", &[("scope", &own)]).await;
    let form = pairs(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("client_id", kit.emulator.client_id()),
        ("client_secret", kit.emulator.client_secret()),
        ("assertion", text(&body, "access_token")),
        ("scope", "https://graph.microsoft.com/User.Read"),
        ("requested_token_use", "on_behalf_of"),
    ]);
    let (status, exchanged) = kit.token(&form).await;
    assert_eq!(status, StatusCode::OK);
    let me: serde_json::Value =
        kit.graph("/v1.0/me", text(&exchanged, "access_token")).await.json().await.expect("JSON");
    assert_eq!(me["userPrincipalName"], "member1@contoso.example");
    let wrong = changed(form, "assertion", text(&exchanged, "access_token"));
    assert_error(&kit.token(&wrong).await.1, "invalid_grant", 70000);
}

#[tokio::test]
async fn s_20_a_second_tenant_does_not_refresh_at_the_first() {
    let kit = Kit::new();
    let other = uuid::Uuid::from_u128(8);
    kit.emulator.control().add_tenant(Tenant {
        id: other,
        domain: "other.example".to_owned(),
        name: "Other".to_owned(),
    });
    let token = text(&kit.sign_in("member1").await, "refresh_token").to_owned();
    let url = format!("{}/{other}/oauth2/v2.0/token", kit.emulator.base_url());
    let request = kit.http.post(url).form(&kit.refresh(&token));
    let body: serde_json::Value = request.send().await.expect("an answer").json().await.expect("JSON");
    assert_error(&body, "invalid_grant", 700005);
    assert_eq!(body["error_codes"], json!([700005]));
}
