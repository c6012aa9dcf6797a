//! What operators' monitoring collects: counters and durations as they happen, gauges when asked.
//!
//! With `METRICS_ADDR` they are served in Prometheus' text format on that listener alone, never on the public one.
//! Without it nothing is counted at all. Labels have few values: route templates, never paths, and no person's data.
//! `docs/grafana/dashboard.json` is a dashboard of them.

use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram};
use axum::extract::MatchedPath;
use entra::http::DURATION_METRIC;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub(crate) const REQUESTS: &str = "http_server_request_duration_seconds";
pub(crate) const SIGN_INS: &str = "sign_ins_total";
pub(crate) const REFRESHES: &str = "token_refreshes_total";
pub(crate) const GRANTS: &str = "grants";
pub(crate) const GRANTS_DUE: &str = "grants_next_due_seconds";
pub(crate) const SESSIONS: &str = "sessions";
pub(crate) const CONNECTIONS: &str = "database_connections";
pub(crate) const JOB_RUNS: &str = "job_runs_total";
pub(crate) const JOB_FAILURES: &str = "job_failures_total";
pub(crate) const JOB_DURATION: &str = "job_duration_seconds";
pub(crate) const JOB_LAST_RUN: &str = "job_last_run_timestamp_seconds";
pub(crate) const PANICS: &str = "panics_total";
pub(crate) const PROVIDER: &str = "provider_up";
pub(crate) const LOGOUT_TOKENS: &str = "logout_tokens_refused_total";
pub(crate) const CLOSED: &str = "http_server_connections_closed_total";

/// Upper ends of the durations' buckets, in seconds: from a cached page to a call that times out.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The recorder of the process, once somebody has asked for it.
static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Begins to count, for the whole process. Doing it twice does no harm.
///
/// # Errors
/// [`BuildError`] when another recorder is installed.
pub fn start() -> Result<(), BuildError> {
    if RECORDER.get().is_some() {
        return Ok(());
    }
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)?;
    let handle = builder.install_recorder()?;
    describe();
    let _ = RECORDER.set(handle);
    Ok(())
}

fn is_on() -> bool {
    RECORDER.get().is_some()
}

fn describe() {
    describe_histogram!(REQUESTS, Unit::Seconds, "Requests served, by method, route template and status");
    describe_histogram!(
        DURATION_METRIC,
        Unit::Seconds,
        "Outgoing calls, by host and status (`error` without an answer)"
    );
    describe_counter!(SIGN_INS, "Sign-ins that came back from the provider, by outcome");
    describe_counter!(REFRESHES, "Refreshes of grants, by outcome");
    describe_gauge!(GRANTS, "Stored grants, by state");
    describe_gauge!(GRANTS_DUE, Unit::Seconds, "Time until the next refresh is due; negative when it is overdue");
    describe_gauge!(SESSIONS, "Active sessions");
    describe_gauge!(CONNECTIONS, "Connections of the pools, by pool and state; `waiting` are requests for one");
    describe_counter!(JOB_RUNS, "Runs of background jobs that have ended, by job");
    describe_counter!(JOB_FAILURES, "Those that failed or panicked, by job");
    describe_gauge!(JOB_DURATION, Unit::Seconds, "How long the last run took, by job");
    describe_gauge!(JOB_LAST_RUN, Unit::Seconds, "When the last run began, by job");
    describe_counter!(PANICS, "Panics that were caught");
    describe_counter!(LOGOUT_TOKENS, "Logout tokens that were refused, by reason");
    describe_counter!(CLOSED, "Connections closed because the client was `slow`, or to make room as all were `full`");
    describe_gauge!(PROVIDER, "Whether the provider's metadata, keys and token endpoint work: 1 or 0");
}

/// A request was answered.
pub(crate) fn request(method: &axum::http::Method, route: Option<&MatchedPath>, status: u16, took: Duration) {
    if is_on() {
        // A method that nobody knows is one more label value for whoever makes them up.
        let method = match method.as_str() {
            known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known.to_owned(),
            _ => "other".to_owned(),
        };
        let route = route.map_or_else(|| "none".to_owned(), |route| route.as_str().to_owned());
        histogram!(REQUESTS, "method" => method, "route" => route, "status" => status.to_string())
            .record(took.as_secs_f64());
    }
}

/// A browser came back from the provider: `outcome` is `signed_in` or the reason of a refusal.
pub(crate) fn sign_in(outcome: &'static str) {
    if is_on() {
        counter!(SIGN_INS, "outcome" => outcome).increment(1);
    }
}

/// A logout token was refused.
pub(crate) fn logout_token_refused(reason: &'static str) {
    if is_on() {
        counter!(LOGOUT_TOKENS, "reason" => reason).increment(1);
    }
}

/// A connection was closed on a client that kept the server waiting: `reason` is `slow` or `full`.
pub(crate) fn connection_closed(reason: &'static str) {
    if is_on() {
        counter!(CLOSED, "reason" => reason).increment(1);
    }
}

/// A refresh ended.
pub(crate) fn refresh(outcome: &'static str) {
    if is_on() {
        counter!(REFRESHES, "outcome" => outcome).increment(1);
    }
}

/// All of it in Prometheus' text format.
pub(crate) fn render() -> String {
    RECORDER.get().map(PrometheusHandle::render).unwrap_or_default()
}
