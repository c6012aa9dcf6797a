//! The provider's signing keys: kept for a day, fetched anew each hour and when a token names a key
//! that is not there (OpenID Connect Core 1.0, section 10.1.1; Microsoft identity platform,
//! "Signing key rollover").
//!
//! The last good set survives failures. Fetching for unknown names is limited, as whoever can
//! present a token chooses the name: five at once, then one in five minutes, and a name that was
//! not found is not looked for again for a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Duration, Utc};
use futures_util::FutureExt as _;
use openidconnect::JsonWebKey as _;
use serde_json::Value;
use url::Url;

use super::cache::{Cache, Kept};
use super::error::{Endpoint, KeysFault, OidcError, TokenFault};
use super::jwk::RsaKey;
use super::metadata::get_document;
use super::status::SourceStatus;
use super::transport::Transport;
use crate::clock::Clock;

/// The most bytes that a key set may have.
const MAX_DOCUMENT: usize = 1024 * 1024;

/// RSA keys below this many bits are ignored (NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2048;

/// How many fetches unknown names can cause at once.
const BURST: u32 = 5;

/// How long until one more is allowed.
const REFILL: Duration = Duration::minutes(5);

/// For how long a name that was not found is not looked for again.
const REMEMBER_UNKNOWN: Duration = Duration::seconds(60);

/// The most names remembered: more than the limit on fetches lets through.
const MAX_UNKNOWN: usize = 64;

/// A key that can verify RS256.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey {
    modulus: String,
    /// Entra's extension: whose tokens the key signs, with `{tenantid}` for all tenants.
    issuer: Option<String>,
    key: RsaKey,
}

/// Whose tokens a key must be for (Microsoft identity platform, "Validate the signing key issuer").
pub(crate) enum KeyOwner<'a> {
    /// The key set has one owner.
    Anyone,
    /// This issuer, where the key says whose it is.
    IfNamed(&'a str),
    /// This issuer of this tenant; a key that names none is refused.
    Named {
        /// The issuer of the token.
        issuer: &'a str,
        /// Its tenant.
        tenant: &'a str,
    },
}

impl KeyOwner<'_> {
    fn fits(&self, key: &SigningKey) -> bool {
        match (self, key.issuer.as_deref()) {
            (Self::Anyone, _) | (Self::IfNamed(_), None) => true,
            (Self::IfNamed(issuer), Some(named)) => fits_template(issuer, named),
            (Self::Named { issuer, tenant }, Some(named)) => named.replace("{tenantid}", tenant) == *issuer,
            (Self::Named { .. }, None) => false,
        }
    }
}

/// Whether `named` is `issuer`, or a template that it fits.
fn fits_template(issuer: &str, named: &str) -> bool {
    match named.split_once("{tenantid}") {
        None => issuer == named,
        Some((before, after)) => {
            let tenant = issuer.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
            tenant.is_some_and(super::jwt::is_guid)
        }
    }
}

/// The keys of a set that can be used.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: Vec<SigningKey>,
}

impl KeySet {
    /// Reads a JSON Web Key Set (RFC 7517, section 5). Keys that are broken, for encryption, of
    /// another kind or too small are left out, so that one bad key does not lock everybody out.
    ///
    /// # Errors
    /// [`KeysFault`] if it is no key set, or nothing usable is left.
    pub(crate) fn read(document: &[u8]) -> Result<Self, KeysFault> {
        let document: Value = serde_json::from_slice(document).map_err(|_| KeysFault::Malformed)?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or(KeysFault::Malformed)?;
        let keys: Vec<SigningKey> = keys.iter().filter_map(SigningKey::read).collect();
        match keys.is_empty() {
            true => Err(KeysFault::Empty),
            false => Ok(Self { keys }),
        }
    }

    /// The one key named `id` (any, without a name) that belongs to `owner`.
    fn select(&self, id: Option<&str>, owner: &KeyOwner<'_>) -> Result<&SigningKey, TokenFault> {
        let named: Vec<&SigningKey> = self.keys.iter().filter(|key| id.is_none() || key.id() == id).collect();
        if named.is_empty() {
            return Err(TokenFault::UnknownKey);
        }
        let mut owned = named.into_iter().filter(|key| owner.fits(key));
        let key = owned.next().ok_or(TokenFault::KeyIssuer)?;
        match owned.all(|other| other.modulus == key.modulus) {
            true => Ok(key),
            false => Err(TokenFault::AmbiguousKey),
        }
    }
}

impl SigningKey {
    fn read(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let is_for_signing = text("use").is_none_or(|purpose| purpose == "sig");
        let is_for_rs256 = text("alg").is_none_or(|algorithm| algorithm == "RS256");
        let modulus = text("n")?;
        let key = RsaKey::read(jwk)?;
        if text("kty") != Some("RSA") || !is_for_signing || !is_for_rs256 || key.bits() < MIN_RSA_BITS {
            return None;
        }
        Some(Self { modulus: modulus.to_owned(), issuer: text("issuer").map(str::to_owned), key })
    }

    fn id(&self) -> Option<&str> {
        self.key.key_id().map(|id| id.as_str())
    }
}

