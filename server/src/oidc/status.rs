//! How things stand with the provider, for the readiness check and for administrators.

use chrono::{DateTime, Duration, Utc};

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
}

impl SourceStatus {
    /// Takes note of an outcome.
    pub(crate) fn note<T>(&mut self, outcome: &Result<T, OidcError>, now: DateTime<Utc>) {
        self.is_failing = outcome.is_err();
        match outcome {
            Ok(_) => self.last_success = Some(now),
            Err(error) => {
                let (reason, detail) = (error.reason(), error.to_string());
                self.last_failure = Some(Failure { at: now, reason, detail, is_outage: error.is_outage() });
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
        self.is_usable(&self.metadata) && self.is_usable(&self.keys) && !self.is_refused()
    }

    fn is_usable(&self, source: &SourceStatus) -> bool {
        source.last_success.is_some_and(|success| self.as_of - success < USABLE)
    }

    fn is_refused(&self) -> bool {
        let failure = self.token_endpoint.last_failure.as_ref();
        let counts = |failure: &Failure| !failure.is_outage || self.as_of - failure.at < OUTAGE_COUNTS;
        self.token_endpoint.is_failing && failure.is_some_and(counts)
    }
}
