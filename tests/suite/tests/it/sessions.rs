//! Sessions: hashed, bounded in time, renewed at sign-in, ended everywhere at once.

use server::tokens::refresh_due;
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
    let long = "A".repeat(8192);
    for value in [
        "' OR 1=1 --",
        "'; DROP TABLE sessions; --",
        "",
        "%00",
        "\"quoted\"",
        "../../etc/passwd",
        long.as_str(),
        "AAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let browser = app.browser();
        browser.set_cookie("id", value);
        browser.get("/profile").await.assert_status(303);
        browser.get("/").await.assert_status(200);
        browser.sign_in("member1").await.assert_status(303);
        assert_ne!(browser.cookie("id").expect("a session"), value, "it is not adopted");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_03_of_two_cookies_of_one_name_none_makes_a_stranger_somebody() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let id = member.cookie("id").expect("a session");
    let planted = "AAAAAAAAAAAAAAAAAAAAAA";
    for cookies in
        [format!("id={planted}; id={id}"), format!("id={id}; id={planted}"), format!("id={planted}; id={planted}")]
    {
        let answer = app.ask("GET", "/profile", &[("cookie", &cookies), ("accept", "text/html")], "").await;
        let is_member = answer.status == 200 && answer.text().contains("member1@contoso.example");
        assert!(answer.status == 303 || is_member, "{}", answer.status);
        assert!(!answer.header("set-cookie").contains(planted));
    }
    member.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn h_04_and_v_7_3_the_defaults_hold_whatever_is_refreshed_behind_the_scenes() {
    let app = TestApp::start().await;
    app.emulator.control().set_access_token_lifetime(600..=600);
    let pass = |minutes: i64| {
        app.advance(minutes * 60);
        app.emulator.control().advance_clock(minutes * 60);
    };
    let idle = app.sign_in("member1").await;
    app.settle().await;
    for _ in 0..3 {
        pass(10);
        assert_eq!(refresh_due(&app.state).await.expect("no error"), 1, "tokens are refreshed");
    }
    pass(1);
    idle.get("/profile").await.assert_status(303);

    let busy = app.sign_in("member1").await;
    for _ in 0..19 {
        pass(25);
        refresh_due(&app.state).await.expect("no error");
        busy.get("/profile").await.assert_status(200);
    }
    pass(6);
    busy.get("/profile").await.assert_status(303);
    let user = app.db_user("member1@contoso.example").await;
    assert_eq!(app.db_grants(&user).await.len(), 1, "the grant outlives the session");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_2_a_session_is_a_random_name_that_the_server_alone_can_read() {
    let app = TestApp::start().await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..8 {
        let browser = app.sign_in("member1").await;
        let id = browser.cookie("id").expect("a session");
        // V-7.2.3: 128 bits in base64 without padding.
        assert!(id.len() == 22 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{id}");
        assert!(ids.insert(id));
    }
    // V-7.2.1 and V-7.2.2: only the whole name is good, and nothing can be read from it or from the table.
    let good = ids.first().expect("an id").clone();
    for at in [0, 7, 21] {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'Q' } else { b'A' };
        let browser = app.browser();
        browser.set_cookie("id", &String::from_utf8(bytes).expect("ASCII"));
        browser.get("/profile").await.assert_status(303);
    }
    let user = app.db_user("member1@contoso.example").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let rows = store::models::SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await;
    let rows = format!("{:?}", rows.expect("sessions"));
    assert!(!ids.iter().any(|id| rows.contains(id.as_str())), "the table has digests");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_2_4_signing_in_again_and_stepping_up_make_a_new_session_and_end_the_old_one() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    let mut old = browser.cookie("id").expect("a session");
    for page in ["/auth/sign-in", "/auth/sign-in?max_age=0", "/auth/sign-in?prompt=login"] {
        browser.sign_in_at(page, "admin").await.assert_status(303);
        let new = browser.cookie("id").expect("a session");
        assert_ne!(new, old, "{page}");
        let thief = app.browser();
        thief.set_cookie("id", &old);
        thief.get("/profile").await.assert_status(303);
        old = new;
    }
    browser.get("/profile").await.assert_status(200);
    let user = app.db_user("admin@contoso.example").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let rows = store::models::SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await;
    assert_eq!(rows.expect("sessions").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_4_1_what_has_ended_serves_nobody_again() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    let id = browser.cookie("id").expect("a session");
    let form = browser.get("/profile").await.form("/auth/sign-out");
    browser.submit(&form).await.assert_status(303);
    let thief = app.browser();
    thief.set_cookie("id", &id);
    thief.get("/profile").await.assert_status(303);
    assert_eq!(thief.submit(&form).await.location_path(), "/auth/signed-out", "there is nothing left to end");
    thief.sign_in("member2").await.assert_status(303);
    assert_ne!(thief.cookie("id").expect("a session"), id);
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
    let live = store::models::SessionRecord::count_live(&mut conn, app.state.live_at()).await;
    assert_eq!(live.expect("a count"), 0);
}
