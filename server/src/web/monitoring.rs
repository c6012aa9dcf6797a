//! The listener of `METRICS_ADDR`, for operators' monitoring: `/metrics`, and `/readyz` with its details.

use std::net::SocketAddr;

use ::metrics::{counter, gauge};
use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use store::DbError;
use store::models::{Grant, GrantFilter, SessionRecord};

use crate::diagnostics::readiness;
use crate::jobs::board::JobStatus;
use crate::observe::metrics::{
    self, CONNECTIONS, GRANTS, GRANTS_DUE, JOB_DURATION, JOB_FAILURES, JOB_LAST_RUN, JOB_RUNS, PANICS, PROVIDER,
    SESSIONS,
};
use crate::observe::panics;
use crate::state::AppState;
use crate::web::connections::{self, Limits};

/// Serves `/metrics`, and `/readyz` with its details, on `METRICS_ADDR` until the shutdown.
///
/// # Errors
/// When the address cannot be had.
pub(crate) async fn listen(state: &AppState, address: SocketAddr) -> std::io::Result<()> {
    metrics::start().map_err(std::io::Error::other)?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    let (service, shutdown) = (routes(state.clone()), state.shutdown.clone());
    state.tasks.spawn(connections::serve(listener, service, Limits::of_monitoring(), shutdown));
    tracing::info!(%address, "metrics are served at /metrics");
    Ok(())
}

/// The routes of the listener.
pub fn routes(state: AppState) -> Router {
    Router::new().route("/metrics", get(scrape)).route("/readyz", get(readiness::ready_in_detail)).with_state(state)
}

async fn scrape(State(state): State<AppState>) -> impl IntoResponse {
    if let Err(error) = stored(&state).await {
        tracing::warn!(%error, "the metrics of the database are missing");
    }
    gauge!(PROVIDER).set(f64::from(u8::from(state.oidc.status().is_ready())));
    counter!(PANICS).absolute(panics::count());
    state.jobs.list().iter().for_each(job);
    for (pool, status) in state.db.status() {
        let waiting = status.waiting;
        for (name, count) in [("size", status.size), ("available", status.available), ("waiting", waiting)] {
            gauge!(CONNECTIONS, "pool" => pool, "state" => name).set(whole(count));
        }
        gauge!(CONNECTIONS, "pool" => pool, "state" => "max").set(whole(status.max_size));
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::render())
}

/// What only the database knows.
async fn stored(state: &AppState) -> Result<(), DbError> {
    let mut conn = state.db.conn().await?;
    for (name, filter) in [
        ("live", GrantFilter::Live),
        ("retrying", GrantFilter::Retrying),
        ("expiring", GrantFilter::Expiring),
        ("needs_sign_in", GrantFilter::NeedsSignIn),
    ] {
        gauge!(GRANTS, "state" => name).set(whole(Grant::count(&mut conn, filter).await?));
    }
    let next = Grant::next_due(&mut conn).await?.map(|at| at - state.shared_now());
    gauge!(GRANTS_DUE).set(next.map_or(0.0, |left| whole(left.num_seconds())));
    gauge!(SESSIONS).set(whole(SessionRecord::count_live(&mut conn, state.live_at()).await?));
    Ok(())
}

fn job(job: &JobStatus) {
    counter!(JOB_RUNS, "job" => job.name).absolute(job.runs);
    counter!(JOB_FAILURES, "job" => job.name).absolute(job.failures);
    gauge!(JOB_DURATION, "job" => job.name).set(job.duration.as_secs_f64());
    let last_run = job.last_run.map_or(0, |at| at.and_utc().timestamp());
    gauge!(JOB_LAST_RUN, "job" => job.name).set(whole(last_run));
}

/// A count as Prometheus takes it: exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
fn whole(count: impl TryInto<i64>) -> f64 {
    count.try_into().unwrap_or(i64::MAX) as f64
}
