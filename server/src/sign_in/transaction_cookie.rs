//! The sign-in transaction, sealed in a cookie of its own: bound to the browser, one a tab, gone
//! after ten minutes. Starting a sign-in writes nothing to the database.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use cookie::SameSite;
use entra::crypto::{CryptoError, digest};
use entra::oidc::{TRANSACTION_LIFETIME, Transaction};
use serde::{Deserialize, Serialize};

use crate::config::{Config, ResponseMode};
use crate::sign_in::fields::SignInFields;
use crate::web::cookies;

/// How many sign-ins one browser may have under way; the oldest goes.
const MAX_OPEN: usize = 5;
/// Cookies that are looked at; what a hostile browser adds costs no more than this.
const MAX_LOOKED_AT: usize = 20;
/// Bytes of name and value beyond which browsers drop a cookie (RFC 6265bis, section 5.6; ASVS 3.3.5).
const MAX_COOKIE: usize = 4096;

/// What is kept while the person is at the provider.
#[derive(Debug, Serialize, Deserialize)]
pub struct PendingSignIn {
    /// The OpenID Connect part.
    pub transaction: Transaction,
    /// What was asked for, with where to go afterwards: checked before it was sealed.
    pub fields: SignInFields,
    /// Row id of the session that the browser had, to be ended: a cross-site POST brings no cookie.
    pub old_session: Option<String>,
    /// Whether the provider asked for it in answer to an earlier one: it is not begun anew by itself.
    pub is_retry: bool,
}

/// Seals a pending sign-in into a cookie and drops the oldest ones beyond five. One that no browser would keep goes
/// without its way back: the person then comes to the start page.
///
/// # Errors
/// [`CryptoError`] when sealing fails.
pub fn put(
    response: &mut HeaderMap,
    request: &HeaderMap,
    config: &Config,
    mut pending: PendingSignIn,
) -> Result<(), CryptoError> {
    let name = name(config, pending.transaction.state());
    let mut value = seal(config, &name, &pending)?;
    if name.len() + value.len() > MAX_COOKIE {
        pending.fields = pending.fields.without_next();
        value = seal(config, &name, &pending)?;
    }
    let max_age = time::Duration::seconds(TRANSACTION_LIFETIME.num_seconds());
    drop_oldest(response, request, config);
    cookies::set(response, &cookies::build(name, value, is_secure(config), same_site(config), max_age));
    Ok(())
}

fn seal(config: &Config, name: &str, pending: &PendingSignIn) -> Result<String, CryptoError> {
    let plain = serde_json::to_vec(pending).map_err(|_| CryptoError::Damaged)?;
    Ok(URL_SAFE_NO_PAD.encode(config.tokens.keys.seal(&plain, name.as_bytes())?))
}

/// The pending sign-in with this state, if this browser began it.
#[must_use]
pub fn get(request: &HeaderMap, config: &Config, state: &str) -> Option<PendingSignIn> {
    let name = name(config, state);
    open(config, &name, cookies::get(request, &name)?)
}

/// Removes the cookie of this state.
pub fn remove(response: &mut HeaderMap, config: &Config, state: &str) {
    cookies::remove(response, name(config, state), is_secure(config), same_site(config));
}

/// Whether this browser has begun any sign-in here.
#[must_use]
pub fn is_there(request: &HeaderMap, config: &Config) -> bool {
    let prefix = prefix(config);
    let mut own = cookies::all(request).filter(|(name, _)| name.starts_with(&prefix)).take(MAX_LOOKED_AT);
    own.any(|(name, value)| open(config, name, value).is_some())
}

fn open(config: &Config, name: &str, value: &str) -> Option<PendingSignIn> {
    let sealed = URL_SAFE_NO_PAD.decode(value).ok()?;
    let plain = config.tokens.keys.open(&sealed, name.as_bytes()).ok()?;
    serde_json::from_slice(&plain).ok()
}

fn drop_oldest(response: &mut HeaderMap, request: &HeaderMap, config: &Config) {
    let prefix = prefix(config);
    let mut open_ones: Vec<(Option<DateTime<Utc>>, &str)> = cookies::all(request)
        .filter(|(name, _)| name.starts_with(&prefix))
        .take(MAX_LOOKED_AT)
        .map(|(name, value)| (open(config, name, value).map(|pending| pending.transaction.created_at()), name))
        .collect();
    open_ones.sort();
    let surplus = (open_ones.len() + 1).saturating_sub(MAX_OPEN);
    for (_, name) in open_ones.into_iter().take(surplus) {
        cookies::remove(response, name.to_owned(), is_secure(config), same_site(config));
    }
}

fn prefix(config: &Config) -> String {
    cookies::host_name("login-", config.public_url.is_https())
}

/// The state itself never shows in a cookie's name.
fn name(config: &Config, state: &str) -> String {
    let hash = digest(state.as_bytes());
    let short: String = URL_SAFE_NO_PAD.encode(hash).chars().take(16).collect();
    format!("{}{short}", prefix(config))
}

/// A cross-site POST brings only `SameSite=None` cookies, which must be `Secure`; browsers accept
/// that on `http://localhost` too.
fn same_site(config: &Config) -> SameSite {
    match config.provider.response_mode {
        ResponseMode::FormPost => SameSite::None,
        ResponseMode::Query => SameSite::Lax,
    }
}

fn is_secure(config: &Config) -> bool {
    config.public_url.is_https() || config.provider.response_mode == ResponseMode::FormPost
}
