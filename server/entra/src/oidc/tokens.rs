//! The tokens of a grant, and the token endpoint's answer that brings them.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Duration, Utc};
use openidconnect::core::{
    CoreGenderClaim, CoreIdToken, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreTokenType,
};
use openidconnect::{AccessToken, EmptyAdditionalClaims, OAuth2TokenResponse, RefreshToken, Scope, TokenResponse};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

/// The lifetime assumed of an access token whose response names none, or nonsense
/// (RFC 6749, section 5.1 leaves it open).
const ASSUMED_LIFETIME: Duration = Duration::minutes(5);

/// The longest lifetime believed; Entra's longest is 28 hours.
const MAX_LIFETIME: Duration = Duration::days(7);

/// What a sign-in or a refresh brought. Its `Debug` shows no token.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// For Microsoft Graph, or another API. Opaque: never parsed.
    pub access_token: SecretString,
    /// Brings the next set, if the provider granted offline access.
    pub refresh_token: Option<SecretString>,
    /// The newest ID token that was verified; a refresh compares with it.
    pub id_token: Option<SecretString>,
    /// When the access token expires.
    pub expires_at: DateTime<Utc>,
    /// When the set was received; with `expires_at` it tells the lifetime.
    pub obtained_at: DateTime<Utc>,
    /// What was granted.
    pub scopes: Vec<String>,
}

/// A sealed token set has another shape than expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token set")]
pub struct TokenSetError;

/// The stored form; it borrows, so that no further copy of a token is made.
#[derive(Serialize, Deserialize)]
struct StoredTokens<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    #[serde(borrow)]
    refresh_token: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id_token: Option<Cow<'a, str>>,
    expires_at: i64,
    obtained_at: i64,
    scopes: Vec<String>,
}

impl TokenSet {
    /// The set with its times by a clock that is `ahead` of the one they were taken from.
    #[must_use]
    pub fn by_clock_ahead(&self, ahead: Duration) -> Self {
        Self { expires_at: self.expires_at + ahead, obtained_at: self.obtained_at + ahead, ..self.clone() }
    }

    /// The set as JSON in clear, to be sealed at once and never stored as it is.
    #[must_use]
    pub fn to_sealed_json(&self) -> Zeroizing<Vec<u8>> {
        let stored = StoredTokens {
            access_token: clear(&self.access_token),
            refresh_token: self.refresh_token.as_ref().map(clear),
            id_token: self.id_token.as_ref().map(clear),
            expires_at: self.expires_at.timestamp_micros(),
            obtained_at: self.obtained_at.timestamp_micros(),
            scopes: self.scopes.clone(),
        };
        // Texts, numbers and lists: serialisation has nothing to fail on.
        Zeroizing::new(serde_json::to_vec(&stored).unwrap_or_default())
    }

    /// Reads what [`TokenSet::to_sealed_json`] made, after it was opened.
    ///
    /// # Errors
    /// [`TokenSetError`] if it is something else.
    pub fn from_sealed_json(json: &[u8]) -> Result<Self, TokenSetError> {
        let stored: StoredTokens<'_> = serde_json::from_slice(json).map_err(|_| TokenSetError)?;
        Ok(Self {
            access_token: secret(stored.access_token),
            refresh_token: stored.refresh_token.map(secret),
            id_token: stored.id_token.map(secret),
            expires_at: DateTime::from_timestamp_micros(stored.expires_at).ok_or(TokenSetError)?,
            obtained_at: DateTime::from_timestamp_micros(stored.obtained_at).ok_or(TokenSetError)?,
            scopes: stored.scopes,
        })
    }
}

fn clear(token: &SecretString) -> Cow<'_, str> {
    Cow::Borrowed(token.expose_secret())
}

fn secret(token: Cow<'_, str>) -> SecretString {
    SecretString::from(token.into_owned())
}

/// A token response (RFC 6749, section 5.1), read with patience: lifetimes may be texts (Microsoft
/// has sent such), missing or absurd, and `token_type` may be in any case.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TokenAnswer {
    access_token: AccessToken,
    #[serde(deserialize_with = "bearer")]
    token_type: CoreTokenType,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<i64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    #[serde(default)]
    id_token: Option<RawIdToken>,
    #[serde(default)]
    scope: Option<String>,
}

/// An ID token as text: the checks before parsing need it so.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct RawIdToken(String);

impl fmt::Debug for RawIdToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl TokenAnswer {
    /// The ID token as it came.
    pub(crate) fn raw_id_token(&self) -> Option<&str> {
        self.id_token.as_ref().map(|token| token.0.as_str())
    }

    /// The set that the answer brings, received `now`, for `asked` scopes unless it says otherwise.
    pub(crate) fn into_set(self, asked: &[String], now: DateTime<Utc>) -> TokenSet {
        let scopes = match &self.scope {
            Some(granted) => granted.split_whitespace().map(str::to_owned).collect(),
            None => asked.to_vec(),
        };
        TokenSet {
            expires_at: now + lifetime(self.expires_in),
            obtained_at: now,
            scopes,
            access_token: self.access_token.into_secret().into(),
            refresh_token: self.refresh_token.map(|token| token.into_secret().into()),
            id_token: self.id_token.map(|token| token.0.into()),
        }
    }
}

impl OAuth2TokenResponse for TokenAnswer {
    type TokenType = CoreTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &Self::TokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<std::time::Duration> {
        lifetime(self.expires_in).to_std().ok()
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl TokenResponse<EmptyAdditionalClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>
    for TokenAnswer
{
    /// Always `None`: see [`TokenAnswer::raw_id_token`].
    fn id_token(&self) -> Option<&CoreIdToken> {
        None
    }
}

/// What to believe of `expires_in`: nothing that is not positive, and at most [`MAX_LIFETIME`].
fn lifetime(expires_in: Option<i64>) -> Duration {
    match expires_in {
        Some(seconds) if seconds > 0 => Duration::try_seconds(seconds).unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME),
        _ => ASSUMED_LIFETIME,
    }
}

/// `Bearer`, in any case (RFC 6749, section 5.1): no other type is of use here.
fn bearer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CoreTokenType, D::Error> {
    match String::deserialize(deserializer)?.eq_ignore_ascii_case("bearer") {
        true => Ok(CoreTokenType::Bearer),
        false => Err(D::Error::custom("not a bearer token")),
    }
}

/// A number of seconds, written as a number or as text; anything else counts as absent.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.as_ref().and_then(whole_seconds))
}

fn whole_seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) if number.is_u64() => Some(number.as_i64().unwrap_or(i64::MAX)),
        Value::Number(number) => number.as_i64().or_else(|| float_seconds(number.as_f64()?)),
        Value::String(text) => float_seconds(text.trim().parse().ok()?),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the value is clamped afterwards")]
fn float_seconds(seconds: f64) -> Option<i64> {
    seconds.is_finite().then_some(seconds as i64)
}
