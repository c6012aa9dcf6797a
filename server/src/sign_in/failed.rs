//! The pages of a sign-in that did not work: what happened, who can fix it, what to do.

use askama::Template as _;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse as _, Response};
use entra::oidc::{OidcError, Retry, Who};

use crate::error::{AppError, Fixer};
use crate::paths::CALLBACK;
use crate::people::refusal::Refusal;
use crate::sign_in::fields::SignInFields;
use crate::state::AppState;
use crate::web::pages::{Reference, SignInFailedPage, SignInRequest};
use crate::web::reply::frame;

/// What the audit log keeps of a refused sign-in.
pub(super) fn failure_detail(error: &OidcError) -> Vec<(&'static str, String)> {
    let mut detail = vec![("reason", error.reason().to_owned())];
    if let Some(provider) = error.provider_error() {
        let ids = [("trace_id", &provider.trace_id), ("correlation_id", &provider.correlation_id)];
        detail.extend(ids.into_iter().filter_map(|(name, id)| Some((name, id.clone()?))));
        detail.extend(provider.aadsts.map(|code| ("code", format!("AADSTS{code}"))));
    }
    detail
}

/// The sign-in-failed page: what happened, who can fix it, what to do, ids to copy. Whoever is signed in all the same can
/// go on without the permission that they were asked for.
pub(super) fn failed_page(
    state: &AppState,
    headers: &HeaderMap,
    request_id: &str,
    error: &OidcError,
    fields: &SignInFields,
    is_signed_in: bool,
) -> Result<Response, AppError> {
    let advice = error.advice();
    let provider_error = error.provider_error();
    let code =
        provider_error.map(|error| error.aadsts.map_or_else(|| error.error.clone(), |code| format!("AADSTS{code}")));
    let now = state.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let text = |pick: fn(&entra::oidc::ProviderError) -> &Option<String>| {
        provider_error.and_then(|error| pick(error).as_deref()).unwrap_or_default()
    };
    // What could not be had in silence can be had by asking.
    let fields = fields.clone().interactive();
    let mut request = fields.request();
    if advice.retry == Retry::OtherAccount {
        request.prompt = Some("select_account");
    }
    let approval_url = (advice.retry == Retry::Approval).then(|| approval_url(state, &fields)).flatten();
    let page = SignInFailedPage {
        frame: frame(headers),
        title: advice.title,
        what: advice.what_happened,
        fixer: fixer(advice.who, error.is_outage()),
        remedy: advice.what_to_do,
        request,
        approval_url: approval_url.as_deref(),
        way_back: fields.scope().filter(|_| is_signed_in).map(|_| fields.next()),
        reference: Reference {
            request_id,
            trace_id: text(|error| &error.trace_id),
            correlation_id: text(|error| &error.correlation_id),
            code: code.as_deref().unwrap_or_default(),
            timestamp: provider_error.and_then(|error| error.timestamp.as_deref()).unwrap_or(&now),
        },
    };
    let status = match error {
        error if error.is_outage() => StatusCode::SERVICE_UNAVAILABLE,
        error if error.is_denied() => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    Ok((status, Html(page.render()?)).into_response())
}

/// Where an administrator approves what this sign-in asked for.
fn approval_url(state: &AppState, fields: &SignInFields) -> Option<String> {
    let redirect_uri = state.config.public_url.with_path(CALLBACK);
    state.oidc.admin_consent_url(&redirect_uri, fields.scope()).map(String::from)
}

fn fixer(who: Who, passes: bool) -> Fixer {
    match who {
        _ if passes => Fixer::Time,
        Who::You => Fixer::You,
        Who::Administrator => Fixer::Administrator,
        Who::Developer => Fixer::Developer,
    }
}

/// The provider knows the person, this application does not let them in.
pub(super) fn refused_page(
    headers: &HeaderMap,
    request_id: &str,
    refusal: Refusal,
    next: &str,
) -> Result<Response, AppError> {
    let (title, what) = match refusal {
        Refusal::Disabled => {
            ("Your account is disabled here", "An administrator of this application has disabled your account.")
        }
        Refusal::Unknown => {
            ("You have no account here", "This application admits only people whom an administrator has added.")
        }
        Refusal::Guest => (
            "Guests cannot sign in here",
            "This application admits only members of the organisation, and your account is a guest's.",
        ),
    };
    let page = SignInFailedPage {
        frame: frame(headers),
        title,
        what,
        fixer: Fixer::Administrator,
        remedy: "Ask an administrator of this application, and give them the request id. If you have another account, sign in with that.",
        request: SignInRequest { next: Some(next), prompt: Some("select_account"), ..SignInRequest::default() },
        approval_url: None,
        way_back: None,
        reference: Reference { request_id, code: refusal.reason(), ..Reference::default() },
    };
    Ok((StatusCode::FORBIDDEN, Html(page.render()?)).into_response())
}
