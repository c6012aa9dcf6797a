//! What operators see: log, metrics, traces, panics, and audit events on standard error.

pub mod audit_log;
pub mod client;
pub mod metrics;
pub mod panics;
pub mod request_id;
pub mod row_budget;
pub mod telemetry;
