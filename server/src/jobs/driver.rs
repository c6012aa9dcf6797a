//! Runs a job over and over, and remembers how it fares.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::NaiveDateTime;
use store::DbError;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tracing::Instrument as _;

use crate::panics;
use crate::state::AppState;

/// The most bytes of an error's text that are kept.
const MAX_WORDS: usize = 300;

/// What a run came to, in words for an administrator (`3 refreshed`); empty when there was nothing to do.
pub type JobResult = Result<String, JobError>;

type Run = dyn Fn(AppState) -> Pin<Box<dyn Future<Output = JobResult> + Send>> + Send + Sync;

/// Why a run failed: a sentence for an administrator, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JobError(String);

impl JobError {
    /// A failure in words.
    #[must_use]
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl From<DbError> for JobError {
    fn from(error: DbError) -> Self {
        Self(error.to_string())
    }
}

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

/// How a job fares on this instance since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobStatus {
    /// For logs and metrics.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Whether it runs now.
    pub is_running: bool,
    /// When the last run began.
    pub last_run: Option<NaiveDateTime>,
    /// How long the last run took.
    pub duration: Duration,
    /// What the last run that did something came to, and when.
    pub last_result: Option<(NaiveDateTime, String)>,
    /// Why the last run failed, in words; empty when it did not.
    pub error: String,
    /// The last failure at all, and when.
    pub last_error: Option<(NaiveDateTime, String)>,
    /// When the next run begins, unless it is woken earlier.
    pub next_run: Option<NaiveDateTime>,
    /// Runs that have ended.
    pub runs: u64,
    /// Those that failed, panics among them.
    pub failures: u64,
    /// Those that panicked.
    pub panics: u64,
}

/// How all jobs fare, and the bells that wake them.
#[derive(Debug, Default)]
pub struct JobBoard {
    jobs: Mutex<BTreeMap<&'static str, (JobStatus, Arc<Notify>)>>,
}

impl JobBoard {
    /// The status of every job, by name.
    #[must_use]
    pub fn list(&self) -> Vec<JobStatus> {
        self.lock().values().map(|(status, _)| status.clone()).collect()
    }

    /// Runs the job of this name as soon as it is free, instead of at the end of its period.
    pub fn wake(&self, name: &str) {
        if let Some((_, bell)) = self.lock().get(name) {
            bell.notify_one();
        }
    }

    fn add(&self, job: &Job) -> Arc<Notify> {
        let status = JobStatus { name: job.name, title: job.title, ..JobStatus::default() };
        let bell = Arc::new(Notify::new());
        self.lock().insert(job.name, (status, Arc::clone(&bell)));
        bell
    }

    fn change(&self, name: &'static str, change: impl FnOnce(&mut JobStatus)) {
        if let Some((status, _)) = self.lock().get_mut(name) {
            change(status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, (JobStatus, Arc<Notify>)>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `job` at once and then once a period, until the shutdown. An error or a panic is logged, shown and counted,
/// and does not end the job.
pub fn start_job(state: &AppState, job: Job) {
    let bell = state.jobs.add(&job);
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
        Err(error) => (Err(JobError(panic_in_words(error))), true),
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

impl JobStatus {
    fn note(&mut self, now: NaiveDateTime, result: JobResult, panicked: bool) {
        self.runs += 1;
        self.error = String::new();
        match result {
            Ok(done) if done.is_empty() => {}
            Ok(done) => self.last_result = Some((now, done)),
            Err(JobError(words)) => {
                let words: String = words.chars().take(MAX_WORDS).collect();
                self.failures += 1;
                self.panics += u64::from(panicked);
                self.last_error = Some((now, words.clone()));
                self.error = words;
            }
        }
    }
}

fn panic_in_words(error: JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => format!("It panicked: {}", panics::note(panic.as_ref())),
        Err(_) => "Its task was cancelled.".to_owned(),
    }
}
