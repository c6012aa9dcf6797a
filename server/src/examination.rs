//! The checks of [`crate::doctor`] from a page: one run at a time, and what the last one of this instance found.

use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDateTime;
use tokio::sync::Semaphore;

use crate::doctor::{self, Finding};
use crate::state::AppState;

/// How soon after the end of a run the next may begin: every run calls the provider several times.
const PAUSE: chrono::Duration = chrono::Duration::seconds(10);

/// What a run found.
#[derive(Debug)]
pub struct Examination {
    /// When it ended.
    pub at: NaiveDateTime,
    /// The findings of [`doctor::examine`].
    pub findings: Vec<Finding>,
}

/// The last run of this instance, and the one that is under way.
#[derive(Debug)]
pub struct Examinations {
    /// One permit: whoever has it runs.
    turn: Arc<Semaphore>,
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

    fn put(&self, examination: Arc<Examination>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(examination);
    }
}

/// Runs the checks and keeps what they find, also when the caller goes away. `None`, and nothing is run, while another
/// run is under way or the last one ended less than ten seconds ago.
pub async fn examine(state: &AppState) -> Option<Arc<Examination>> {
    let turn = state.examinations.turn.clone().try_acquire_owned().ok()?;
    let now = state.shared_now();
    let is_recent = |last: &Examination| (chrono::Duration::zero()..PAUSE).contains(&(now - last.at));
    if state.examinations.last().is_some_and(|last| is_recent(&last)) {
        return None;
    }
    let state = state.clone();
    let run = state.tasks.clone().spawn(async move {
        let findings = doctor::examine(&state).await;
        let examination = Arc::new(Examination { at: state.shared_now(), findings });
        state.examinations.put(examination.clone());
        drop(turn);
        examination
    });
    run.await.ok()
}
