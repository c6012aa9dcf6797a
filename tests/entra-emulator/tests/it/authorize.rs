//! The authorization endpoint's refusals and pages: what is a page, what is redirected.

use entra_emulator::{Options, Persona};
use reqwest::{Response, StatusCode, header};
use serde_json::json;

use crate::kit::{Answer, Kit, cookie_of, decode, form, text};

async fn page_with(response: Response, code: u32) -> String {
    assert_eq!(response.status(), StatusCode::BAD_REQUEST, "AADSTS{code}");
    assert!(response.headers().get(header::LOCATION).is_none());
    let page = response.text().await.expect("a page");
    assert!(page.contains(&format!("AADSTS{code}: ")), "AADSTS{code} in {page}");
    page
}

fn assert_refused(answer: &Answer, error: &str, code: u32) {
    assert_eq!(answer.get("error"), error);
    assert!(answer.get("error_description").starts_with(&format!("AADSTS{code}: ")), "{answer:?}");
    assert_eq!(answer.get("state"), "the-state");
    assert!(!answer.parameters.contains_key("code"));
}

#[tokio::test]
async fn a_wrong_client_or_redirect_uri_is_a_page() {
    let kit = Kit::with(Options {
        redirect_uris: vec!["http://localhost:3000/auth/callback".to_owned()],
        ..Options::default()
    });
    for (name, value, code) in [
        ("client_id", "nobody", 700016),
        ("client_id", "", 900144),
        ("redirect_uri", "http://localhost:3000/elsewhere", 50011),
        ("redirect_uri", "http://localhost:3000/AUTH/callback", 50011),
        ("redirect_uri", "https://evil.example/auth/callback", 50011),
        ("redirect_uri", "http://[::1]:3000/auth/callback", 50011),
        ("redirect_uri", "", 900144),
    ] {
        page_with(kit.authorize(&kit.request_with(&[(name, value)]), None).await, code).await;
    }
    let unknown_tenant = kit.authorize_url("fabrikam.example", &kit.request());
    page_with(kit.get(&unknown_tenant).await, 90002).await;
}

#[tokio::test]
async fn e_38_the_port_of_loopback_hosts_is_free() {
    let kit =
        Kit::with(Options { redirect_uris: vec!["http://localhost/auth/callback".to_owned()], ..Options::default() });
    let answer =
        kit.pick("member1", &kit.request_with(&[("redirect_uri", "http://localhost:54321/auth/callback")])).await;
    assert!(answer.url.starts_with("http://localhost:54321/auth/callback?code="));
}

#[tokio::test]
async fn redirect_uris_can_go_unchecked() {
    let kit = Kit::with(Options { check_redirect_uris: false, ..Options::default() });
    let answer = kit.pick("member1", &kit.request_with(&[("redirect_uri", "https://app.example/cb?x=1")])).await;
    assert!(answer.url.starts_with("https://app.example/cb?x=1&code="));
}

#[tokio::test]
async fn a_wrong_request_is_redirected() {
    let kit = Kit::new();
    for (name, value, error, code) in [
        ("response_type", "token", "unsupported_response_type", 700054),
        ("scope", "openid nonsense", "invalid_scope", 70011),
        ("scope", "openid api://other/read", "invalid_resource", 500011),
        ("code_challenge", "short", "invalid_request", 501491),
        ("code_challenge", "", "invalid_request", 50147),
        ("code_challenge_method", "S512", "invalid_request", 90023),
        ("prompt", "whatever", "invalid_request", 90023),
        ("max_age", "-1", "invalid_request", 90023),
        ("claims", "not json", "invalid_request", 90023),
    ] {
        let answer = Answer::of(kit.authorize(&kit.request_with(&[(name, value)]), None).await);
        assert_refused(&answer, error, code);
    }
    let both = kit.request_with(&[("prompt", "select_account"), ("login_hint", "member1@contoso.example")]);
    assert_refused(&Answer::of(kit.authorize(&both, None).await), "invalid_request", 90023);
    let mut twice = kit.request();
    twice.push(("nonce".to_owned(), "another".to_owned()));
    assert_refused(&Answer::of(kit.authorize(&twice, None).await), "invalid_request", 90023);
}

