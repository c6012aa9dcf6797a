//! The `claims` parameter (OpenID Connect Core 1.0, section 5.5), as Entra ID uses it: what this client can handle, what
//! a resource asked for, and the authentication context to prove (Microsoft identity platform, "Claims challenges,
//! claims requests, and client capabilities").

use serde_json::{Map, Value, json};

use super::error::RequestFault;
use super::jwt::parse_object;
use crate::config::ProviderKind;

/// What the provider is asked for beyond scopes: the claims challenge, and with Entra ID the authentication context.
///
/// Entra ID is always told that this client handles claims challenges (`cp1`): access tokens then live longer, and
/// Graph takes them back by a challenge as soon as something happens ("Continuous access evaluation").
///
/// # Errors
/// [`RequestFault::Claims`] if `challenge` is no JSON object.
pub(super) fn claims_request(
    kind: &ProviderKind,
    challenge: Option<&str>,
    auth_context: Option<&str>,
) -> Result<Option<String>, RequestFault> {
    let mut claims = match challenge {
        Some(challenge) => parse_object(challenge.as_bytes()).map_err(|_| RequestFault::Claims)?,
        None => Map::new(),
    };
    if matches!(kind, ProviderKind::Entra { .. }) {
        ask(&mut claims, "access_token", "xms_cc", json!({ "values": ["cp1"] }));
        if let Some(context) = auth_context {
            ask(&mut claims, "id_token", "acrs", json!({ "essential": true, "value": context }));
        }
    }
    Ok((!claims.is_empty()).then(|| Value::Object(claims).to_string()))
}

/// Adds a claim to those wanted in `token`.
fn ask(claims: &mut Map<String, Value>, token: &str, claim: &str, request: Value) {
    let wanted = claims.entry(token).or_insert_with(|| json!({}));
    if !wanted.is_object() {
        *wanted = json!({});
    }
    if let Value::Object(wanted) = wanted {
        wanted.insert(claim.to_owned(), request);
    }
}
