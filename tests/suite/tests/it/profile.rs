//! One's own profile: claims, Graph data that degrades alone, sessions, tokens that never show.

use entra_emulator::{Endpoint, Fault};
use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_shows_claims_graph_data_and_the_photo() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    let profile = browser.get("/profile").await;
    profile.assert_text("admin@contoso.example").assert_text("IT Administrator").assert_text("This device");
    let photo = browser.get("/profile/photo").await;
    photo.assert_status(200);
    assert!(photo.header("content-type").starts_with("image/"));
    assert_eq!(photo.header("x-content-type-options"), "nosniff");
    app.browser().get("/profile/photo").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_graph_down_the_profile_says_so_and_keeps_what_was_known() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    browser.get("/profile").await.assert_text("IT Administrator");
    app.emulator.control().fault(Endpoint::Me, Fault::respond(503, ""));
    let again = app.sign_in("admin").await;
    again.get("/profile").await.assert_status(200).assert_text("IT Administrator");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_graph_refused_is_asked_for_again_though_the_photo_came() {
    let app = TestApp::start().await;
    for endpoint in [Endpoint::Me, Endpoint::Manager] {
        app.emulator.control().fault(endpoint, Fault::respond(403, ""));
    }
    let browser = app.sign_in("admin").await;
    app.settle().await;
    let profile = browser.get("/profile").await;
    assert!(!profile.body.contains("IT Administrator"));
    browser.get("/profile/photo").await.assert_status(200);
    app.emulator.control().clear_faults();
    app.advance(61);
    browser.get("/profile").await;
    app.settle().await;
    browser.get("/profile").await.assert_text("IT Administrator");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_1_1_no_page_and_no_row_holds_a_token_in_clear() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    let user = app.db_user("admin@contoso.example").await;
    let grant = app.db_grants(&user).await.remove(0);
    let tokens = server::tokens::open(&app.state.config.tokens.keys, &grant).expect("the tokens open");
    let sealed_json = tokens.to_sealed_json();
    let plain = String::from_utf8_lossy(&sealed_json).into_owned();
    let secrets: Vec<&str> = plain.split('"').filter(|text| text.len() > 60).collect();
    assert!(secrets.len() >= 2, "an access token and a refresh token");
    let cookie = browser.cookie("id").expect("a session");
    for path in ["/", "/profile", "/admin", "/admin/users", "/admin/grants", "/admin/sessions", "/admin/audit"] {
        let body = browser.get(path).await.body;
        assert!(!body.contains(&cookie), "{path}");
        assert!(!secrets.iter().any(|secret| body.contains(secret)), "{path}");
    }
    let sealed = String::from_utf8_lossy(&grant.sealed);
    assert!(!secrets.iter().any(|secret| sealed.contains(secret)));
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_5_2_one_ends_ones_own_sessions_and_nobody_elses() {
    let app = TestApp::start().await;
    let (here, there) = (app.sign_in("member1").await, app.sign_in("member1").await);
    let stranger = app.sign_in("member2").await;
    let user = app.db_user("member1@contoso.example").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let sessions = store::models::SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await;
    let sessions = sessions.expect("sessions");
    drop(conn);
    let csrf = stranger.get("/profile").await.form("/auth/sign-out").fields.remove(0).1;
    for session in &sessions {
        let answer = stranger.post(&format!("/profile/sessions/{}/end", session.id), &[("csrf", &csrf)]).await;
        answer.assert_status(404);
    }
    here.get("/profile").await.assert_status(200);
    there.get("/profile").await.assert_status(200);

    let page = here.get("/profile").await;
    let form = page.form("/profile/sign-out-everywhere");
    here.submit(&form).await.assert_status(303);
    here.get("/profile").await.assert_status(303);
    there.get("/profile").await.assert_status(303);
    stranger.get("/profile").await.assert_status(200);
}