#[tokio::test]
async fn errors_come_by_the_response_mode() {
    let kit = Kit::new();
    let request = kit.request_with(&[("prompt", "none"), ("max_age", "0"), ("response_mode", "form_post")]);
    let page = kit.authorize(&request, None).await.text().await.expect("a page");
    let (_, fields) = form(&page);
    assert!(fields.contains(&("error".to_owned(), "login_required".to_owned())));
    assert!(fields.contains(&("state".to_owned(), "the-state".to_owned())));
}

#[tokio::test]
async fn the_picker_lists_every_persona() {
    let kit = Kit::new();
    let page = kit.authorize(&kit.request(), None).await.text().await.expect("a page");
    assert!(page.contains("development only"));
    for persona in ["admin", "member1", "member2", "guest", "groups", "disabled", "mfa"] {
        assert!(page.contains(&format!("name=\"persona\" value=\"{persona}\"")), "{persona}");
    }
    let typed = Answer::of(kit.submit(&page, ("username", "Member2@contoso.example"), None).await);
    let (_, body) = kit.token(&kit.redemption(typed.get("code"))).await;
    assert_eq!(decode(text(&body, "id_token")).1["upn"], "member2@contoso.example");
}

#[tokio::test]
async fn what_the_request_says_is_escaped_on_pages() {
    let kit = Kit::new();
    let request = kit.request_with(&[("state", "\"><script>alert(1)</script>")]);
    let page = kit.authorize(&request, None).await.text().await.expect("a page");
    assert!(!page.contains("<script>alert"));
    let answer = Answer::of(kit.submit(&page, ("persona", "admin"), None).await);
    assert_eq!(answer.get("state"), "\"><script>alert(1)</script>");
}

#[tokio::test]
async fn e_37_hints_narrow_the_picker() {
    let kit = Kit::new();
    let (_, claims) = decode(text(&kit.sign_in("member2").await, "id_token"));
    for hint in ["member2@contoso.example", text(&claims, "login_hint")] {
        let page = kit.authorize(&kit.request_with(&[("login_hint", hint)]), None).await.text().await.expect("a page");
        assert!(page.contains("value=\"member2\"") && !page.contains("value=\"member1\""), "{hint}");
    }
    let request = kit.request_with(&[("domain_hint", "elsewhere.example")]);
    let page = kit.authorize(&request, None).await.text().await.expect("a page");
    assert!(!page.contains("name=\"persona\""));
}

#[tokio::test]
async fn e_36_prompt_none_needs_a_session() {
    let kit = Kit::new();
    let silent = kit.request_with(&[("prompt", "none")]);
    assert_refused(&Answer::of(kit.authorize(&silent, None).await), "login_required", 50058);

    let cookie = kit.pick("member1", &kit.request()).await.cookie.expect("a cookie");
    let answer = Answer::of(kit.authorize(&silent, Some(&cookie)).await);
    assert!(!answer.get("code").is_empty());

    let other = kit.request_with(&[("prompt", "none"), ("login_hint", "admin@contoso.example")]);
    assert_refused(&Answer::of(kit.authorize(&other, Some(&cookie)).await), "login_required", 50058);

    let page = kit.authorize(&kit.request_with(&[("prompt", "select_account")]), Some(&cookie)).await;
    let page = page.text().await.expect("a page");
    kit.submit(&page, ("persona", "admin"), Some(&cookie)).await;
    assert_refused(&Answer::of(kit.authorize(&silent, Some(&cookie)).await), "interaction_required", 16000);
}

