//! What the checks of [`crate::diagnostics::doctor`] say, and what the last run on this instance found.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDateTime;
use entra::oidc::OidcError;
use serde::Serialize;
use tokio::sync::Semaphore;

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Well.
    Ok,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Failure,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked: `database`, `discovery`, …
    pub check: &'static str,
    /// How it came out.
    pub level: Level,
    /// What was seen. No secrets.
    pub detail: String,
    /// What to do; empty if nothing.
    pub advice: String,
}

impl Finding {
    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, detail: detail.into(), advice: String::new() }
    }

    pub(super) fn warning(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, detail: detail.into(), advice: advice.into() }
    }

    pub(super) fn failure(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, level: Level::Failure, detail: detail.into(), advice: advice.into() }
    }

    pub(super) fn refused(check: &'static str, error: &OidcError) -> Self {
        let ids = error.provider_error().map(|error| format!(" ({error})")).unwrap_or_default();
        let detail = if ids.is_empty() { error.to_string() } else { format!("{}{ids}", error.advice().title) };
        Self::failure(check, detail, error.advice().what_to_do)
    }
}

/// What a run found.
#[derive(Debug)]
pub struct Examination {
    /// When it ended.
    pub at: NaiveDateTime,
    /// The findings of [`examine`](crate::diagnostics::doctor::examine).
    pub findings: Vec<Finding>,
}

/// The last run of this instance, and the one that is under way.
#[derive(Debug)]
pub struct Examinations {
    /// One permit: whoever has it runs.
    pub(super) turn: Arc<Semaphore>,
    last: Mutex<Option<Arc<Examination>>>,
}

impl Default for Examinations {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), last: Mutex::default() }
    }
}

impl Examinations {
    /// What was found last; `None` before the first run.
    #[must_use]
    pub fn last(&self) -> Option<Arc<Examination>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a run is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.turn.available_permits() == 0
    }

    pub(super) fn put(&self, examination: Arc<Examination>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(examination);
    }
}
