//! Sessions: hashed, bounded in time, renewed at sign-in, ended everywhere at once.

use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn v_7_3_1_an_idle_session_ends_and_a_used_one_does_not() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    for _ in 0..3 {
        app.advance(20 * 60);
        browser.get("/profile").await.assert_status(200);
    }
    app.advance(31 * 60);
    browser.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_3_2_the_absolute_timeout_ends_a_busy_session() {
    let app = TestApp::builder().setting("SESSION_ABSOLUTE_TIMEOUT", "1h").start().await;
    let browser = app.sign_in("member1").await;
    for _ in 0..5 {
        app.advance(11 * 60);
        browser.get("/profile").await.assert_status(200);
    }
    app.advance(6 * 60);
    browser.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn k_08_h_03_a_planted_id_is_never_adopted_and_the_old_one_dies_at_sign_in() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.set_cookie("id", "AAAAAAAAAAAAAAAAAAAAAA");
    browser.sign_in("member1").await.assert_status(303);
    let first = browser.cookie("id").expect("a session");
    assert_ne!(first, "AAAAAAAAAAAAAAAAAAAAAA");

    browser.sign_in("member1").await.assert_status(303);
    let second = browser.cookie("id").expect("a session");
    assert_ne!(first, second);
    let old = app.browser();
    old.set_cookie("id", &first);
    old.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn h_03_malformed_cookies_are_input() {
    let app = TestApp::start().await;
    let long = "A".repeat(6000);
    for value in ["' OR 1=1 --", "", "%00", long.as_str(), "AAAAAAAAAAAAAAAAAAAAAA"] {
        let browser = app.browser();
        browser.set_cookie("id", value);
        browser.get("/profile").await.assert_status(303);
        browser.get("/").await.assert_status(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k_11_a_transaction_cookie_is_no_session() {
    let app = TestApp::start().await;
    let browser = app.browser();
    browser.begin("/auth/sign-in").await;
    let name = browser.cookie_names().into_iter().find(|name| name.starts_with("login-")).expect("a transaction");
    let value = browser.cookie(&name).expect("its value");
    browser.set_cookie("id", &value);
    browser.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_32_sign_in_begun_on_one_instance_ends_on_another_and_sign_out_is_felt_by_both() {
    let first = TestApp::start().await;
    let second = TestApp::builder().beside(&first).setting("PUBLIC_URL", first.origin()).start().await;
    let browser = first.browser();
    let at_provider = browser.begin("/auth/sign-in").await;
    let back = browser.pick_only(&at_provider, "member1").await.location().expect("a redirect");
    let other = format!("{}?{}", "/auth/callback", back.query().expect("parameters"));
    browser.get(&second.address(&other)).await.assert_status(303);
    browser.get("/profile").await.assert_status(200);
    let page = browser.get(&second.address("/profile")).await;
    page.assert_status(200);
    let csrf = page.form("/auth/sign-out").fields.remove(0).1;
    let headers = [("origin", first.origin())];
    browser.post_raw(&second.address("/auth/sign-out"), format!("csrf={csrf}"), &headers).await.assert_status(303);
    browser.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_31_starting_sign_ins_writes_nothing() {
    let app = TestApp::start().await;
    for _ in 0..20 {
        app.browser().begin("/auth/sign-in").await;
    }
    assert!(app.db_users("").await.is_empty());
    assert!(app.db_events("").await.is_empty());
    let mut conn = app.state.db.conn().await.expect("a connection");
    let live = server::models::SessionRecord::count_live(&mut conn, app.state.live_at()).await;
    assert_eq!(live.expect("a count"), 0);
}