#[tokio::test]
async fn e_44_a_session_signs_in_again_without_a_page() {
    let kit = Kit::new();
    let first = kit.pick("member1", &kit.request()).await;
    let cookie = first.cookie.as_deref();
    let (_, body) = kit.token(&kit.redemption(first.get("code"))).await;
    let (_, first) = decode(text(&body, "id_token"));

    kit.emulator.control().advance_clock(60);
    let again = Answer::of(kit.authorize(&kit.request(), cookie).await);
    let (_, body) = kit.token(&kit.redemption(again.get("code"))).await;
    let (_, second) = decode(text(&body, "id_token"));
    assert_eq!(first["auth_time"], second["auth_time"]);
    assert_eq!(first["sid"], second["sid"]);
    assert_ne!(first["iat"], second["iat"]);

    for changes in [[("prompt", "login")], [("prompt", "select_account")], [("max_age", "30")]] {
        let page = kit.authorize(&kit.request_with(&changes), cookie).await;
        assert_eq!(page.status(), StatusCode::OK, "{changes:?} shows a page");
    }
    let stale = kit.request_with(&[("prompt", "none"), ("max_age", "30")]);
    assert_refused(&Answer::of(kit.authorize(&stale, cookie).await), "login_required", 50058);
}

#[tokio::test]
async fn s_15_prompt_login_renews_auth_time() {
    let kit = Kit::new();
    let cookie = kit.pick("member1", &kit.request()).await.cookie;
    kit.emulator.control().advance_clock(100);
    let page = kit.authorize(&kit.request_with(&[("max_age", "0")]), cookie.as_deref()).await;
    let page = page.text().await.expect("a page");
    let answer = Answer::of(kit.submit(&page, ("persona", "member1"), cookie.as_deref()).await);
    let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    let (_, claims) = decode(text(&body, "id_token"));
    assert_eq!(claims["auth_time"], claims["iat"]);
}

#[tokio::test]
async fn a_disabled_account_is_refused_on_a_page() {
    let kit = Kit::new();
    let page = kit.authorize(&kit.request(), None).await.text().await.expect("a page");
    let page = page_with(kit.submit(&page, ("persona", "disabled"), None).await, 50057).await;
    let (_, fields) = form(&page);
    assert!(fields.iter().all(|(name, _)| name != "persona"), "another account may be picked");
    let picker = kit.submit(&page, ("", ""), None).await.text().await.expect("a page");
    assert!(picker.contains("Pick an account"));
}

#[tokio::test]
async fn any_aadsts_code_can_refuse_a_persona() {
    let kit = Kit::new();
    for (code, error) in [(65001, "consent_required"), (90094, "access_denied"), (53003, "interaction_required")] {
        kit.emulator.control().change_persona("member1", |persona| persona.sign_in_error = Some(code));
        assert_refused(&kit.pick("member1", &kit.request()).await, error, code);
    }
    kit.emulator.control().change_persona("member1", |persona| persona.sign_in_error = Some(50105));
    let page = kit.authorize(&kit.request(), None).await.text().await.expect("a page");
    page_with(kit.submit(&page, ("persona", "member1"), None).await, 50105).await;
    page_with(kit.submit(&page, ("username", "nobody@contoso.example"), None).await, 50034).await;
}

#[tokio::test]
async fn the_second_factor_is_asked_for_on_a_page() {
    let kit = Kit::new();
    let page = kit.authorize(&kit.request(), None).await.text().await.expect("a page");
    let page = kit.submit(&page, ("persona", "mfa"), None).await.text().await.expect("a page");
    let denied = Answer::of(kit.submit(&page, ("mfa", "deny"), None).await);
    assert_refused(&denied, "interaction_required", 50076);
    let approved = Answer::of(kit.submit(&page, ("mfa", "approve"), None).await);
    assert!(!approved.get("code").is_empty());
    let silent = kit.request_with(&[("prompt", "none")]);
    let answer = Answer::of(kit.authorize(&silent, approved.cookie.as_deref()).await);
    assert!(!answer.get("code").is_empty(), "the session is stepped up");
}

