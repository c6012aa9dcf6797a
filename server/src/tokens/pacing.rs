//! Pacing of the background refresh, for each tenant by itself: so many calls a second, none while the provider asks
//! to wait, and few while it does not answer (Microsoft identity platform, "Handle errors": honour `Retry-After`).
//!
//! One tenant in trouble holds up nobody else. Each instance paces its own calls.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use entra::oidc::RefreshError;
use tokio::time::Instant;

/// The pause between two background refreshes of one tenant: at most 250 a second.
const INTERVAL: Duration = Duration::from_millis(4);
/// How long nobody calls after a 429 that does not say how long (as MSAL does).
const UNSAID: Duration = Duration::from_secs(5);
/// So many outages in a row open the breaker.
const OUTAGES: u32 = 8;
/// How long the breaker stays open first; doubled each time that the next call fails too, up to [`MAX_OPEN`].
const FIRST_OPEN: Duration = Duration::from_secs(5);
const MAX_OPEN: Duration = Duration::from_secs(60);

/// What is known of the tenants' patience.
#[derive(Debug, Default)]
pub struct TenantPacing {
    tenants: Mutex<HashMap<String, Tenant>>,
}

#[derive(Debug, Default)]
struct Tenant {
    next_slot: Option<Instant>,
    outages: u32,
    /// The provider asked to wait: nobody calls.
    asked_until: Option<DateTime<Utc>>,
    /// The breaker is open: the background does not call.
    open_until: Option<DateTime<Utc>>,
}

impl Tenant {
    fn rests(&self, now: DateTime<Utc>) -> bool {
        [self.asked_until, self.open_until].into_iter().flatten().any(|until| until > now)
    }
}

impl TenantPacing {
    /// Tenants whose grants are left alone for now.
    #[must_use]
    pub fn resting(&self, now: DateTime<Utc>) -> Vec<String> {
        self.lock().iter().filter(|(_, tenant)| tenant.rests(now)).map(|(realm, _)| realm.clone()).collect()
    }

    /// Whether the provider has asked that nobody calls it for this tenant.
    #[must_use]
    pub fn is_asked_to_wait(&self, realm: &str, now: DateTime<Utc>) -> bool {
        self.lock().get(realm).and_then(|tenant| tenant.asked_until).is_some_and(|until| until > now)
    }

    /// Waits for the tenant's turn; `false` when it rests by then.
    pub async fn turn(&self, realm: &str, now: impl Fn() -> DateTime<Utc>) -> bool {
        let slot = {
            let mut tenants = self.lock();
            let tenant = tenants.entry(realm.to_owned()).or_default();
            let slot = tenant.next_slot.map_or_else(Instant::now, |next| next.max(Instant::now()));
            tenant.next_slot = Some(slot + INTERVAL);
            slot
        };
        tokio::time::sleep_until(slot).await;
        self.lock().get(realm).is_none_or(|tenant| !tenant.rests(now()))
    }

    /// Notes that the token endpoint answered about a grant of the tenant.
    pub(super) fn answered(&self, realm: &str) {
        if let Some(tenant) = self.lock().get_mut(realm) {
            tenant.outages = 0;
            tenant.open_until = None;
        }
    }

    /// Notes a refresh that failed.
    pub(super) fn failed(&self, realm: &str, error: &RefreshError, now: DateTime<Utc>) {
        let wait = |time: Duration| chrono::Duration::from_std(time).ok().map(|time| now + time);
        match error {
            RefreshError::Throttled { .. } | RefreshError::Unavailable { .. } => {
                let mut tenants = self.lock();
                let tenant = tenants.entry(realm.to_owned()).or_default();
                tenant.outages = tenant.outages.saturating_add(1);
                let is_throttled = matches!(error, RefreshError::Throttled { .. });
                if let Some(asked) = error.retry_after().or(is_throttled.then_some(UNSAID)) {
                    tenant.asked_until = tenant.asked_until.max(wait(asked));
                }
                if let Some(beyond) = tenant.outages.checked_sub(OUTAGES) {
                    tenant.open_until = wait((FIRST_OPEN * 2_u32.pow((beyond / OUTAGES).min(4))).min(MAX_OPEN));
                }
            }
            _ => self.answered(realm),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Tenant>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
