//! Audit events as they leave the application: one shape for the API, for standard error and for people's own data.
//!
//! With `AUDIT_LOG=stderr` each event is a line of JSON on standard error once it is committed: what was rolled back is
//! never told. A crash between the two loses the line; `GET /api/v1/audit` is the way that is complete.

use std::io::Write as _;

use chrono::SecondsFormat;
use serde::Serialize;
use store::models::AuditEvent;
use utoipa::ToSchema;

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

/// Writes every event to standard error from now on, once it is committed.
pub fn write_out() {
    store::on_audit_event(|event| {
        let mut line = serde_json::to_vec(&Line::from(event)).unwrap_or_default();
        line.push(b'\n');
        // Nobody is left to tell when standard error is closed.
        let _ = std::io::stderr().write_all(&line);
    });
}

/// A line of the log on standard error. `log` tells it from lines of other kinds.
#[derive(Serialize)]
struct Line {
    log: &'static str,
    #[serde(flatten)]
    event: AuditRecord,
}

impl From<AuditEvent> for Line {
    fn from(event: AuditEvent) -> Self {
        Self { log: "audit", event: event.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_that_it_is_of_the_audit_log_and_when_in_rfc_3339() {
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
        let line = serde_json::to_value(Line::from(event)).expect("JSON");
        assert_eq!(
            (&line["log"], &line["action"], &line["at"]),
            (&"audit".into(), &"test".into(), &"1970-01-01T00:00:00.000Z".into())
        );
    }
}
