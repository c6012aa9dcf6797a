//! ID token validation, all of it (OpenID Connect Core 1.0, section 3.1.3.7; Microsoft identity
//! platform, "ID tokens" and "Claims validation"; RFC 8725).
//!
//! `openidconnect` checks signature, algorithm, issuer, audience, expiry, nonce and `at_hash`. Around it stand the checks
//! that it leaves to its users: leeway, `iat` and `nbf`, `azp`, the tenant, whose key it was, and the step-up that was
//! asked for. Issuer, audience and times are looked at before the signature too, so that a refusal names what is wrong
//! with a token instead of the key that it names.

use chrono::{DateTime, Duration, Utc};
use openidconnect::core::{CoreIdToken, CoreJwsSigningAlgorithm};
use openidconnect::{
    AccessToken, AccessTokenHash, ClaimsVerificationError, ClientId, IdTokenVerifier, IssuerUrl, JsonWebKeySet, Nonce,
};
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use super::claims::texts;
use super::error::{OidcError, TokenFault};
use super::jwk::RsaKey;
use super::jwt::{UnverifiedToken, is_guid};
use super::keys::{KeyOwner, KeySource};
use super::metadata::Metadata;
use crate::config::{IdentityKey, ProviderConfig, ProviderKind, Tenant};

/// A token issued longer ago than this does not answer the request that was just made.
const MAX_AGE_OF_ISSUE: Duration = Duration::hours(1);

/// The tenant of personal Microsoft accounts.
const PERSONAL_ACCOUNTS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// What an ID token must fit, besides the provider and this application.
#[derive(Default)]
pub(crate) struct Expectation<'a> {
    /// What `nonce` must be.
    pub(crate) nonce: ExpectedNonce<'a>,
    /// The access token that came with it.
    pub(crate) access_token: &'a str,
    /// The step-up that was asked for.
    pub(crate) auth_context: Option<&'a str>,
    /// How long ago the person may have signed in at the provider.
    pub(crate) max_age: Option<Duration>,
    /// When the person was asked to sign in anew.
    pub(crate) signed_in_since: Option<DateTime<Utc>>,
}

/// What `nonce` must be.
#[derive(Default)]
pub(crate) enum ExpectedNonce<'a> {
    /// Exactly this, as in a sign-in.
    Required(&'a str),
    /// This or absent, as in a refresh (section 12.2).
    Allowed(&'a str),
    /// Absent.
    #[default]
    Absent,
}

/// What the library hands on when a nonce that must be there is not.
const MISSING: &str = "missing";

impl ExpectedNonce<'_> {
    /// Whether `found` fits, as `openidconnect` asks.
    fn check(&self, found: Option<&Nonce>) -> Result<(), String> {
        match (self, found) {
            (Self::Required(_), None) => Err(MISSING.to_owned()),
            (Self::Required(expected) | Self::Allowed(expected), Some(found))
                if bool::from(expected.as_bytes().ct_eq(found.secret().as_bytes())) =>
            {
                Ok(())
            }
            (_, Some(_)) => Err("another".to_owned()),
            (Self::Allowed(_) | Self::Absent, None) => Ok(()),
        }
    }
}

/// An ID token that passed.
#[derive(Debug)]
pub(crate) struct VerifiedToken {
    pub(crate) identity: IdentityKey,
    /// When the person signed in at the provider, if the token says so.
    pub(crate) auth_time: Option<DateTime<Utc>>,
    pub(crate) claims: serde_json::Map<String, Value>,
}

/// Who checks tokens, and by which settings.
pub(crate) struct Verifier<'a> {
    pub(crate) config: &'a ProviderConfig,
    pub(crate) metadata: &'a Metadata,
    pub(crate) keys: &'a KeySource,
    pub(crate) now: DateTime<Utc>,
}

