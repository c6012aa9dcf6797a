//! Tells of audit events once they are committed: what was rolled back is never told.

use std::cell::RefCell;
use std::pin::pin;
use std::sync::OnceLock;

use crate::models::AuditEvent;

/// What is done with each event. It belongs to the process, as standard error does.
static LISTENER: OnceLock<fn(AuditEvent)> = OnceLock::new();

tokio::task_local! {
    /// Events of the transaction that this task has open.
    static UNCOMMITTED: RefCell<Vec<AuditEvent>>;
}

/// Gives every audit event to `listener` from now on, after its commit; a process has one.
pub fn on_audit_event(listener: fn(AuditEvent)) {
    // The first one stays; they are all the same.
    let _ = LISTENER.set(listener);
}

/// Tells of an event that was inserted: at the commit of the transaction around it, at once without one.
pub(crate) fn inserted(event: &AuditEvent) {
    let Some(listener) = LISTENER.get() else { return };
    if UNCOMMITTED.try_with(|events| events.borrow_mut().push(event.clone())).is_err() {
        listener(event.clone());
    }
}

/// Runs a transaction, and tells of its events once it is committed. [`write_transaction!`](crate::write_transaction)
/// does it by this.
///
/// # Errors
/// Those of the transaction.
pub async fn told_after_commit<T, E>(transaction: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let (result, events) = with_events(transaction).await;
    if let Some(listener) = LISTENER.get() {
        events.into_iter().for_each(listener);
    }
    result
}

/// The events of a transaction that was committed; none of one that was rolled back.
async fn with_events<T, E>(transaction: impl Future<Output = Result<T, E>>) -> (Result<T, E>, Vec<AuditEvent>) {
    let mut transaction = pin!(UNCOMMITTED.scope(RefCell::default(), transaction));
    let result = transaction.as_mut().await;
    let events = transaction.take_value().filter(|_| result.is_ok());
    (result, events.map(RefCell::into_inner).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn events_are_told_after_the_commit_and_never_after_a_rollback() {
        on_audit_event(drop);
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
    }
}
