//! `/healthz`: the process lives. `/readyz`: it can serve, and if not fully, why.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::models::User;
use crate::state::AppState;

/// `GET /healthz`.
pub async fn live() -> &'static str {
    "ok\n"
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    checks: Vec<Check>,
}

/// One check of the readiness.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it is well.
    pub ok: bool,
    /// The finding; no secrets, no addresses.
    pub detail: String,
}

/// `GET /readyz`: 200 `ready` or `degraded` (the provider is down, signed-in people are served),
/// 503 `unavailable` when the database does not answer.
pub async fn ready(State(state): State<AppState>) -> Response {
    let checks = checks(&state).await;
    let is_well = |name: &str| checks.iter().any(|check| check.name == name && check.ok);
    let (code, status) = match (is_well("database"), checks.iter().all(|check| check.ok)) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (true, false) => (StatusCode::OK, "degraded"),
        (true, true) => (StatusCode::OK, "ready"),
    };
    (code, Json(Readiness { status, checks })).into_response()
}

/// The checks behind `/readyz` and the admin health page.
pub async fn checks(state: &AppState) -> Vec<Check> {
    vec![database(state).await, provider(state), jobs(state)]
}

async fn database(state: &AppState) -> Check {
    let answer = async {
        let mut conn = state.db.conn().await?;
        Ok::<_, crate::db::DbError>(User::find(&mut conn, "").await?.is_none())
    };
    match answer.await {
        Ok(_) => Check { name: "database", ok: true, detail: "answers".to_owned() },
        Err(error) => {
            tracing::warn!(%error, "the database does not answer");
            Check { name: "database", ok: false, detail: "does not answer; the log says why".to_owned() }
        }
    }
}

fn provider(state: &AppState) -> Check {
    let status = state.oidc.status();
    if status.is_ready() {
        return Check { name: "provider", ok: true, detail: "metadata and keys are known".to_owned() };
    }
    let sources = [&status.metadata, &status.keys, &status.token_endpoint];
    let reason = sources.into_iter().find_map(|source| source.last_failure.as_ref()).map(|failure| failure.reason);
    let detail = match reason {
        Some(reason) => format!("sign-in does not work now ({reason}); it is tried again by itself"),
        None => "not asked yet".to_owned(),
    };
    Check { name: "provider", ok: false, detail }
}

/// The background jobs of this instance; what they look after waits while one fails.
fn jobs(state: &AppState) -> Check {
    let failing: Vec<&str> = state.jobs.list().iter().filter(|job| !job.error.is_empty()).map(|job| job.name).collect();
    match failing.is_empty() {
        true => Check { name: "jobs", ok: true, detail: "no job is failing".to_owned() },
        false => Check { name: "jobs", ok: false, detail: format!("failing: {}", failing.join(", ")) },
    }
}