impl Verifier<'_> {
    /// Checks an ID token.
    ///
    /// # Errors
    /// [`OidcError::Token`] for the first thing that is wrong; [`OidcError::Unavailable`] if the
    /// keys are not to be had.
    pub(crate) async fn verify(&self, text: &str, expected: &Expectation<'_>) -> Result<VerifiedToken, OidcError> {
        let token = UnverifiedToken::parse(text)?;
        check_kind(&token, &["jwt", "jose"])?;
        let issuer = self.check_issuer(&token)?;
        token.required_text("sub")?;
        self.check_audience(&token)?;
        self.check_times(&token)?;
        check_types(&token)?;
        let key = self.find_key(&token, &issuer).await?;
        self.check_with_library(text, key, &issuer, expected)?;
        self.check_authentication(&token, expected)?;
        let identity = self.identity(&token)?;
        Ok(VerifiedToken { identity, auth_time: self.auth_time(&token)?, claims: token.claims })
    }

    /// `iss`: exactly the provider's. With Entra ID it must be the one of the tenant in `tid`, which
    /// is checked against the signature like every other claim, and against the list afterwards.
    pub(crate) fn check_issuer(&self, token: &UnverifiedToken<'_>) -> Result<String, TokenFault> {
        let found = token.required_text("iss")?;
        let expected = match &self.config.kind {
            ProviderKind::Generic { .. } => self.metadata.issuer.clone(),
            ProviderKind::Entra { tenant: Tenant::Single(tenant), .. } if tenant_id(token)? != tenant => {
                return Err(TokenFault::Issuer);
            }
            ProviderKind::Entra { .. } => self.metadata.issuer_for(tenant_id(token)?),
        };
        match found == expected {
            true => Ok(expected),
            false => Err(TokenFault::Issuer),
        }
    }

    /// `aud` and `azp`: this application, and no other.
    pub(crate) fn check_audience(&self, token: &UnverifiedToken<'_>) -> Result<(), TokenFault> {
        let ours = self.config.client_id.as_str();
        let audiences = token.audiences()?;
        if audiences.is_empty() || audiences.iter().any(|audience| *audience != ours) {
            return Err(TokenFault::Audience);
        }
        match token.optional_text("azp")? {
            Some(party) if party != ours => Err(TokenFault::AuthorizedParty),
            _ => Ok(()),
        }
    }

    /// `exp`, `iat` and `nbf`, with leeway for clocks that differ.
    fn check_times(&self, token: &UnverifiedToken<'_>) -> Result<(), TokenFault> {
        self.check_lifetime(token)?;
        self.check_issued(token)
    }

    /// `exp` and `nbf`.
    pub(crate) fn check_lifetime(&self, token: &UnverifiedToken<'_>) -> Result<(), TokenFault> {
        if token.required_time("exp")? <= self.oldest_expiry() {
            return Err(TokenFault::Expired);
        }
        match token.optional_time("nbf")? {
            Some(from) if from > self.now + self.leeway() => Err(TokenFault::NotYetValid),
            _ => Ok(()),
        }
    }

    /// `iat`: not in the future, and not long ago.
    pub(crate) fn check_issued(&self, token: &UnverifiedToken<'_>) -> Result<(), TokenFault> {
        let issued = token.required_time("iat")?;
        match issued > self.now + self.leeway() || issued < self.now - MAX_AGE_OF_ISSUE {
            true => Err(TokenFault::IssuedAt),
            false => Ok(()),
        }
    }

    /// What expired then or before has expired, even by a clock that is behind.
    pub(crate) fn oldest_expiry(&self) -> DateTime<Utc> {
        self.now - self.leeway()
    }

    /// The provider's key that the token names, if it is one for tokens of `issuer`.
    pub(crate) async fn find_key(&self, token: &UnverifiedToken<'_>, issuer: &str) -> Result<RsaKey, OidcError> {
        let owner = match &self.config.kind {
            ProviderKind::Generic { .. } => KeyOwner::Anyone,
            ProviderKind::Entra { tenant: Tenant::Single(_), .. } => KeyOwner::IfNamed(issuer),
            ProviderKind::Entra { .. } => KeyOwner::Named { issuer, tenant: tenant_id(token)? },
        };
        self.keys.find(&self.metadata.jwks_uri, token.key_id.as_deref(), &owner).await
    }

    /// Signature, algorithm, issuer, audience, expiry, nonce and `at_hash` (section 3.1.3.6) by `openidconnect`, with this
    /// one key.
    fn check_with_library(
        &self,
        text: &str,
        key: RsaKey,
        issuer: &str,
        expected: &Expectation<'_>,
    ) -> Result<(), TokenFault> {
        let token: CoreIdToken = text.parse().map_err(|_| TokenFault::Malformed)?;
        let client_id = ClientId::new(self.config.client_id.clone());
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|_| TokenFault::Issuer)?;
        let not_expired_at = self.oldest_expiry();
        let verifier = IdTokenVerifier::new_public_client(client_id, issuer, JsonWebKeySet::new(vec![key]))
            .set_allowed_algs([CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256])
            .set_time_fn(move || not_expired_at);
        let claims = token
            .claims(&verifier, |nonce: Option<&Nonce>| expected.nonce.check(nonce))
            .map_err(|error| library_fault(&error))?;
        let Some(found) = claims.access_token_hash() else {
            return Ok(());
        };
        let access_token = AccessToken::new(expected.access_token.to_owned());
        let algorithm = token.signing_alg().map_err(|_| TokenFault::Signature)?;
        let key = token.signing_key(&verifier).map_err(|_| TokenFault::Signature)?;
        match AccessTokenHash::from_token(&access_token, algorithm, key) {
            Ok(hash) if hash == *found => Ok(()),
            _ => Err(TokenFault::AccessTokenHash),
        }
    }

    /// `acr` and `auth_time`, where the request asked for them. After `max_age` the date must be there
    /// (section 2); after `prompt=login` alone it is checked if there, as Entra sends it only where
    /// the application's registration asks for it. One that lies in the future proves nothing.
    fn check_authentication(&self, token: &UnverifiedToken<'_>, expected: &Expectation<'_>) -> Result<(), TokenFault> {
        if let Some(context) = expected.auth_context
            && !self.auth_contexts(&token.claims).iter().any(|proven| proven == context)
        {
            return Err(TokenFault::AuthContext);
        }
        let signed_in = token.optional_time("auth_time")?;
        let oldest = expected.max_age.map(|age| self.now - age - self.leeway());
        let anew = expected.signed_in_since.map(|since| since - self.leeway());
        let is_asked_for = oldest.is_some() || anew.is_some();
        match (signed_in, oldest, anew) {
            (None, Some(_), _) => Err(TokenFault::AuthTime),
            (Some(at), oldest, anew) if Some(at) < oldest || Some(at) < anew => Err(TokenFault::AuthTime),
            (Some(at), ..) if is_asked_for && at > self.latest_auth_time() => Err(TokenFault::AuthTime),
            _ => Ok(()),
        }
    }

    /// When the person signed in at the provider, as the verified token says; `None` if it does not, or names a time
    /// that has not come yet.
    fn auth_time(&self, token: &UnverifiedToken<'_>) -> Result<Option<DateTime<Utc>>, TokenFault> {
        Ok(token.optional_time("auth_time")?.filter(|at| *at <= self.latest_auth_time()))
    }

    fn latest_auth_time(&self) -> DateTime<Utc> {
        self.now + self.leeway()
    }

    /// The authentication contexts that the claims of a verified token prove: `acrs` with Entra ID, else `acr`.
    pub(super) fn auth_contexts(&self, claims: &Map<String, Value>) -> Vec<String> {
        let claim = match &self.config.kind {
            ProviderKind::Entra { .. } => claims.get("acrs"),
            ProviderKind::Generic { .. } => claims.get("acr"),
        };
        claim.map(texts).unwrap_or_default()
    }

    /// Who the token is about: with Entra ID (`tid`, `oid`), never `sub`, which differs for each
    /// application, and never a name or an address.
    pub(crate) fn identity(&self, token: &UnverifiedToken<'_>) -> Result<IdentityKey, TokenFault> {
        let realm = self.realm(token)?;
        match self.subject(token)? {
            Some(subject) => Ok(IdentityKey { realm, subject }),
            None => Err(TokenFault::Missing(self.subject_claim())),
        }
    }

    /// The realm of the person's identity: the tenant, one of those allowed, or the issuer.
    pub(crate) fn realm(&self, token: &UnverifiedToken<'_>) -> Result<String, TokenFault> {
        match &self.config.kind {
            ProviderKind::Generic { .. } => Ok(self.metadata.issuer.clone()),
            ProviderKind::Entra { tenant, .. } => {
                let realm = tenant_id(token)?;
                check_tenant(realm, tenant)?;
                Ok(realm.to_owned())
            }
        }
    }

    /// The person within the realm, if the token names one.
    pub(crate) fn subject(&self, token: &UnverifiedToken<'_>) -> Result<Option<String>, TokenFault> {
        let found = token.optional_text(self.subject_claim())?;
        match (&self.config.kind, found.map(str::to_ascii_lowercase)) {
            (ProviderKind::Entra { .. }, Some(object_id)) if !is_guid(&object_id) => Err(TokenFault::ObjectId),
            (ProviderKind::Entra { .. }, object_id) => Ok(object_id),
            (ProviderKind::Generic { .. }, _) => Ok(found.map(str::to_owned)),
        }
    }

    fn subject_claim(&self) -> &'static str {
        match self.config.kind {
            ProviderKind::Generic { .. } => "sub",
            ProviderKind::Entra { .. } => "oid",
        }
    }

    fn leeway(&self) -> Duration {
        Duration::from_std(self.config.clock_leeway).unwrap_or_default().min(Duration::seconds(300))
    }
}

