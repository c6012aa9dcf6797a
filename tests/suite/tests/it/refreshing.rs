//! The refresh engine under fault and load: what other systems got wrong (T-02 to T-10), and the limits that Microsoft
//! sets (G-02, E-31, E-32).

use entra_emulator::{Endpoint, Fault, RefreshRotation};
use futures_util::future::join_all;
use server::tokens::user_graph::UserGraph;
use server::tokens::{RefreshOutcome, refresh_due, refresh_grant};
use store::models::{Grant, User};
use suite::TestApp;

/// An application at a provider that takes each refresh token once, and member1, who has signed in.
pub(crate) async fn signed_in() -> (TestApp, User) {
    let app = TestApp::start().await;
    app.emulator.control().set_access_token_lifetime(3600..=3600);
    app.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    app.sign_in("member1").await;
    app.settle().await;
    let user = app.db_user("member1@contoso.example").await;
    (app, user)
}

async fn grant(app: &TestApp, user: &User) -> Grant {
    app.db_grants(user).await.remove(0)
}

fn pass(app: &TestApp, seconds: i64) {
    app.advance(seconds);
    app.emulator.control().advance_clock(seconds);
}

#[tokio::test(flavor = "multi_thread")]
async fn t_02_concurrent_users_of_an_expired_grant_share_one_refresh() {
    for users in [2, 5] {
        let (app, user) = signed_in().await;
        pass(&app, 3600);
        let before = app.emulator.control().count(Endpoint::Token);
        let opened = join_all((0..users).map(|_| UserGraph::open(&app.state, &user))).await;
        for graph in opened {
            let graph = graph.expect("no error").expect("tokens for everybody, whoever refreshed");
            graph.me().await.expect("a person");
        }
        assert_eq!(app.emulator.control().count(Endpoint::Token), before + 1);
        assert_eq!(grant(&app, &user).await.state, "live");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t_03_a_lease_outlasts_a_slow_call_and_nobody_else_uses_the_token() {
    let (app, user) = signed_in().await;
    let other = TestApp::builder().beside(&app).start().await;
    pass(&app, 3600);
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::Hang);
    let before = app.emulator.control().count(Endpoint::Token);
    let state = app.state.clone();
    let slow = tokio::spawn(async move { refresh_due(&state).await });
    while app.emulator.control().count(Endpoint::Token) == before {
        tokio::task::yield_now().await;
    }
    // The call can take HTTP_TIMEOUT at most; until then nobody else gets at the grant, in whatever way.
    app.advance(10);
    assert_eq!(refresh_due(&other.state).await.expect("no error"), 0);
    let seen = grant(&app, &user).await;
    assert_eq!(refresh_grant(&other.state, seen).await.expect("no error"), RefreshOutcome::Lost);
    app.emulator.control().release();
    assert_eq!(slow.await.expect("no panic").expect("no error"), 1);
    assert_eq!(app.emulator.control().count(Endpoint::Token), before + 1);
    let seen = grant(&app, &user).await;
    assert_eq!((seen.state.as_str(), seen.leased_until), ("live", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn f_11_t_03_the_lease_of_an_instance_that_is_gone_runs_out() {
    let (app, user) = signed_in().await;
    let other = TestApp::builder().beside(&app).start().await;
    pass(&app, 3600);
    let mut seen = grant(&app, &user).await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let until = app.state.shared_now() + chrono::Duration::seconds(40);
    assert!(seen.lease(&mut conn, until).await.expect("no error"));
    drop(conn);
    app.advance(39);
    assert_eq!(refresh_due(&other.state).await.expect("no error"), 0);
    app.advance(1);
    assert_eq!(refresh_due(&other.state).await.expect("no error"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn t_07_an_instance_never_brings_an_old_refresh_token_back() {
    let (app, user) = signed_in().await;
    let other = TestApp::builder().beside(&app).start().await;
    // Each has seen the grant before the other one refreshed it, time and again.
    for round in 0..4 {
        let stale = grant(&app, &user).await;
        let (first, second) = if round % 2 == 0 { (&app, &other) } else { (&other, &app) };
        let fresh = grant(first, &user).await;
        assert_eq!(refresh_grant(&first.state, fresh).await.expect("no error"), RefreshOutcome::Refreshed);
        assert_eq!(refresh_grant(&second.state, stale).await.expect("no error"), RefreshOutcome::Lost);
    }
    assert_eq!(grant(&app, &user).await.state, "live", "under strict rotation one old token would have ended it");
}

#[tokio::test(flavor = "multi_thread")]
async fn t_08_an_aging_token_serves_while_the_provider_is_down_and_an_expired_one_does_not() {
    let (app, user) = signed_in().await;
    pass(&app, 3300);
    app.emulator.control().fault(Endpoint::Token, Fault::respond(503, ""));
    assert_eq!(refresh_due(&app.state).await.expect("no error"), 0);
    let graph = UserGraph::open(&app.state, &user).await.expect("no error").expect("the aging one");
    graph.me().await.expect("a person");
    pass(&app, 300);
    assert!(UserGraph::open(&app.state, &user).await.expect("no error").is_none(), "expired");
    app.emulator.control().clear_faults();
    pass(&app, 60);
    let graph = UserGraph::open(&app.state, &user).await.expect("no error").expect("a new one");
    graph.me().await.expect("a person");
    assert_eq!(grant(&app, &user).await.state, "live", "nothing was lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn t_09_what_was_refused_is_held_back() {
    let (app, user) = signed_in().await;
    let calls = || app.emulator.control().count(Endpoint::Token);
    for (fault, held) in [
        (Fault::retry_after(429, "7"), 7),
        (Fault::respond(429, ""), 5),
        (Fault::respond(503, ""), 2),
        // The application itself is refused: nobody but an operator can help.
        (Fault::aadsts(7000222), 60),
    ] {
        pass(&app, 3600);
        let before = calls();
        app.emulator.control().fault_next(Endpoint::Token, 1, fault);
        assert_eq!(refresh_due(&app.state).await.expect("no error"), 0);
        pass(&app, held - 1);
        assert_eq!(refresh_due(&app.state).await.expect("no error"), 0);
        assert_eq!(calls(), before + 1, "held back for {held} s");
        pass(&app, 4);
        assert_eq!(refresh_due(&app.state).await.expect("no error"), 1);
    }
    assert_eq!(grant(&app, &user).await.state, "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn t_10_300_who_want_a_throttled_grant_make_one_call() {
    let (app, user) = signed_in().await;
    pass(&app, 3600);
    app.emulator.control().fault(Endpoint::Token, Fault::retry_after(429, "30"));
    let before = app.emulator.control().count(Endpoint::Token);
    let opened = join_all((0..300).map(|_| UserGraph::open(&app.state, &user))).await;
    assert!(opened.into_iter().all(|graph| graph.expect("no error").is_none()), "and everybody is answered");
    assert_eq!(app.emulator.control().count(Endpoint::Token), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_02_one_tenants_trouble_holds_up_nobody_else() {
    let (app, user) = signed_in().await;
    pass(&app, 3600);
    let now = app.state.clock.now();
    let realm = user.realm.as_str();
    assert!(app.state.pacing.turn(realm, || now).await);
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::retry_after(429, "30"));
    assert_eq!(refresh_due(&app.state).await.expect("no error"), 0);
    assert_eq!(app.state.pacing.resting(app.state.clock.now()), [realm]);
    assert!(!app.state.pacing.turn(realm, || app.state.clock.now()).await);
    assert!(app.state.pacing.turn("another-tenant", || app.state.clock.now()).await);
    app.advance(31);
    assert!(app.state.pacing.resting(app.state.clock.now()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn g_02_a_provider_that_does_not_answer_is_asked_by_few() {
    let app = TestApp::start().await;
    app.emulator.control().set_access_token_lifetime(3600..=3600);
    app.emulator.control().generate_personas(25);
    let personas: Vec<String> = app.emulator.control().personas().into_iter().map(|persona| persona.id).collect();
    for persona in personas.iter().filter(|id| id.starts_with("user")).take(25) {
        app.sign_in(persona).await;
    }
    app.settle().await;
    pass(&app, 3600);
    app.emulator.control().fault(Endpoint::Token, Fault::respond(503, ""));
    let before = app.emulator.control().count(Endpoint::Token);
    for _ in 0..10 {
        refresh_due(&app.state).await.expect("no error");
        app.advance(1);
    }
    let calls = app.emulator.control().count(Endpoint::Token) - before;
    assert!(calls < 40, "{calls} calls in ten seconds for 25 grants: the breaker stays closed");
    app.emulator.control().clear_faults();
    pass(&app, 120);
    let mut refreshed = 0;
    for _ in 0..3 {
        refreshed += refresh_due(&app.state).await.expect("no error");
    }
    assert_eq!(refreshed, 25, "all recover by themselves");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_31_each_refresh_stores_the_new_refresh_token_in_place_of_the_old_one() {
    for rotation in [RefreshRotation::Entra, RefreshRotation::Strict] {
        let (app, user) = signed_in().await;
        app.emulator.control().set_refresh_rotation(rotation);
        let mut sealed = Vec::new();
        for _ in 0..3 {
            pass(&app, 3600);
            assert_eq!(refresh_due(&app.state).await.expect("no error"), 1);
            sealed.push(grant(&app, &user).await.sealed);
        }
        sealed.dedup();
        assert_eq!((sealed.len(), app.db_grants(&user).await.len()), (3, 1), "{rotation:?}: one row, sealed anew");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e_32_e_41_a_disabled_person_is_cut_off_here_whatever_the_provider_still_takes() {
    let (app, user) = signed_in().await;
    let other = TestApp::builder().beside(&app).start().await;
    let browser = app.sign_in("member1").await;
    let act = server::people::acts::Act::Disable { user_id: user.id.clone() };
    server::people::acts::run(&app.state, act, server::people::actor::By::command_line()).await.expect("disabled");
    let before = app.emulator.control().count(Endpoint::Token);
    for instance in [&app, &other] {
        let page = browser.get(&instance.address("/profile")).await;
        assert_eq!(page.status, 303, "the session is dead on every instance");
        pass(instance, 3600);
        assert_eq!(refresh_due(&instance.state).await.expect("no error"), 0);
    }
    assert!(app.db_grants(&user).await.is_empty(), "its tokens are gone");
    assert_eq!(app.emulator.control().count(Endpoint::Token), before, "and the provider is not asked again");
}
