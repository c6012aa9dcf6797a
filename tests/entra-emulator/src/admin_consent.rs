//! An administrator approves permissions for everybody (Microsoft identity platform, "Admin consent on the Microsoft
//! identity platform"): `/{tenant}/v2.0/adminconsent`. Whoever opens it here is taken for that administrator.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State as Shared};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};

use crate::authorize::found;
use crate::authorize::request::{check_redirect_uri, missing, unknown_application};
use crate::call::Call;
use crate::errors::{EntraError, Ids};
use crate::scopes::Scopes;
use crate::state::State;
use crate::sync::lock;

/// Grants the Graph permissions in `scope` and answers at the redirect URI with `admin_consent=True`.
pub(crate) async fn admin_consent(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let call = Call::new(&uri, headers, &Bytes::new());
    match approve(&state, &call, &tenant) {
        Ok(back) => found(&back).into_response(),
        Err(error) => error.token_response(&Ids::new(state.clock.now(), None)),
    }
}

fn approve(state: &State, call: &Call, tenant: &str) -> Result<String, EntraError> {
    let client_id = call.get("client_id").ok_or_else(|| missing("client_id"))?;
    if client_id != state.options.client_id {
        return Err(unknown_application(client_id, tenant));
    }
    let redirect_uri = call.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
    check_redirect_uri(state, redirect_uri)?;
    let scope = call.get("scope").ok_or_else(|| missing("scope"))?;
    let approved = Scopes::parse(scope, client_id, &state.graph_url())?.token_permissions(&[]);
    let granted = &mut lock(&state.settings).granted_scopes;
    granted.extend(approved.into_iter().filter(|scope| scope.contains('.')));
    let parameters = [("admin_consent", "True"), ("tenant", tenant), ("scope", scope)]
        .into_iter()
        .chain(call.get("state").map(|state| ("state", state)));
    let query = serde_urlencoded::to_string(parameters.collect::<Vec<_>>()).unwrap_or_default();
    Ok(format!("{redirect_uri}?{query}"))
}