#[tokio::test]
async fn without_a_page_the_second_factor_is_an_error() {
    let kit = Kit::new();
    kit.emulator.control().auto_sign_in(&["mfa"]);
    let answer = Answer::of(kit.authorize(&kit.request(), None).await);
    assert_refused(&answer, "interaction_required", 50076);
    let claims = answer.get("claims").to_owned();
    let stepped_up = Answer::of(kit.authorize(&kit.request_with(&[("claims", &claims)]), None).await);
    assert!(!stepped_up.get("code").is_empty());
}

#[tokio::test]
async fn an_authentication_context_ends_up_in_acrs() {
    let kit = Kit::new();
    let claims = json!({ "id_token": { "acrs": { "essential": true, "value": "c1" } } }).to_string();
    let body = kit.sign_in_with("member1", &[("claims", &claims)]).await;
    assert_eq!(decode(text(&body, "id_token")).1["acrs"], json!(["c1"]));
}

#[tokio::test]
async fn consent_is_asked_for_and_can_be_declined() {
    let kit = Kit::new();
    let request = kit.request_with(&[("prompt", "consent")]);
    let page = kit.authorize(&request, None).await.text().await.expect("a page");
    let page = kit.submit(&page, ("persona", "member1"), None).await.text().await.expect("a page");
    assert!(page.contains("User.Read"));
    let declined = Answer::of(kit.submit(&page, ("consent", "decline"), None).await);
    assert_refused(&declined, "access_denied", 65004);
    assert_eq!(declined.get("error_subcode"), "cancel");
    let accepted = Answer::of(kit.submit(&page, ("consent", "accept"), None).await);
    assert!(!accepted.get("code").is_empty());
}

#[tokio::test]
async fn other_tenants_users_are_refused() {
    let kit = Kit::new();
    let other = uuid::Uuid::from_u128(7);
    kit.emulator.control().put_persona(Persona::member(other, "other.example", "stranger", "Sam", "Stranger"));
    let page = kit.authorize(&kit.request(), None).await.text().await.expect("a page");
    page_with(kit.submit(&page, ("persona", "stranger"), None).await, 50020).await;
    kit.emulator.control().set_multi_tenant(false);
    page_with(kit.get(&kit.authorize_url("common", &kit.request())).await, 50194).await;
}

#[tokio::test]
async fn cookies_are_marked_as_the_emulators() {
    let kit = Kit::new();
    let page = kit.authorize(&kit.request(), None).await.text().await.expect("a page");
    let response = kit.submit(&page, ("persona", "admin"), None).await;
    assert!(cookie_of(&response).expect("a cookie").starts_with("emulator-"));
    let set = response.headers()[header::SET_COOKIE].to_str().expect("text");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    assert!(response.headers().get("clear-site-data").is_none());
}

#[tokio::test]
async fn logins_of_the_past_do_not_hinder() {
    let kit = Kit::new();
    kit.emulator.control().auto_sign_in(&["member1"]);
    let parameters = kit.request_with(&[("login_hint", "member2@contoso.example")]);
    let answer = Answer::of(kit.authorize(&parameters, None).await);
    let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    assert_eq!(decode(text(&body, "id_token")).1["upn"], "member2@contoso.example", "the hint wins");
    kit.emulator.control().auto_sign_in(&[]);
    assert_eq!(kit.authorize(&kit.request(), None).await.status(), StatusCode::OK, "the picker is back");
}

#[tokio::test]
async fn responses_name_the_issuer_on_demand() {
    let kit = Kit::new();
    kit.emulator.control().set_response_iss(true);
    let answer = kit.pick("member1", &kit.request()).await;
    assert_eq!(answer.get("iss"), kit.emulator.issuer());
    let document = kit.get_json(&kit.tenant_url("v2.0/.well-known/openid-configuration")).await;
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
}
