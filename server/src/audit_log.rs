//! Audit events as they leave the application: one shape for the API, for standard error and for people's own data.
//!
//! With `AUDIT_LOG=stderr` each event is a line of JSON on standard error once it is committed: what was rolled back is
//! never told. A crash between the two loses the line; `GET /api/v1/audit` is the way that is complete.

use std::cell::RefCell;
use std::io::Write as _;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::SecondsFormat;
use serde::Serialize;
use utoipa::ToSchema;

use crate::models::AuditEvent;

/// Standard error belongs to the process, and so does the choice to write there.
static IS_WRITTEN_OUT: AtomicBool = AtomicBool::new(false);

tokio::task_local! {
    /// Events of the transaction that this task has open.
    static UNCOMMITTED: RefCell<Vec<AuditEvent>>;
}

/// An audit event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct AuditRecord {
    /// A UUID of version 7, made from the time of the event.
    id: String,
    /// When (RFC 3339, UTC).
    #[schema(format = DateTime)]
    at: String,
    /// What: `sign_in.succeeded`.
    action: String,
    /// Id of the user who did it; `null` when nobody known did.
    #[schema(required)]
    actor_id: Option<String>,
    /// Their user name at that time; `system` for jobs, `command line` for commands.
    actor: String,
    /// Id of the user whom it was done to.
    #[schema(required)]
    target_id: Option<String>,
    /// Their user name at that time.
    target: String,
    /// Address of the client; empty for what the application did by itself.
    address: String,
    /// Id of the request; also in the application's log and in its answer.
    request_id: String,
    /// Further facts.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    detail: serde_json::Value,
}

impl From<AuditEvent> for AuditRecord {
    fn from(event: AuditEvent) -> Self {
        Self {
            id: event.id,
            at: event.at.and_utc().to_rfc3339_opts(SecondsFormat::Millis, true),
            action: event.kind,
            actor_id: event.actor_id,
            actor: event.actor_name,
            target_id: event.subject_id,
            target: event.subject_name,
            address: event.address,
            request_id: event.request_id,
            detail: serde_json::from_str(&event.detail).unwrap_or_default(),
        }
    }
}

/// Writes every event to standard error from now on.
pub fn write_out() {
    IS_WRITTEN_OUT.store(true, Ordering::Relaxed);
}

/// Tells of an event that was inserted: at the commit of the transaction around it, at once without one.
pub(crate) fn inserted(event: &AuditEvent) {
    if !IS_WRITTEN_OUT.load(Ordering::Relaxed) {
        return;
    }
    if UNCOMMITTED.try_with(|events| events.borrow_mut().push(event.clone())).is_err() {
        write(vec![event.clone()]);
    }
}

/// Runs a transaction, and tells of its events once it is committed. [`crate::write_transaction!`] does it by this.
///
/// # Errors
/// Those of the transaction.
pub async fn told_after_commit<T, E>(transaction: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let (result, events) = with_events(transaction).await;
    write(events);
    result
}

/// The events of a transaction that was committed; none of one that was rolled back.
async fn with_events<T, E>(transaction: impl Future<Output = Result<T, E>>) -> (Result<T, E>, Vec<AuditEvent>) {
    let mut transaction = pin!(UNCOMMITTED.scope(RefCell::default(), transaction));
    let result = transaction.as_mut().await;
    let events = transaction.take_value().filter(|_| result.is_ok());
    (result, events.map(RefCell::into_inner).unwrap_or_default())
}

/// A line of the log on standard error. `log` tells it from lines of other kinds.
#[derive(Serialize)]
struct Line {
    log: &'static str,
    #[serde(flatten)]
    event: AuditRecord,
}

fn write(events: Vec<AuditEvent>) {
    for event in events {
        let mut line = serde_json::to_vec(&Line { log: "audit", event: event.into() }).unwrap_or_default();
        line.push(b'\n');
        // Nobody is left to tell when standard error is closed.
        let _ = std::io::stderr().write_all(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_told_after_the_commit_and_never_after_a_rollback() {
        write_out();
        let event = AuditEvent {
            id: "an id".to_owned(),
            at: chrono::DateTime::UNIX_EPOCH.naive_utc(),
            kind: "test".to_owned(),
            actor_id: None,
            actor_name: String::new(),
            subject_id: None,
            subject_name: String::new(),
            address: String::new(),
            request_id: String::new(),
            detail: "{}".to_owned(),
        };
        for result in [Ok(()), Err("rolled back")] {
            let (outcome, events) = with_events(async {
                inserted(&event);
                inserted(&event);
                result
            })
            .await;
            assert_eq!(outcome, result);
            assert_eq!(events.len(), if result.is_ok() { 2 } else { 0 });
        }
        let line = serde_json::to_value(Line { log: "audit", event: event.into() }).expect("JSON");
        assert_eq!(
            (&line["log"], &line["action"], &line["at"]),
            (&"audit".into(), &"test".into(), &"1970-01-01T00:00:00.000Z".into())
        );
    }
}
