//! Signing out: the session, the way back, and the front-channel calls.

use entra_emulator::Options;
use reqwest::{Response, StatusCode, header};

use crate::kit::{Answer, Kit, decode, text};

const BACK: &str = "http://localhost:3000/auth/signed-out";

async fn logout(kit: &Kit, query: &[(&str, &str)], cookie: &str) -> Response {
    let query = serde_urlencoded::to_string(query).expect("pairs");
    let url = format!("{}?{query}", kit.tenant_url("oauth2/v2.0/logout"));
    kit.http.get(url).header(header::COOKIE, cookie).send().await.expect("an answer")
}

async fn is_signed_in(kit: &Kit, cookie: &str) -> bool {
    let answer = Answer::of(kit.authorize(&kit.request_with(&[("prompt", "none")]), Some(cookie)).await);
    answer.parameters.contains_key("code")
}

#[tokio::test]
async fn s_30_the_browser_comes_back_signed_out() {
    let kit = Kit::new();
    let cookie = kit.pick("member1", &kit.request()).await.cookie.expect("a cookie");
    assert!(is_signed_in(&kit, &cookie).await);
    let response = logout(&kit, &[("post_logout_redirect_uri", BACK), ("state", "s 1")], &cookie).await;
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()[header::LOCATION], format!("{BACK}?state=s+1"));
    assert!(!is_signed_in(&kit, &cookie).await);
}

#[tokio::test]
async fn an_unregistered_way_back_is_not_taken() {
    let kit = Kit::with(Options { redirect_uris: vec![crate::kit::REDIRECT_URI.to_owned()], ..Options::default() });
    let cookie = kit.pick("member1", &kit.request()).await.cookie.expect("a cookie");
    let response = logout(&kit, &[("post_logout_redirect_uri", BACK)], &cookie).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!response.text().await.expect("a page").contains(BACK));
}

#[tokio::test]
async fn s_35_applications_are_told_by_sid_alone() {
    let kit = Kit::with(Options {
        front_channel_logout_urls: vec!["http://localhost:3000/auth/front-channel-logout".to_owned()],
        ..Options::default()
    });
    let answer = kit.pick("member1", &kit.request()).await;
    let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    let (_, claims) = decode(text(&body, "id_token"));
    let cookie = answer.cookie.expect("a cookie");
    let page = logout(&kit, &[("post_logout_redirect_uri", BACK)], &cookie).await.text().await.expect("a page");
    let frame = format!("src=\"http://localhost:3000/auth/front-channel-logout?sid={}\"", text(&claims, "sid"));
    assert!(page.contains(&frame), "{page}");
    assert!(page.contains(&format!("content=\"1;url={BACK}\"")), "goes back without JavaScript");

    kit.emulator.control().set_front_channel_iss(true);
    let cookie = kit.pick("member1", &kit.request()).await.cookie.expect("a cookie");
    let page = logout(&kit, &[], &cookie).await.text().await.expect("a page");
    assert!(page.contains("&amp;iss=http"), "{page}");
}

#[tokio::test]
async fn e_37_the_logout_hint_picks_the_account() {
    let kit = Kit::new();
    let first = kit.pick("member1", &kit.request()).await;
    let cookie = first.cookie.clone().expect("a cookie");
    let (_, body) = kit.token(&kit.redemption(first.get("code"))).await;
    let (_, claims) = decode(text(&body, "id_token"));
    let page = kit.authorize(&kit.request_with(&[("prompt", "login")]), Some(&cookie)).await;
    kit.submit(&page.text().await.expect("a page"), ("persona", "member2"), Some(&cookie)).await;

    let page = logout(&kit, &[], &cookie).await.text().await.expect("a page");
    assert!(page.contains("Which account"));
    let hint = text(&claims, "login_hint");
    logout(&kit, &[("logout_hint", hint), ("post_logout_redirect_uri", BACK)], &cookie).await;
    let silent = |upn| kit.request_with(&[("prompt", "none"), ("login_hint", upn)]);
    let gone = Answer::of(kit.authorize(&silent("member1@contoso.example"), Some(&cookie)).await);
    assert_eq!(gone.get("error"), "login_required");
    let kept = Answer::of(kit.authorize(&silent("member2@contoso.example"), Some(&cookie)).await);
    assert!(!kept.get("code").is_empty());
}
