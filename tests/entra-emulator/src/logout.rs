//! Signing out at the emulator: ends its session, tells the applications, sends the browser back
//! (OIDC RP-Initiated Logout 1.0, Front-Channel Logout 1.0).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State as Shared};
use axum::http::HeaderMap;
use axum::response::Response;
use uuid::Uuid;

use crate::app::redirect_uri_fits;
use crate::authorize::found;
use crate::call::Call;
use crate::pages;
use crate::personas::Persona;
use crate::sessions::Account;
use crate::state::State;
use crate::sync::lock;
use crate::tokens::oid_of_login_hint;

/// Serves `/{tenant}/oauth2/v2.0/logout`, GET and POST.
///
/// `logout_hint` names the account; without it and with several accounts a page asks.
pub(crate) async fn logout(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call::new(&uri, headers, &body);
    let accounts = lock(&state.sessions).accounts(call.session_cookie());
    let Some(which) = chosen(&state, &call, &accounts) else {
        let personas: Vec<Arc<Persona>> = {
            let directory = lock(&state.directory);
            accounts.iter().filter_map(|account| directory.by_oid(account.persona)).collect()
        };
        return pages::sign_out_picker(&format!("/{tenant}/oauth2/v2.0/logout"), &call.parameters, &personas);
    };
    let cookie = call.session_cookie().unwrap_or_default();
    let gone = lock(&state.sessions).sign_out(cookie, |account| which.contains(&account.persona));
    answer(&state, &call, &gone)
}

/// The accounts to sign out; `None` if someone has to choose.
fn chosen(state: &State, call: &Call, accounts: &[Account]) -> Option<Vec<Uuid>> {
    let hint = call.get("persona").or_else(|| call.get("logout_hint"));
    let hinted = hint.and_then(|hint| {
        let directory = lock(&state.directory);
        let by_key = directory.by_id(hint).or_else(|| directory.by_oid(oid_of_login_hint(hint)?));
        by_key.map(|persona| persona.oid)
    });
    match (hinted, accounts) {
        (Some(oid), _) => Some(vec![oid]),
        (None, [] | [_]) => Some(accounts.iter().map(|account| account.persona).collect()),
        (None, _) => None,
    }
}

fn answer(state: &State, call: &Call, gone: &[Account]) -> Response {
    let next = return_url(state, call);
    let frames = frames(state, gone);
    match next {
        Some(next) if frames.is_empty() => found(&next),
        next => pages::signed_out(&frames, next.as_deref()),
    }
}

/// The registered `post_logout_redirect_uri` with `state`.
fn return_url(state: &State, call: &Call) -> Option<String> {
    let uri = call.get("post_logout_redirect_uri")?;
    let registered = !state.options.check_redirect_uris || redirect_uri_fits(&lock(&state.app).redirect_uris, uri);
    if !registered {
        return None;
    }
    let Some(value) = call.get("state") else { return Some(uri.to_owned()) };
    let query = serde_urlencoded::to_string([("state", value)]).ok()?;
    let separator = if uri.contains('?') { '&' } else { '?' };
    Some(format!("{uri}{separator}{query}"))
}

/// The front-channel calls: `sid` alone, as Entra sends it, unless `iss` was switched on.
fn frames(state: &State, gone: &[Account]) -> Vec<String> {
    let urls = lock(&state.app).front_channel_logout_urls.clone();
    let with_issuer = lock(&state.settings).front_channel_iss;
    let mut frames = Vec::new();
    for account in gone {
        let issuer = lock(&state.directory).by_oid(account.persona).map(|persona| state.issuer(persona.tenant_id));
        let mut parameters = vec![("sid", account.sid.to_string())];
        parameters.extend(issuer.filter(|_| with_issuer).map(|issuer| ("iss", issuer)));
        let query = serde_urlencoded::to_string(&parameters).unwrap_or_default();
        frames.extend(urls.iter().map(|url| format!("{url}{}{query}", if url.contains('?') { '&' } else { '?' })));
    }
    frames
}