/// `typ` must be absent or one of `kinds`, so that no other token passes for this one.
pub(crate) fn check_kind(token: &UnverifiedToken<'_>, kinds: &[&str]) -> Result<(), TokenFault> {
    match &token.kind {
        Some(kind) if !kinds.contains(&kind.as_str()) => Err(TokenFault::Kind),
        _ => Ok(()),
    }
}

/// Optional claims that are looked at later must be of their type, or the token is refused for that.
fn check_types(token: &UnverifiedToken<'_>) -> Result<(), TokenFault> {
    token.optional_text("nonce")?;
    token.optional_text("at_hash")?;
    token.optional_time("auth_time")?;
    Ok(())
}

fn tenant_id<'a>(token: &'a UnverifiedToken<'_>) -> Result<&'a str, TokenFault> {
    let tenant = token.required_text("tid")?;
    match is_guid(tenant) {
        true => Ok(tenant),
        false => Err(TokenFault::TenantId),
    }
}

/// Whether people of `tenant` may sign in. Personal accounts may only if their tenant is listed.
fn check_tenant(tenant: &str, allowed: &Tenant) -> Result<(), TokenFault> {
    let is_allowed = match allowed {
        Tenant::Single(only) => tenant == only,
        Tenant::Multi { allowed, .. } => allowed.iter().any(|allowed| allowed == tenant),
    };
    match is_allowed {
        true => Ok(()),
        false if tenant == PERSONAL_ACCOUNTS => Err(TokenFault::PersonalAccount),
        false => Err(TokenFault::TenantNotAllowed(tenant.to_owned())),
    }
}

/// The library's error as one of ours.
fn library_fault(error: &ClaimsVerificationError) -> TokenFault {
    match error {
        ClaimsVerificationError::Expired(_) => TokenFault::Expired,
        ClaimsVerificationError::InvalidAudience(_) => TokenFault::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => TokenFault::Issuer,
        ClaimsVerificationError::InvalidNonce(reason) if reason == MISSING => TokenFault::Missing("nonce"),
        ClaimsVerificationError::InvalidNonce(_) => TokenFault::Nonce,
        ClaimsVerificationError::Unsupported(_) => TokenFault::Kind,
        _ => TokenFault::Signature,
    }
}
