//! The grant vault: refreshed in time, never twice, and never brought back.

use entra_emulator::{Endpoint, Fault, RefreshRotation};
use server::tokens::{RefreshOutcome, refresh_due, refresh_grant};
use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_refreshed_before_it_expires_once_a_period() {
    let app = TestApp::start().await;
    app.emulator.control().set_access_token_lifetime(20..=20);
    app.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    app.sign_in("member1").await;
    app.settle().await;
    let token_calls = || app.emulator.control().count(Endpoint::Token);
    assert_eq!(refresh_due(&app.state).await.expect("no error"), 0, "not due yet");
    for period in 1..=3 {
        app.advance(10);
        app.emulator.control().advance_clock(10);
        assert_eq!(refresh_due(&app.state).await.expect("no error"), 1);
        assert_eq!(refresh_due(&app.state).await.expect("no error"), 0, "once a period");
        assert_eq!(token_calls(), 1 + period);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f_12_two_instances_refresh_a_grant_once() {
    let app = TestApp::start().await;
    let other = TestApp::builder().beside(&app).start().await;
    app.emulator.control().set_access_token_lifetime(3600..=3600);
    app.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    app.sign_in("member1").await;
    app.settle().await;
    app.advance(3600);
    app.emulator.control().advance_clock(3600);
    let (first, second) = tokio::join!(refresh_due(&app.state), refresh_due(&other.state));
    assert_eq!(first.expect("no error") + second.expect("no error"), 1);
    assert_eq!(app.emulator.control().count(Endpoint::Token), 2);
    let user = app.db_user("member1@contoso.example").await;
    assert_eq!(app.db_grants(&user).await.remove(0).state, "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_40_a_revoked_grant_needs_a_sign_in_and_ends_the_sessions() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    app.settle().await;
    app.emulator.control().revoke("member1");
    let user = app.db_user("member1@contoso.example").await;
    let grant = app.db_grants(&user).await.remove(0);
    assert_eq!(refresh_grant(&app.state, grant).await.expect("no error"), RefreshOutcome::NeedsSignIn);
    let grant = app.db_grants(&user).await.remove(0);
    assert_eq!((grant.state.as_str(), grant.due_at), ("needs_sign_in", None));
    browser.get("/profile").await.assert_status(303);
    assert_eq!(app.db_events("grant.revoked").await.len(), 1);
    let calls = app.emulator.control().count(Endpoint::Token);
    app.advance(3600);
    app.emulator.control().advance_clock(3600);
    refresh_due(&app.state).await.expect("no error");
    assert_eq!(app.emulator.control().count(Endpoint::Token), calls, "no further try");
    app.sign_in("member1").await;
    app.settle().await;
    assert_eq!(app.db_grants(&user).await.remove(0).state, "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_grant_revoked_keep_leaves_the_sessions() {
    let app = TestApp::builder().setting("ON_GRANT_REVOKED", "keep").start().await;
    let browser = app.sign_in("member1").await;
    app.settle().await;
    app.emulator.control().revoke("member1");
    let user = app.db_user("member1@contoso.example").await;
    let grant = app.db_grants(&user).await.remove(0);
    assert_eq!(refresh_grant(&app.state, grant).await.expect("no error"), RefreshOutcome::NeedsSignIn);
    assert_eq!(app.db_events("grant.revoked").await.len(), 1);
    browser.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_15_outages_and_a_wrong_credential_cost_no_refresh_token() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.settle().await;
    let user = app.db_user("member1@contoso.example").await;
    let control = app.emulator.control();
    for fault in [Fault::respond(503, ""), Fault::respond(429, ""), Fault::respond(500, "")] {
        control.fault_next(Endpoint::Token, 1, fault);
        let grant = app.db_grants(&user).await.remove(0);
        assert_eq!(refresh_grant(&app.state, grant).await.expect("no error"), RefreshOutcome::Retrying);
        app.advance(5);
    }
    control.expire_client_secrets(true);
    let grant = app.db_grants(&user).await.remove(0);
    assert_eq!(refresh_grant(&app.state, grant).await.expect("no error"), RefreshOutcome::Retrying);
    control.expire_client_secrets(false);
    let grant = app.db_grants(&user).await.remove(0);
    assert_eq!(grant.failures, 4);
    assert_eq!(refresh_grant(&app.state, grant).await.expect("no error"), RefreshOutcome::Refreshed);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_13_a_result_that_comes_after_a_disable_is_thrown_away() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.settle().await;
    let user = app.db_user("member1@contoso.example").await;
    let grant = app.db_grants(&user).await.remove(0);
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::Hang);
    let state = app.state.clone();
    let refresh = tokio::spawn(async move { refresh_grant(&state, grant).await });
    while app.emulator.control().count(Endpoint::Token) < 2 {
        tokio::task::yield_now().await;
    }
    let act = server::people::acts::Act::Disable { user_id: user.id.clone() };
    server::people::acts::run(&app.state, act, server::people::actor::By::command_line()).await.expect("disabled");
    app.emulator.control().release();
    assert_eq!(refresh.await.expect("no panic").expect("no error"), RefreshOutcome::Lost);
    assert!(app.db_grants(&user).await.is_empty(), "no token row returns");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_16_one_damaged_row_affects_itself_only() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.settle().await;
    app.sign_in("member2").await;
    let user = app.db_user("member1@contoso.example").await;
    let mut grant = app.db_grants(&user).await.remove(0);
    if let Some(last) = grant.sealed.last_mut() {
        *last ^= 1;
    }
    assert_eq!(refresh_grant(&app.state, grant).await.expect("no error"), RefreshOutcome::NeedsSignIn);
    let other = app.db_user("member2@contoso.example").await;
    let grant = app.db_grants(&other).await.remove(0);
    assert_eq!(refresh_grant(&app.state, grant).await.expect("no error"), RefreshOutcome::Refreshed);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_21_a_grant_that_nobody_uses_is_forgotten() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.settle().await;
    let user = app.db_user("member1@contoso.example").await;
    let day = 24 * 3600;
    for (days, left) in [(13, 1), (2, 0)] {
        app.advance(days * day);
        server::jobs::purge(&app.state).await.expect("a purge");
        assert_eq!(app.db_grants(&user).await.len(), left);
    }
}
