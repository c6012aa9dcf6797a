//! The checks of [`crate::diagnostics::doctor`] from a page: one run at a time, and what the last one of this instance found.

use std::sync::Arc;

use crate::diagnostics::doctor;
use crate::diagnostics::findings::Examination;
use crate::state::AppState;

/// How soon after the end of a run the next may begin: every run calls the provider several times.
const PAUSE: chrono::Duration = chrono::Duration::seconds(10);

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
