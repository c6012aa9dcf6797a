//! The grant vault: tokens of a person for a resource, sealed in their own table and refreshed
//! before they expire. Tokens leave it only for a call to the provider or to Graph.

pub mod consent;
pub(crate) mod failpoint;
pub mod graph_sync;
mod pacing;
mod refresh;
mod resources;
mod rotate;
pub mod user_graph;

use chrono::{DateTime, NaiveDateTime, Utc};
use entra::crypto::{CryptoError, KeyRing};
use entra::oidc::{TokenSet, TokenSetError};
pub use pacing::TenantPacing;
use rand::Rng as _;
pub use refresh::{RefreshOutcome, keep_for_sign_in, refresh_due, refresh_grant};
pub use resources::{ResourceError, resource_token};
pub use rotate::{Rotation, rotate};
use store::DbConn;
use store::models::{Grant, NewGrant, new_id};

use crate::config::TokenConfig;

/// The resource of a grant: Microsoft Graph, or another provider's own userinfo.
pub const GRAPH: &str = "graph";
/// As [`GRAPH`], when the provider is not Entra.
pub const PROVIDER: &str = "provider";

/// Why tokens could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Sealing or opening failed: a wrong key or a damaged row.
    #[error("the tokens cannot be opened: {0}")]
    Crypto(#[from] CryptoError),
    /// What was inside is not a set of tokens.
    #[error("the sealed text holds no tokens: {0}")]
    Content(#[from] TokenSetError),
    /// The database.
    #[error(transparent)]
    Query(#[from] diesel::result::Error),
}

/// Stores the tokens of a sign-in as the person's grant for `resource`. Run it in a transaction.
///
/// # Errors
/// [`VaultError`].
pub async fn store_grant(
    conn: &mut DbConn,
    config: &TokenConfig,
    user_id: &str,
    resource: &str,
    tokens: &TokenSet,
    now: DateTime<Utc>,
) -> Result<(), VaultError> {
    let existing = Grant::find_by_user(conn, user_id, resource).await?;
    let id = existing.as_ref().map_or_else(new_id, |grant| grant.id.clone());
    let grant = NewGrant {
        sealed: seal(&config.keys, &id, tokens)?,
        id,
        user_id: user_id.to_owned(),
        resource: resource.to_owned(),
        scopes: tokens.scopes.join(" "),
        state: "live".to_owned(),
        has_refresh_token: tokens.refresh_token.is_some(),
        expires_at: micros(tokens.expires_at),
        due_at: due_at(config, tokens),
        version: 1,
        created_at: now.naive_utc(),
    };
    grant.store(conn, existing.as_ref()).await?;
    Ok(())
}

/// Opens the tokens of a grant.
///
/// # Errors
/// [`VaultError`] when the key is missing or the row is damaged.
pub fn open(keys: &KeyRing, grant: &Grant) -> Result<TokenSet, VaultError> {
    let plain = keys.open(&grant.sealed, associated_data(&grant.id).as_bytes())?;
    Ok(TokenSet::from_sealed_json(&plain)?)
}

fn seal(keys: &KeyRing, grant_id: &str, tokens: &TokenSet) -> Result<Vec<u8>, CryptoError> {
    keys.seal(&tokens.to_sealed_json(), associated_data(grant_id).as_bytes())
}

fn associated_data(grant_id: &str) -> String {
    format!("grant:{grant_id}")
}

/// When the refresh is due: `TOKEN_REFRESH_THRESHOLD` before the end, or half of the token's life
/// if that is shorter, and up to a fifth of that lead earlier, so that the grants of one minute
/// spread. `None` without a refresh token.
fn due_at(config: &TokenConfig, tokens: &TokenSet) -> Option<NaiveDateTime> {
    tokens.refresh_token.as_ref()?;
    let life = tokens.expires_at - tokens.obtained_at;
    let threshold = chrono::Duration::from_std(config.refresh_threshold).unwrap_or(chrono::Duration::MAX);
    let lead = threshold.min(life / 2);
    let jitter = lead.num_milliseconds().max(1) / 5;
    let early = chrono::Duration::milliseconds(spread(jitter));
    Some(micros(tokens.expires_at - lead - early))
}

/// A number in `0..=most`; only spreads load, so any generator serves.
pub(crate) fn spread(most: i64) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "jitter is no secret")]
    rand::rng().random_range(0..=most.max(0))
}

/// In another order; only spreads load.
fn shuffle<T>(items: &mut [T]) {
    use rand::seq::SliceRandom as _;
    #[expect(clippy::disallowed_methods, reason = "an order is no secret")]
    items.shuffle(&mut rand::rng());
}

/// Cut to microseconds, which both databases keep.
fn micros(at: DateTime<Utc>) -> NaiveDateTime {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(DateTime::UNIX_EPOCH).naive_utc()
}
