//! Signing in and out, from the sign-in page to the profile; what must be refused is refused.

use entra_emulator::{AuthorizationEdit, Endpoint, Fault};
use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_sees_their_profile_and_signs_out() {
    let app = TestApp::start().await;
    let browser = app.browser();

    let page = browser.get("/profile").await;
    page.assert_status(303);
    assert_eq!(page.location_path(), "/auth/sign-in?next=%2Fprofile");

    let answer = browser.sign_in_at(&page.location_path(), "member1").await;
    answer.assert_status(303);
    assert_eq!(answer.location_path(), "/profile");
    let profile = browser.get("/profile").await;
    profile.assert_status(200).assert_text("member1@contoso.example");

    let signed_out = browser.submit(&profile.form("/auth/sign-out")).await;
    signed_out.assert_status(303);
    browser.follow(signed_out).await.assert_status(200);
    browser.get("/profile").await.assert_status(303);
    let user = app.db_user("member1@contoso.example").await;
    assert!(app.db_grants(&user).await.is_empty(), "the last sign-out forgets the tokens");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_43_form_post_signs_in_with_a_cookie_that_crosses_sites() {
    let app = TestApp::builder().setting("ENTRA_RESPONSE_MODE", "form_post").start().await;
    let browser = app.sign_in("member1").await;
    browser.get("/profile").await.assert_status(200);

    let begun = browser.get("/auth/sign-in").await;
    let to_provider = browser.submit(&begun.form("/auth/sign-in")).await;
    let cookie = to_provider.header("set-cookie").to_ascii_lowercase();
    assert!(cookie.contains("samesite=none") && cookie.contains("secure"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sign_in_by_form_post_ends_the_old_session() {
    let app = TestApp::builder().setting("ENTRA_RESPONSE_MODE", "form_post").start().await;
    let browser = app.sign_in("member1").await;
    let old = browser.cookie("id").expect("a session");
    let at_provider = browser.begin("/auth/sign-in?prompt=select_account").await;
    // A cross-site POST brings no Lax cookie.
    browser.remove_cookie("id");
    browser.pick(&at_provider, "member2").await.assert_status(303);
    browser.get("/profile").await.assert_text("member2@contoso.example");
    let thief = app.browser();
    thief.set_cookie("id", &old);
    thief.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_13_the_providers_error_is_explained_and_escaped() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let at_provider = browser.begin("/auth/sign-in").await;
    let state = at_provider.url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let answer = browser
        .get(&format!(
            "/auth/callback?error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state={state}"
        ))
        .await;
    answer.assert_status(403);
    assert!(!answer.body.contains("<script>alert"));
    let events = app.db_events("sign_in.failed").await;
    assert!(events.first().expect("an event").detail.contains("provider.access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_01_a_response_in_another_browser_is_refused_and_a_state_serves_once() {
    let app = TestApp::start().await;
    let (victim, attacker) = (app.browser(), app.browser());
    let at_provider = attacker.begin("/auth/sign-in").await;
    let response = attacker.pick_only(&at_provider, "member1").await;

    victim.deliver(response.clone()).await.assert_status(400);
    victim.get("/profile").await.assert_status(303);

    attacker.deliver(response.clone()).await.assert_status(303);
    // F-36: a reload by the same session goes on, a replay from elsewhere does not.
    attacker.deliver(response.clone()).await.assert_status(303);
    let elsewhere = app.browser();
    elsewhere.deliver(response).await.assert_status(400);
    assert_eq!(app.emulator.control().count(Endpoint::Token), 1, "the code is redeemed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_02_every_flow_has_its_own_state_nonce_and_s256_challenge() {
    let app = TestApp::start().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let at_provider = app.browser().begin("/auth/sign-in").await;
        let query: std::collections::BTreeMap<_, _> = at_provider.url.query_pairs().into_owned().collect();
        assert_eq!(query["code_challenge_method"], "S256");
        for name in ["state", "nonce", "code_challenge"] {
            assert!(query[name].len() >= 43, "{name}");
            assert!(seen.insert(query[name].clone()), "{name} is new");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_02_at_most_five_sign_ins_are_open_and_the_newest_works() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let mut last = None;
    for _ in 0..8 {
        last = Some(browser.begin("/auth/sign-in").await);
        app.advance(1);
    }
    let open = browser.cookie_names().iter().filter(|name| name.starts_with("login-")).count();
    assert_eq!(open, 5);
    browser.pick(&last.expect("a tab"), "member1").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_01_with_the_provider_down_public_pages_work_and_sign_in_recovers() {
    let app = TestApp::start().await;
    app.emulator.go_offline().await;
    let browser = app.browser();
    browser.get("/").await.assert_status(200);
    let page = browser.get("/auth/sign-in").await;
    page.assert_status(200);
    browser.submit(&page.form("/auth/sign-in")).await.assert_status(503);
    app.emulator.go_online().await;
    app.advance(61);
    browser.sign_in("member1").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn personas_that_the_provider_refuses_get_a_page_that_says_who_can_help() {
    let app = TestApp::start().await;
    app.emulator.control().edit_authorization(
        Some(1),
        AuthorizationEdit {
            remove: vec!["code".to_owned()],
            append: vec![
                ("error".to_owned(), "access_denied".to_owned()),
                ("error_description".to_owned(), "AADSTS50105: The signed in user is not assigned.".to_owned()),
            ],
            ..AuthorizationEdit::default()
        },
    );
    let browser = app.browser();
    let answer = browser.sign_in("member1").await;
    answer.assert_status(403).assert_text("AADSTS50105").assert_text("administrator");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_05_a_busy_token_endpoint_is_an_outage_and_starts_nothing() {
    let app = TestApp::start().await;
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::respond(503, ""));
    let browser = app.browser();
    browser.sign_in("member1").await.assert_status(503);
    assert!(app.db_users("").await.is_empty());
    browser.sign_in("member1").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_35_front_channel_logout_ends_the_session_by_sid_without_a_cookie() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    let frame = app.browser();
    frame.get("/auth/front-channel-logout?sid=unknown").await.assert_status(200);
    browser.get("/profile").await.assert_status(200);

    let user = app.db_user("member1@contoso.example").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let sessions = store::models::SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await;
    let sid = sessions.expect("sessions").remove(0).sid.expect("Entra sends sid");
    frame.get(&format!("/auth/front-channel-logout?sid={sid}&iss=https://evil.example")).await.assert_status(200);
    browser.get("/profile").await.assert_status(200);
    frame.get(&format!("/auth/front-channel-logout?sid={sid}")).await.assert_status(200);
    browser.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_30_sign_out_needs_the_form_of_the_session_and_works_with_the_provider_down() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    browser.post("/auth/sign-out", &[]).await.assert_status(400);
    browser.post_raw("/auth/sign-out", String::new(), &[("origin", "https://evil.example")]).await.assert_status(403);
    let profile = browser.get("/profile").await;
    profile.assert_status(200);
    app.emulator.go_offline().await;
    browser.submit(&profile.form("/auth/sign-out")).await.assert_status(303);
    browser.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn core_4_a_third_party_begins_a_sign_in_that_the_person_goes_on_with() {
    let app = TestApp::builder().generic().start().await;
    let browser = app.browser();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("iss", &app.emulator.issuer())
        .append_pair("login_hint", "member1@contoso.example")
        .append_pair("target_link_uri", &format!("{}/profile?x=1", app.origin()))
        .finish();
    let cross_site =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("referer", "https://x.example/")];
    let page = browser.get_with(&format!("/auth/sign-in?{query}"), &cross_site).await;
    page.assert_status(200);
    assert!(browser.cookie_names().is_empty(), "h_11: nothing has begun");
    let form = page.form("/auth/sign-in");
    let field = |name: &str| form.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(field("next"), Some("/profile?x=1"));
    assert_eq!(field("login_hint"), Some("member1@contoso.example"));

    let to_provider = browser.submit(&form).await.location().expect("to the provider");
    assert!(to_provider.query_pairs().any(|pair| pair == ("login_hint".into(), "member1@contoso.example".into())));
    let answer = browser.sign_in_at(&format!("/auth/sign-in?{query}"), "member1").await;
    assert_eq!(answer.location_path(), "/profile?x=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn core_4_another_issuer_is_a_clear_error() {
    for app in [TestApp::start().await, TestApp::builder().generic().start().await] {
        let browser = app.browser();
        let long = "x".repeat(1_000);
        for issuer in ["https://evil.example", "", "%00", &long] {
            let page = browser.get(&format!("/auth/sign-in?iss={issuer}")).await;
            page.assert_status(400).assert_text("another provider");
        }
        browser.get(&format!("/auth/sign-in?iss={}", app.emulator.issuer())).await.assert_status(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k_02_target_link_uri_leads_to_this_origin_or_home() {
    let app = TestApp::start().await;
    let own = app.origin().to_owned();
    for (target, expected) in [
        (format!("{own}/profile"), Some("/profile")),
        (format!("{own}/admin/users?q=a%20b#top"), Some("/admin/users?q=a%20b#top")),
        ("/profile".to_owned(), Some("/profile")),
        (own.clone(), None),
        (format!("{own}.evil.example/profile"), None),
        (format!("{own}@evil.example/profile"), None),
        (format!("{own}//evil.example"), None),
        (format!("{own}/\\evil.example"), None),
        (format!("{own}/auth/sign-out"), None),
        ("https://evil.example/profile".to_owned(), None),
        ("//evil.example/profile".to_owned(), None),
        ("\\\\evil.example/profile".to_owned(), None),
        ("javascript:alert(1)".to_owned(), None),
        ("data:text/html,x".to_owned(), None),
    ] {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("target_link_uri", &target).finish();
        let page = app.browser().get(&format!("/auth/sign-in?{query}")).await;
        page.assert_status(200);
        let form = page.form("/auth/sign-in");
        let next = form.fields.iter().find(|(name, _)| name == "next").map(|(_, value)| value.as_str());
        assert_eq!(next, expected, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_11_no_get_and_no_post_from_elsewhere_starts_a_sign_in() {
    let app = TestApp::start().await;
    let browser = app.browser();
    for site in ["cross-site", "same-site", "same-origin", "none"] {
        let page = browser.get_with("/auth/sign-in?next=/profile", &[("sec-fetch-site", site)]).await;
        page.assert_status(200);
    }
    for headers in [[("sec-fetch-site", "cross-site")], [("sec-fetch-site", "same-site")], [("origin", "null")]] {
        browser.post_raw("/auth/sign-in", "iss=x".to_owned(), &headers).await.assert_status(403);
    }
    assert!(browser.cookie_names().is_empty());
    assert_eq!(app.emulator.control().count(entra_emulator::Endpoint::Authorize), 0);
}
