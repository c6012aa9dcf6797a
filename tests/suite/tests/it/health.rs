//! `/admin/health`: every check of `server doctor`, run when an administrator says so.

use entra_emulator::{Endpoint, Fault};
use suite::{Browser, Page, TestApp};

const HEALTH: &str = "/admin/health";

async fn examine(admin: &Browser) -> Page {
    let form = admin.get(HEALTH).await.form("/admin/health/examine");
    let done = admin.submit(&form).await;
    done.assert_status(303);
    assert_eq!(done.location_path(), HEALTH);
    admin.follow(done).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_of_the_doctor_is_shown_with_time_outcome_and_remedy() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    admin.get(HEALTH).await.assert_status(200).assert_text("No checks run yet");
    app.emulator.control().set_redirect_uris(&["https://elsewhere.example/auth/callback"]);
    let page = examine(&admin).await;
    page.assert_text("Checks completed").assert_text("Problems found");
    for check in server::diagnostics::doctor::examine(&app.state).await {
        page.assert_text(check.check).assert_text(&check.detail).assert_text(&check.advice);
    }
    assert!(!page.body.contains("No checks run yet"));
    assert!(page.body.contains("now"), "when it was");
    let event = app.db_events("health.examined").await.remove(0);
    assert!(event.detail.contains("\"failed\":\"1\""), "{}", event.detail);

    app.emulator.control().set_redirect_uris(&[&format!("{}/auth/callback", app.origin())]);
    app.advance(11);
    app.emulator.control().advance_clock(11);
    // http on loopback is worth a warning.
    examine(&admin).await.assert_text("Working, with warnings");
    app.advance(3600);
    admin.get(HEALTH).await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_examination_runs_at_a_time_and_the_next_ten_seconds_later() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    let metadata = || app.emulator.control().count(Endpoint::Metadata);
    app.emulator.control().fault_next(Endpoint::Metadata, 1, Fault::Hang);
    let before = metadata();
    let form = admin.get(HEALTH).await.form("/admin/health/examine");
    let beside = async {
        suite::until("the provider is called", || metadata() > before).await;
        admin.get(HEALTH).await.assert_text("Checks are running.");
        let refused = admin.submit(&form).await;
        app.emulator.control().release();
        admin.follow(refused).await.assert_text("Checks are running or have just run");
    };
    let (first, ()) = tokio::join!(admin.submit(&form), beside);
    first.assert_status(303);
    let ran = metadata();
    app.advance(9);
    examine(&admin).await.assert_text("Checks are running or have just run");
    assert_eq!((metadata(), app.db_events("health.examined").await.len()), (ran, 1));
    app.advance(1);
    examine(&admin).await.assert_text("Checks completed");
    // A clock that was put back does not close it.
    app.advance(-600);
    examine(&admin).await.assert_text("Checks completed");
}
