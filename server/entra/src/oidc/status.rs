//! How things stand with the provider, for the readiness check and for administrators.

use chrono::{DateTime, Duration, Utc};

use super::advice::Advice;
use super::error::OidcError;

/// What has not been fetched for longer than this is no longer used.
const USABLE: Duration = Duration::hours(24);

/// An outage at the token endpoint says nothing any more after this long: only another sign-in or
/// refresh could tell, and none may come while the server counts as not ready.
const OUTAGE_COUNTS: Duration = Duration::seconds(60);

/// When something last worked, and when it last failed.
#[derive(Clone, Debug, Default)]
pub struct SourceStatus {
    /// The last success.
    pub last_success: Option<DateTime<Utc>>,
    /// The last failure.
    pub last_failure: Option<Failure>,
    /// Whether the newest outcome is a failure.
    pub is_failing: bool,
}

/// A failure, as administrators see it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When.
    pub at: DateTime<Utc>,
    /// [`OidcError::reason`].
    pub reason: &'static str,
    /// The error in words.
    pub detail: String,
    /// [`OidcError::is_outage`].
    pub is_outage: bool,
    /// Whether this application is refused, its credential or its registration: an operator must act.
    pub speaks_of_us: bool,
    /// What to do about it.
    pub advice: Advice,
    /// Microsoft's number, if it gave one.
    pub aadsts: Option<u32>,
}

impl SourceStatus {
    /// Takes note of an outcome.
    pub(crate) fn note<T>(&mut self, outcome: &Result<T, OidcError>, now: DateTime<Utc>) {
        self.is_failing = outcome.is_err();
        match outcome {
            Ok(_) => self.last_success = Some(now),
            Err(error) => {
                self.last_failure = Some(Failure {
                    at: now,
                    reason: error.reason(),
                    detail: error.to_string(),
                    is_outage: error.is_outage(),
                    speaks_of_us: error.refuses_the_client(),
                    advice: error.advice(),
                    aadsts: error.provider_error().and_then(|error| error.aadsts),
                });
            }
        }
    }
}

/// How things stand with the provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderStatus {
    /// The discovery document.
    pub metadata: SourceStatus,
    /// The key set.
    pub keys: SourceStatus,
    /// Redeeming codes and refresh tokens: fails when the provider is down or refuses this
    /// application's credential, not when it refuses somebody's grant.
    pub token_endpoint: SourceStatus,
    /// When this was told.
    pub as_of: DateTime<Utc>,
}

impl ProviderStatus {
    /// Whether people can be expected to be able to sign in.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.provider_is_ready() && self.refusal().is_none()
    }

    /// Whether the provider itself works as far as is known: its metadata and keys, and no outage lately.
    #[must_use]
    pub fn provider_is_ready(&self) -> bool {
        self.is_usable(&self.metadata) && self.is_usable(&self.keys) && !self.has_outage()
    }

    /// Why the provider refuses this application at the token endpoint, until a call succeeds.
    #[must_use]
    pub fn refusal(&self) -> Option<&Failure> {
        let failure = self.token_endpoint.last_failure.as_ref()?;
        (self.token_endpoint.is_failing && failure.speaks_of_us).then_some(failure)
    }

    fn is_usable(&self, source: &SourceStatus) -> bool {
        source.last_success.is_some_and(|success| self.as_of - success < USABLE)
    }

    fn has_outage(&self) -> bool {
        let failure = self.token_endpoint.last_failure.as_ref().filter(|failure| !failure.speaks_of_us);
        let counts = |failure: &Failure| !failure.is_outage || self.as_of - failure.at < OUTAGE_COUNTS;
        self.token_endpoint.is_failing && failure.is_some_and(counts)
    }
}
