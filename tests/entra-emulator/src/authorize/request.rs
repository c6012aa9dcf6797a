//! The authorization request: what is wrong with it, and where that may be said.

use serde_json::Value;
use url::Url;

use crate::app::redirect_uri_fits;
use crate::call::Call;
use crate::errors::EntraError;
use crate::grants::ChallengeMethod;
use crate::scopes::Scopes;
use crate::state::{Authority, State};
use crate::sync::lock;

/// How parameters go back (OAuth 2.0 Multiple Response Types section 2.1, Form Post Response Mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseMode {
    Query,
    Fragment,
    FormPost,
}

/// Where an answer may be sent: known before anything is redirected.
pub(super) struct Target {
    pub(super) authority: Authority,
    /// The URL's tenant segment, at which the code must be redeemed too.
    pub(super) tenant: String,
    pub(super) redirect_uri: String,
    pub(super) mode: ResponseMode,
}

impl Target {
    /// Checks what Entra answers with a page when it is wrong.
    pub(super) fn of(state: &State, tenant: &str, call: &Call) -> Result<Self, EntraError> {
        let authority = state.authority(tenant)?;
        let client_id = call.get("client_id").ok_or_else(|| missing("client_id"))?;
        if client_id != state.options.client_id {
            return Err(unknown_application(client_id, tenant));
        }
        if authority.is_shared() && !lock(&state.settings).multi_tenant {
            return Err(EntraError::new(50194));
        }
        let redirect_uri = call.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?;
        check_redirect_uri(state, redirect_uri)?;
        let mode = match call.get("response_mode") {
            None | Some("query") => ResponseMode::Query,
            Some("fragment") => ResponseMode::Fragment,
            Some("form_post") => ResponseMode::FormPost,
            Some(other) => return Err(unsupported("response_mode", other)),
        };
        Ok(Self { authority, tenant: tenant.to_owned(), redirect_uri: redirect_uri.to_owned(), mode })
    }
}

pub(crate) fn check_redirect_uri(state: &State, redirect_uri: &str) -> Result<(), EntraError> {
    let fits = !state.options.check_redirect_uris || redirect_uri_fits(&lock(&state.app).redirect_uris, redirect_uri);
    if fits && Url::parse(redirect_uri).is_ok() {
        return Ok(());
    }
    let client_id = &state.options.client_id;
    Err(EntraError::new(50011).detail(format!(
        "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for the application '{client_id}'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal."
    )))
}

pub(crate) fn missing(name: &str) -> EntraError {
    EntraError::new(900144).detail(format!("The request body must contain the following parameter: '{name}'."))
}

pub(crate) fn unknown_application(client_id: &str, tenant: &str) -> EntraError {
    EntraError::new(700016).detail(format!(
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
    ))
}

fn unsupported(name: &str, value: &str) -> EntraError {
    EntraError::new(90023).detail(format!("Unsupported '{name}' value '{value}'."))
}

/// What the request asks for, checked.
pub(super) struct Wanted {
    pub(super) scopes: Scopes,
    pub(super) challenge: Option<(String, ChallengeMethod)>,
    pub(super) prompt: Option<String>,
    pub(super) max_age: Option<i64>,
    pub(super) claims: Option<String>,
}

impl Wanted {
    /// Checks what Entra answers at the redirect URI when it is wrong.
    pub(super) fn of(state: &State, call: &Call) -> Result<Self, EntraError> {
        if let Some(name) = call.repeated() {
            return Err(EntraError::new(90023).detail(format!("The parameter '{name}' is duplicated.")));
        }
        check_response_type(call)?;
        let prompt = call.get("prompt");
        let known = prompt.is_none_or(|prompt| ["none", "login", "select_account", "consent"].contains(&prompt));
        if !known {
            return Err(unsupported("prompt", prompt.unwrap_or_default()));
        }
        if prompt == Some("select_account") && call.get("login_hint").is_some() {
            return Err(
                EntraError::new(90023).detail("'login_hint' cannot be used together with 'prompt=select_account'.")
            );
        }
        let scope = call.get("scope").ok_or_else(|| missing("scope"))?;
        Ok(Self {
            scopes: Scopes::parse(scope, &state.options.client_id, &state.graph_url())?,
            challenge: challenge(call)?,
            prompt: prompt.map(str::to_owned),
            max_age: max_age(call)?,
            claims: claims(call)?,
        })
    }

    pub(super) fn prompts(&self, prompt: &str) -> bool {
        self.prompt.as_deref() == Some(prompt)
    }

    /// Whether the request answers the challenge of AADSTS50076 or asks for an authentication context.
    pub(super) fn steps_up(&self) -> bool {
        let asks = |part: &str| self.claims.as_ref().is_some_and(|claims| claims.contains(part));
        asks("capolids") || asks("acrs")
    }
}

fn check_response_type(call: &Call) -> Result<(), EntraError> {
    match call.get("response_type") {
        None => Err(missing("response_type")),
        Some("code") => Ok(()),
        Some(other) => {
            Err(EntraError::new(700054).detail(format!("response_type '{other}' is not enabled for the application.")))
        }
    }
}

/// The PKCE challenge (RFC 7636 section 4.3); its method defaults to `plain`.
fn challenge(call: &Call) -> Result<Option<(String, ChallengeMethod)>, EntraError> {
    let method = call.get("code_challenge_method");
    let Some(challenge) = call.get("code_challenge") else {
        return if method.is_some() { Err(EntraError::new(50147)) } else { Ok(None) };
    };
    if !(43..=128).contains(&challenge.len()) {
        return Err(EntraError::new(501491));
    }
    match method {
        Some("S256") => Ok(Some((challenge.to_owned(), ChallengeMethod::S256))),
        None | Some("plain") => Ok(Some((challenge.to_owned(), ChallengeMethod::Plain))),
        Some(other) => Err(unsupported("code_challenge_method", other)),
    }
}

fn max_age(call: &Call) -> Result<Option<i64>, EntraError> {
    let Some(text) = call.get("max_age") else { return Ok(None) };
    let seconds: Option<i64> = text.parse().ok().filter(|seconds| *seconds >= 0);
    seconds.map(Some).ok_or_else(|| unsupported("max_age", text))
}

fn claims(call: &Call) -> Result<Option<String>, EntraError> {
    let Some(text) = call.get("claims") else { return Ok(None) };
    let is_object = serde_json::from_str::<Value>(text).is_ok_and(|claims| claims.is_object());
    if is_object {
        Ok(Some(text.to_owned()))
    } else {
        Err(EntraError::new(90023).detail("The 'claims' parameter is not a valid JSON object."))
    }
}
