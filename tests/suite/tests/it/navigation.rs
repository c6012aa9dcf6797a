//! Where signing in leads a browser, and which requests can neither begin nor finish it.

use entra_emulator::{Endpoint, JsonEdit};
use serde_json::json;
use suite::{Browser, TestApp};

/// Values of `next` that browsers or naive checks take for a path of this origin, or that have no
/// business in one (oauth2-proxy's `validator_test.go` and the advisories behind K-02).
const HOSTILE: [&str; 48] = [
    "https://evil.example",
    "HTTPS://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http:evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/\\/evil.example",
    "/\\\\evil.example",
    "/\t/evil.example",
    "/\t\\evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/ /evil.example",
    "/\u{b}/evil.example",
    "/\0/evil.example",
    "/%09/evil.example",
    "/%0a/evil.example",
    "/%0d%0aLocation:%20https://evil.example",
    "/%00/evil.example",
    "/%5cevil.example",
    "/%255cevil.example",
    "/%2fevil.example",
    "/%252fevil.example",
    "/./\\evil.example",
    "/.//evil.example",
    "/..//evil.example",
    "/%2e/%2fevil.example",
    "/%2e%2e//evil.example",
    "/a/..//evil.example",
    "/a\r\nSet-Cookie:x=y",
    "/\u{2215}evil.example",
    "/\u{ff0f}evil.example",
    "/\u{e9}",
    "@evil.example",
    "evil.example",
    "/auth/sign-in?next=//evil.example",
    "/auth/callback?code=x",
];

fn sign_in_page(next: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("/auth/sign-in?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn k_02_s_06_t_01_hostile_texts_lead_home_after_a_real_sign_in() {
    let app = TestApp::start().await;
    // Once somebody is signed in at the provider, it asks nothing more.
    let browser = app.sign_in("member1").await;
    for next in HOSTILE {
        let answer = browser.sign_in_at(&sign_in_page(next), "member1").await;
        answer.assert_status(303);
        assert_eq!(answer.header("location"), "/", "{next:?}");
    }
    let kept = browser.sign_in_at(&sign_in_page("/profile?q=https://evil.example//x"), "member1").await;
    assert_eq!(kept.header("location"), "/profile?q=https://evil.example//x");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_07_s_10_posts_are_answered_by_303_and_code_and_state_stay_behind() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let page = browser.get("/auth/sign-in?next=/profile").await;
    browser.submit(&page.form("/auth/sign-in")).await.assert_status(303);

    let answer = browser.sign_in_at("/auth/sign-in?next=/profile", "member1").await;
    answer.assert_status(303);
    assert_eq!(answer.header("location"), "/profile", "neither code nor state");
    assert_eq!(answer.header("referrer-policy"), "same-origin");
    assert_eq!(answer.header("cache-control"), "no-store");
    let profile = browser.get("/profile").await;
    assert!(!profile.body.contains("code="), "the page does not repeat it");
    browser.submit(&profile.form("/auth/sign-out")).await.assert_status(303);
}

/// Whether a sign-in of this browser is under way.
fn is_under_way(browser: &Browser) -> bool {
    browser.cookie_names().iter().any(|name| name.starts_with("login-"))
}

#[tokio::test(flavor = "multi_thread")]
async fn k_09_h_11_no_other_site_begins_a_sign_in() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let image = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")];
    let page = browser.get_with("/auth/sign-in", &image).await;
    assert_eq!(page.location(), None, "a GET leads nowhere");
    assert!(!is_under_way(&browser));

    for headers in [
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")].as_slice(),
        &[("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-site")],
        &[],
    ] {
        browser.post_raw("/auth/sign-in", String::new(), headers).await.assert_status(403);
        assert!(!is_under_way(&browser), "{headers:?}");
    }
    assert_eq!(app.emulator.control().count(Endpoint::Authorize), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn k_10_without_its_own_transaction_no_path_finishes_a_sign_in() {
    for mode in ["query", "form_post"] {
        let app = TestApp::builder().setting("ENTRA_RESPONSE_MODE", mode).start().await;
        // Nothing, a session alone, and a transaction of another sign-in.
        for begin in ["", "session", "other"] {
            let (attacker, victim) = (app.browser(), app.browser());
            let response = attacker.pick_only(&attacker.begin("/auth/sign-in").await, "member1").await;
            match begin {
                "session" => drop(victim.sign_in("member2").await),
                "other" => drop(victim.begin("/auth/sign-in").await),
                _ => {}
            }
            let calls = app.emulator.control().count(Endpoint::Token);
            victim.deliver(response).await.assert_status(400);
            assert_eq!(app.emulator.control().count(Endpoint::Token), calls, "{mode} {begin}");
            assert!(app.db_users("member1").await.is_empty(), "{mode} {begin}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k_17_the_number_of_cookies_costs_nothing() {
    let app = TestApp::start().await;
    let browser = app.browser();
    for number in 0..150 {
        browser.set_cookie(&format!("login-{number:016}"), "AAAA");
        browser.set_cookie(&format!("id_chunks_{number}"), "99999999");
    }
    let page = browser.get("/auth/sign-in").await;
    let answer = browser.submit(&page.form("/auth/sign-in")).await;
    answer.assert_status(303);
    let set = answer.headers.get_all("set-cookie").iter().count();
    assert!(set <= 21, "{set} cookies: twenty are looked at, and one is new");
    browser.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn k_18_nothing_of_a_page_comes_along_with_the_way_to_sign_in() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let user = app.db_user("admin@contoso.example").await;
    let paths = ["/profile", "/profile/photo", "/admin", "/admin/users", "/admin/audit", "/admin/sessions"];
    let paths = paths.map(str::to_owned).into_iter().chain([format!("/admin/users/{}", user.id)]);
    let (browser, origin) = (app.browser(), app.origin().to_owned());
    for path in paths {
        let get = browser.get(&path).await;
        let json = browser.get_with(&path, &[("accept", "application/json")]).await;
        let post = browser.post_raw(&path, "confirm=yes".to_owned(), &[("origin", &origin)]).await;
        assert_eq!((get.status, json.status), (303, 401), "{path}");
        for answer in [get, json, post] {
            assert!(!(200..300).contains(&answer.status), "{path}: {}", answer.status);
            for canary in ["admin@contoso.example", user.id.as_str(), user.display_name.as_str()] {
                let shown = answer.body.contains(canary) && !answer.body.contains(&path);
                assert!(!shown, "{path} shows {canary}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_12_endpoints_that_move_are_followed_at_the_next_refresh() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let control = app.emulator.control();
    let token_endpoint = format!("{}/contoso.example/oauth2/v2.0/token", app.emulator.base_url());
    let authorize = format!("{}/contoso.example/oauth2/v2.0/authorize", app.emulator.base_url());
    let moved = json!({"token_endpoint": token_endpoint, "authorization_endpoint": authorize});
    control.edit_json(Endpoint::Metadata, None, JsonEdit::Merge(moved));
    app.advance(3601);
    control.advance_clock(3601);
    // The first sign-in after an hour has the document fetched beside it, a later one goes by it.
    let browser = app.browser();
    let moved = loop {
        let page = browser.begin("/auth/sign-in").await;
        if page.url.path().starts_with("/contoso.example/") {
            break page;
        }
    };
    browser.pick(&moved, "member1").await.assert_status(303);
    assert_eq!(control.count(Endpoint::Metadata), 2);
}
