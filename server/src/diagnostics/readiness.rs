//! `/healthz`: the process lives. `/readyz`: it can serve; on the listener of `METRICS_ADDR` also what is wrong, if not all
//! is well.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use entra::oidc::{Advice, ProviderStatus};
use serde::Serialize;
use store::models::User;

use crate::directory_sync;
use crate::session::access::Everyone;
use crate::state::AppState;

/// `GET /healthz`.
pub async fn live(_: Everyone) -> &'static str {
    "ok\n"
}

/// What everybody may know.
#[derive(Serialize)]
struct Readiness {
    status: &'static str,
}

/// What operators may know.
#[derive(Serialize)]
struct DetailedReadiness {
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

/// `GET /readyz`: 200 `ok`, or 503 `unavailable` when the database does not answer. Anybody can ask, so it says no more.
pub async fn ready(_: Everyone, State(state): State<AppState>) -> Response {
    let (code, status) = match database(&state).await.ok {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (code, Json(Readiness { status })).into_response()
}

/// `GET /readyz` for operators, with each check.
///
/// 200 `ready` or `degraded` (the provider is down or refuses this application, signed-in people are served), 503
/// `unavailable` when the database does not answer.
pub async fn ready_in_detail(State(state): State<AppState>) -> Response {
    let checks = checks(&state).await;
    let is_well = |name: &str| checks.iter().any(|check| check.name == name && check.ok);
    let (code, status) = match (is_well("database"), checks.iter().all(|check| check.ok)) {
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        (true, false) => (StatusCode::OK, "degraded"),
        (true, true) => (StatusCode::OK, "ready"),
    };
    (code, Json(DetailedReadiness { status, checks })).into_response()
}

/// The checks of operators' `/readyz` and of the admin health page.
pub async fn checks(state: &AppState) -> Vec<Check> {
    let status = state.oidc.status();
    let mut checks = vec![database(state).await, provider(&status), credential(&status), jobs(state)];
    checks.extend(directory_sync(state).await);
    checks
}

/// The directory sync, while it is on: whether a round waits for an administrator.
async fn directory_sync(state: &AppState) -> Option<Check> {
    const NAME: &str = "directory sync";
    state.config.directory_sync_interval?;
    let syncs = match directory_sync::list(state).await {
        Ok(syncs) => syncs,
        Err(_) => return Some(Check { name: NAME, ok: false, detail: "the database does not answer".to_owned() }),
    };
    let held: i64 = syncs.iter().map(|sync| sync.held).sum();
    if held > 0 {
        let detail = format!("on hold: it would disable {held} users; an administrator must decide");
        return Some(Check { name: NAME, ok: false, detail });
    }
    match syncs.iter().all(|sync| sync.error.is_empty()) {
        true => Some(Check { name: NAME, ok: true, detail: "last run completed".to_owned() }),
        false => Some(Check { name: NAME, ok: false, detail: "last run failed; it will be retried".to_owned() }),
    }
}

async fn database(state: &AppState) -> Check {
    let answer = async {
        let mut conn = state.db.conn().await?;
        Ok::<_, store::DbError>(User::find(&mut conn, "").await?.is_none())
    };
    match answer.await {
        Ok(_) => Check { name: "database", ok: true, detail: "responding".to_owned() },
        Err(error) => {
            tracing::warn!(%error, "the database does not answer");
            Check { name: "database", ok: false, detail: "does not answer; the log says why".to_owned() }
        }
    }
}

/// Whether people can be sent to the provider and what it signs can be verified.
fn provider(status: &ProviderStatus) -> Check {
    let failure = [&status.metadata, &status.keys, &status.token_endpoint]
        .into_iter()
        .filter(|source| source.is_failing)
        .filter_map(|source| source.last_failure.as_ref())
        .find(|failure| !failure.speaks_of_us);
    let (ok, detail) = match (status.provider_is_ready(), failure) {
        (true, None) => (true, "metadata and keys loaded".to_owned()),
        (true, Some(failure)) => {
            let reason = failure.reason;
            (true, format!("metadata and keys loaded; the last attempt to renew them failed ({reason})"))
        }
        (false, Some(failure)) => {
            let (title, reason) = (failure.advice.title, failure.reason);
            (false, format!("{title} ({reason}); it is tried again by itself"))
        }
        (false, None) => (false, "not asked yet".to_owned()),
    };
    Check { name: "provider", ok, detail }
}

/// Whether the provider takes this application's own credential. One that it refuses costs nobody their tokens: grants
/// wait until it is put right.
fn credential(status: &ProviderStatus) -> Check {
    let detail = match status.refusal() {
        None => "accepted".to_owned(),
        Some(failure) => {
            let code = failure.aadsts.map(|code| format!(", AADSTS{code}")).unwrap_or_default();
            let Advice { title, what_to_do, .. } = failure.advice;
            format!("{title} ({}{code}). {what_to_do} Stored tokens are kept until then.", failure.reason)
        }
    };
    Check { name: "credential", ok: status.refusal().is_none(), detail }
}

/// The background jobs of this instance; what they look after waits while one fails.
fn jobs(state: &AppState) -> Check {
    let failing: Vec<&str> = state.jobs.list().iter().filter(|job| !job.error.is_empty()).map(|job| job.name).collect();
    match failing.is_empty() {
        true => Check { name: "jobs", ok: true, detail: "no failing jobs".to_owned() },
        false => Check { name: "jobs", ok: false, detail: format!("failing: {}", failing.join(", ")) },
    }
}
