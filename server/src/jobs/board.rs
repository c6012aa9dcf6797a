//! How the jobs of this instance fare, and the bells that wake them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::NaiveDateTime;
use store::DbError;
use tokio::sync::Notify;

/// The refresh of grants that are due; [`JobBoard::wake`] takes the name.
pub const REFRESH: &str = "refresh";

/// The directory sync; [`JobBoard::wake`] takes the name.
pub const DIRECTORY_SYNC: &str = "directory-sync";

/// The most bytes of an error's text that are kept.
const MAX_WORDS: usize = 300;

/// What a run came to, in words for an administrator (`3 refreshed`); empty when there was nothing to do.
pub type JobResult = Result<String, JobError>;

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

    pub(super) fn add(&self, name: &'static str, title: &'static str) -> Arc<Notify> {
        let status = JobStatus { name, title, ..JobStatus::default() };
        let bell = Arc::new(Notify::new());
        self.lock().insert(name, (status, Arc::clone(&bell)));
        bell
    }

    pub(super) fn change(&self, name: &'static str, change: impl FnOnce(&mut JobStatus)) {
        if let Some((status, _)) = self.lock().get_mut(name) {
            change(status);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, (JobStatus, Arc<Notify>)>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobStatus {
    pub(super) fn note(&mut self, now: NaiveDateTime, result: JobResult, panicked: bool) {
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
