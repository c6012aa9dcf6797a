//! Limits the requests per client address on `/auth/*`: `AUTH_RATE_LIMIT`.
//!
//! A generic cell rate algorithm: a burst of the whole allowance, then one request each
//! `per / count`. Each instance counts for itself.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::Request;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use super::client::ClientInfo;
use crate::config::RateLimit;
use crate::error::AppError;

/// After so many requests, addresses that have their whole allowance again are forgotten.
const SWEEP_EVERY: u32 = 1_024;

type Limiter<C> = RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// Who has how much of the allowance left. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct AuthLimiter<C: Clock = DefaultClock>(Arc<Inner<C>>);

struct Inner<C: Clock> {
    limiter: Limiter<C>,
    clock: C,
    requests: AtomicU32,
}

impl AuthLimiter {
    /// Everyone may do `limit.count` requests each `limit.per`.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, DefaultClock::default())
    }
}

impl<C: Clock + Clone> AuthLimiter<C> {
    /// The same, by a clock of the caller's.
    #[must_use]
    pub fn with_clock(limit: RateLimit, clock: C) -> Self {
        Self(Arc::new(Inner {
            limiter: RateLimiter::new(quota(limit), DefaultKeyedStateStore::default(), clock.clone()),
            clock,
            requests: AtomicU32::new(0),
        }))
    }

    /// Takes one request off the allowance of `address`.
    ///
    /// # Errors
    /// How long to wait, when nothing is left.
    pub fn check(&self, address: IpAddr) -> Result<(), Duration> {
        let inner = &self.0;
        if inner.requests.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            inner.limiter.retain_recent();
            inner.limiter.shrink_to_fit();
        }
        let refusal = inner.limiter.check_key(&network(address)).err();
        refusal.map_or(Ok(()), |until| Err(until.wait_time_from(inner.clock.now())))
    }

    /// Lets a request pass that is not for `/auth/*`, or whose client has something left.
    ///
    /// # Errors
    /// [`AppError::TooManyRequests`].
    pub(super) fn admit(&self, request: &Request) -> Result<(), AppError> {
        let client = request.extensions().get::<ClientInfo>();
        let client = client.filter(|_| request.uri().path().starts_with("/auth/"));
        let checked = client.map_or(Ok(()), |client| self.check(client.address));
        checked.map_err(|retry_after| AppError::TooManyRequests { retry_after })
    }

    /// How many addresses are remembered.
    #[must_use]
    pub fn tracked(&self) -> usize {
        self.0.limiter.len()
    }
}

fn quota(limit: RateLimit) -> Quota {
    let count = NonZeroU32::new(limit.count).unwrap_or(NonZeroU32::MIN);
    let pause = (limit.per / count.get()).max(Duration::from_nanos(1));
    Quota::with_period(pause).unwrap_or(Quota::per_second(count)).allow_burst(count)
}

/// What counts as one client: an IPv4 address, or the /64 that a provider gives to one household,
/// whose 2^64 addresses would otherwise be as many clients.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const LIMIT: RateLimit = RateLimit { count: 3, per: Duration::from_secs(60) };

    fn limiter() -> (AuthLimiter<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (AuthLimiter::with_clock(LIMIT, clock.clone()), clock)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_allowance_is_used_up_and_comes_back() {
        let (limiter, clock) = limiter();
        let client = address("192.0.2.1");
        for request in 0..3 {
            assert_eq!(limiter.check(client), Ok(()), "request {request}");
        }
        assert_eq!(limiter.check(client), Err(Duration::from_secs(20)));
        clock.advance(Duration::from_secs(19));
        assert_eq!(limiter.check(client), Err(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(1));
        assert_eq!(limiter.check(client), Ok(()));
    }

    #[test]
    fn each_client_has_its_own_allowance() {
        let (limiter, _clock) = limiter();
        let [used, same_household, other] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(address);
        for _ in 0..3 {
            assert_eq!(limiter.check(used), Ok(()));
        }
        assert!(limiter.check(same_household).is_err());
        assert_eq!(limiter.check(other), Ok(()));
        assert_eq!(limiter.check(address("192.0.2.1")), Ok(()));
    }

    #[test]
    fn who_has_the_whole_allowance_again_is_forgotten() {
        let (limiter, clock) = limiter();
        for number in 0..SWEEP_EVERY - 1 {
            assert_eq!(limiter.check(IpAddr::V4(number.into())), Ok(()));
        }
        assert_eq!(limiter.tracked(), 1_023);
        clock.advance(LIMIT.per);
        assert_eq!(limiter.check(address("192.0.2.1")), Ok(()));
        assert_eq!(limiter.tracked(), 1);
    }
}
