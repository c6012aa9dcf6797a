//! Runs a job over and over, and remembers how it fares.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::task::JoinError;
use tracing::Instrument as _;

use crate::jobs::board::{JobError, JobResult, JobStatus};
use crate::observe::panics;
use crate::state::AppState;

type Run = dyn Fn(AppState) -> Pin<Box<dyn Future<Output = JobResult> + Send>> + Send + Sync;

/// Something that is done over and over.
pub struct Job {
    name: &'static str,
    title: &'static str,
    period: Duration,
    run: Box<Run>,
}

impl Job {
    /// A job that runs at once and then `period` after the end of each run. `name` is for logs and metrics, `title`
    /// for people. A run that looks at [`crate::state::App::shutdown`] between its steps ends soon at a shutdown.
    pub fn new<F>(
        name: &'static str,
        title: &'static str,
        period: Duration,
        run: impl Fn(AppState) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = JobResult> + Send + 'static,
    {
        Self { name, title, period, run: Box::new(move |state| Box::pin(run(state))) }
    }
}

/// Runs `job` at once and then once a period, until the shutdown. An error or a panic is logged, shown and counted,
/// and does not end the job.
pub fn start_job(state: &AppState, job: Job) {
    let bell = state.jobs.add(job.name, job.title);
    let state = state.clone();
    let tasks = state.tasks.clone();
    tasks.spawn(async move {
        while !state.shutdown.is_cancelled() {
            run_once(&state, &job).await;
            tokio::select! {
                () = state.shutdown.cancelled() => {}
                () = bell.notified() => {}
                () = tokio::time::sleep(job.period) => {}
            }
        }
    });
}

async fn run_once(state: &AppState, job: &Job) {
    let (began, started) = (state.shared_now(), Instant::now());
    state.jobs.change(job.name, |status| {
        status.is_running = true;
        status.last_run = Some(began);
    });
    // A task of its own, so that a panic ends the run and nothing else.
    let span = tracing::error_span!("job", job = job.name);
    let outcome = tokio::spawn((job.run)(state.clone()).instrument(span)).await;
    let (result, panicked) = match outcome {
        Ok(result) => (result, false),
        Err(error) => (Err(JobError::new(panic_in_words(error))), true),
    };
    if let Err(error) = &result {
        tracing::error!(job = job.name, %error, panicked, "a job failed");
    }
    let (ended, duration) = (state.shared_now(), started.elapsed());
    let next = chrono::Duration::from_std(job.period).ok().and_then(|period| ended.checked_add_signed(period));
    state.jobs.change(job.name, |status| {
        *status = JobStatus { is_running: false, duration, next_run: next, ..status.clone() };
        status.note(ended, result, panicked);
    });
}

fn panic_in_words(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => format!("It panicked: {}", panics::note(panic.as_ref())),
        Err(_) => "Its task was cancelled.".to_owned(),
    }
}