/// Fetches the keys when they are needed, and keeps them.
pub(crate) struct KeySource {
    transport: Arc<dyn Transport>,
    clock: Clock,
    cache: Cache<KeySet>,
    lookups: Mutex<Lookups>,
}

impl KeySource {
    pub(crate) fn new(transport: Arc<dyn Transport>, clock: Clock) -> Self {
        let cache = Cache::new(Endpoint::Keys, clock.clone());
        let lookups = Mutex::new(Lookups::new(clock.now()));
        Self { transport, clock, cache, lookups }
    }

    /// Fetches the keys if there are none yet.
    ///
    /// # Errors
    /// When they cannot be fetched.
    pub(crate) async fn warm_up(&self, uri: &Url) -> Result<(), OidcError> {
        self.current(uri).await.map(drop)
    }

    pub(crate) fn status(&self) -> SourceStatus {
        self.cache.status()
    }

    /// The key named `id` in the set at `uri`, if it belongs to `owner`.
    ///
    /// # Errors
    /// [`TokenFault`] if there is no such key; [`OidcError::Unavailable`] if that cannot be told.
    pub(crate) async fn find(&self, uri: &Url, id: Option<&str>, owner: &KeyOwner<'_>) -> Result<RsaKey, OidcError> {
        let seen = self.cache.fetches();
        let keys = self.current(uri).await?;
        match keys.select(id, owner) {
            Ok(key) => Ok(key.key.clone()),
            Err(TokenFault::UnknownKey) => self.find_again(uri, id, owner, seen).await,
            Err(fault) => Err(fault.into()),
        }
    }

    /// The key set; every hour the caller that comes first fetches it, so that a key that was
    /// withdrawn is refused from then on. The others meanwhile use the one at hand.
    async fn current(&self, uri: &Url) -> Result<Arc<KeySet>, OidcError> {
        match self.cache.kept() {
            Kept::Fresh(keys) => Ok(keys),
            Kept::Stale(keys) if self.cache.may_stay_stale() => Ok(keys),
            Kept::Stale(_) | Kept::Nothing => self.cache.fetch(self.cache.fetches(), self.fetch(uri).map(Some)).await,
        }
    }

    /// Looks for a key that was not in the set when `seen` fetches had been made: in what another
    /// caller has fetched since, or, within the limit, in a set fetched for it.
    async fn find_again(
        &self,
        uri: &Url,
        id: Option<&str>,
        owner: &KeyOwner<'_>,
        mut seen: u64,
    ) -> Result<RsaKey, OidcError> {
        loop {
            let mut asked = false;
            let ask = async {
                asked = self.lookups().may_ask(id, self.clock.now());
                if asked { Some(self.fetch(uri).await) } else { None }
            };
            let keys = self.cache.fetch(seen, ask).await?;
            match keys.select(id, owner) {
                Ok(key) => return Ok(key.key.clone()),
                Err(TokenFault::UnknownKey) if self.cache.is_paused() => return Err(self.cache.last_error()),
                Err(TokenFault::UnknownKey) if !asked && self.cache.fetches() != seen => seen = self.cache.fetches(),
                Err(fault) => {
                    self.lookups().remember_missing(id, asked, self.clock.now());
                    return Err(fault.into());
                }
            }
        }
    }

    async fn fetch(&self, uri: &Url) -> Result<KeySet, OidcError> {
        let document = get_document(self.transport.as_ref(), uri, MAX_DOCUMENT, Endpoint::Keys, &self.clock).await?;
        Ok(KeySet::read(&document)?)
    }

    fn lookups(&self) -> MutexGuard<'_, Lookups> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The limit on fetches that unknown names cause: a token bucket, and a memory of names.
struct Lookups {
    left: u32,
    refilled: DateTime<Utc>,
    missing: HashMap<String, DateTime<Utc>>,
}

impl Lookups {
    fn new(now: DateTime<Utc>) -> Self {
        Self { left: BURST, refilled: now, missing: HashMap::new() }
    }

    /// Whether the set may be fetched for the key named `id`; takes one fetch out of the bucket.
    fn may_ask(&mut self, id: Option<&str>, now: DateTime<Utc>) -> bool {
        self.missing.retain(|_, seen| (now - *seen).abs() < REMEMBER_UNKNOWN);
        self.refill(now);
        let is_allowed = self.left > 0 && !self.missing.contains_key(id.unwrap_or_default());
        self.left -= u32::from(is_allowed);
        is_allowed
    }

    fn refill(&mut self, now: DateTime<Utc>) {
        if self.left >= BURST || now < self.refilled {
            self.refilled = now;
        }
        while self.left < BURST && now - self.refilled >= REFILL {
            self.left += 1;
            self.refilled += REFILL;
        }
    }

    /// Notes that a set fetched for the key named `id` (`asked`) does not have it.
    fn remember_missing(&mut self, id: Option<&str>, asked: bool, now: DateTime<Utc>) {
        if asked && self.missing.len() < MAX_UNKNOWN {
            self.missing.insert(id.unwrap_or_default().to_owned(), now);
        }
    }
}
