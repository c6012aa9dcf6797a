//! The driver of background jobs: what fails or panics is shown, counted and run again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use server::jobs::board::{JobError, JobStatus};
use server::jobs::{self, Job, start_job};
use suite::TestApp;

/// Never over within a test: a job runs again only when it is woken.
const LONG: Duration = Duration::from_secs(24 * 3600);

/// The status of a job after its `runs`th run.
async fn after_run(app: &TestApp, name: &str, runs: u64) -> JobStatus {
    loop {
        let found = app.state.jobs.list().into_iter().find(|job| job.name == name).expect("a job");
        if found.runs >= runs && !found.is_running {
            return found;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f_37_a_job_that_fails_or_panics_is_shown_and_runs_again() {
    let app = TestApp::start().await;
    let administrator = app.sign_in("admin").await;
    let runs = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&runs);
    let job = Job::new("odd", "An odd job", LONG, move |_| {
        let run = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            match run {
                0 => Ok("3 made".to_owned()),
                1 => Err(JobError::new("The thing is not there.")),
                2 => panic!("nobody thought of this"),
                _ => Ok(String::new()),
            }
        }
    });
    start_job(&app.state, job);

    let job = after_run(&app, "odd", 1).await;
    assert_eq!((job.failures, job.error.as_str()), (0, ""));
    assert!(job.next_run > job.last_run);
    administrator.get("/admin/health").await.assert_text("3 made").assert_text("Everything works");

    app.state.jobs.wake("odd");
    let job = after_run(&app, "odd", 2).await;
    assert_eq!((job.failures, job.panics, job.error.as_str()), (1, 0, "The thing is not there."));
    administrator.get("/admin/health").await.assert_text("The thing is not there.").assert_text("needs attention");

    let panics = server::observe::panics::count();
    app.state.jobs.wake("odd");
    let job = after_run(&app, "odd", 3).await;
    assert_eq!((job.failures, job.panics, job.error.as_str()), (2, 1, "It panicked: nobody thought of this"));
    assert!(server::observe::panics::count() > panics, "counted");
    let readiness = app.ask_as_operator("/readyz").await;
    readiness.assert_status(200).assert_text("degraded").assert_text("failing: odd");

    app.state.jobs.wake("odd");
    let job = after_run(&app, "odd", 4).await;
    assert_eq!((job.error.as_str(), job.last_error.is_some()), ("", true), "the last failure stays in view");
    assert_eq!(job.last_result.map(|(_, result)| result).as_deref(), Some("3 made"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_runs_at_the_start_and_the_refresh_can_be_woken() {
    let app = TestApp::start().await;
    app.emulator.control().set_access_token_lifetime(20..=20);
    jobs::start(&app.state);
    let names: Vec<&str> = app.state.jobs.list().iter().map(|job| job.name).collect();
    let expected =
        ["audit-retention", "grant-purge", "groups-lapse", "refresh", "session-purge", "transaction-purge", "warm-up"];
    assert_eq!(names, expected);
    for name in names {
        assert_eq!(after_run(&app, name, 1).await.error, "", "{name}");
    }
    app.sign_in("member1").await;
    app.advance(19);
    app.emulator.control().advance_clock(19);
    // Whichever run comes first after this moment refreshes the grant: the second one has ended after it.
    let refresh = || app.state.jobs.list().into_iter().find(|job| job.name == jobs::board::REFRESH).expect("the job");
    let runs = refresh().runs;
    for further in 1..=2 {
        app.state.jobs.wake(jobs::board::REFRESH);
        after_run(&app, jobs::board::REFRESH, runs + further).await;
    }
    assert_eq!(refresh().last_result.map(|(_, result)| result).as_deref(), Some("1 refreshed"));
}
