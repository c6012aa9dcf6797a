//! Limits requests: per client address on `/auth/*` (`AUTH_RATE_LIMIT`), per caller of the API (`API_RATE_LIMIT`).
//!
//! A generic cell rate algorithm: a burst of the whole allowance, then one request each
//! `per / count`. Each instance counts for itself.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::config::RateLimit;
use crate::error::AppError;
use crate::observe::client::ClientInfo;

/// At least so many of the clients that came last are remembered, and at most twice as many: some MiB.
const REMEMBERED: usize = 50_000;

/// Where the provider says who has signed out. Nothing may keep it from that, so only what is refused there counts.
const BACK_CHANNEL_LOGOUT: &str = "/auth/back-channel-logout";

/// Who has how much of the allowance left. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Limiter<K: Hash + Eq + Clone, C: Clock = DefaultClock>(Arc<Inner<K, C>>);

struct Inner<K: Hash + Eq + Clone, C: Clock> {
    limiter: RateLimiter<K, Recent<K>, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// Everyone may do `limit.count` requests each `limit.per`.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, DefaultClock::default())
    }
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Limiter<K, C> {
    /// The same, by a clock of the caller's.
    #[must_use]
    pub fn with_clock(limit: RateLimit, clock: C) -> Self {
        Self(Arc::new(Inner { limiter: RateLimiter::new(quota(limit), Recent::default(), clock.clone()), clock }))
    }

    /// Takes one request off the allowance of `client`.
    ///
    /// # Errors
    /// [`AppError::TooManyRequests`] when nothing is left.
    pub fn check(&self, client: &K) -> Result<(), AppError> {
        let Inner { limiter, clock } = &*self.0;
        let refused = limiter.check_key(client);
        refused.map_err(|until| AppError::TooManyRequests { retry_after: until.wait_time_from(clock.now()) })
    }
}

/// The limiter of `/auth/*`.
pub type AuthLimiter = Limiter<IpAddr>;

impl AuthLimiter {
    /// Lets a request pass that is not for `/auth/*`, or whose client has something left.
    ///
    /// # Errors
    /// [`AppError::TooManyRequests`].
    pub(super) fn admit(&self, request: &Request) -> Result<(), AppError> {
        let is_limited = request.uri().path().starts_with("/auth/") && !counts_when_refused(request);
        client(request).filter(|_| is_limited).map_or(Ok(()), |client| self.check(&client))
    }
}

/// Whether a request counts only if it is refused.
pub(super) fn counts_when_refused(request: &Request) -> bool {
    request.method() == Method::POST && request.uri().path() == BACK_CHANNEL_LOGOUT
}

/// Who sent a request, as it counts.
pub(crate) fn client(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ClientInfo>().map(|client| network(client.address))
}

/// What is left of the allowances of those who came last: when there are too many, half of what is remembered goes, and
/// in it those that did not come again.
struct Recent<K> {
    /// The younger half and the older one.
    halves: Mutex<[HashMap<K, Nanos>; 2]>,
}

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self { halves: Mutex::default() }
    }
}

impl<K> Recent<K> {
    fn halves(&self) -> MutexGuard<'_, [HashMap<K, Nanos>; 2]> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq + Clone> StateStore for Recent<K> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut halves = self.halves();
        let [younger, older] = &mut *halves;
        let before = younger.get(key).or_else(|| older.get(key)).copied();
        let measured = measure(before);
        let after = measured.as_ref().map_or(before, |(_, after)| Some(*after));
        if younger.len() >= REMEMBERED && !younger.contains_key(key) {
            *older = std::mem::take(younger);
        }
        younger.extend(after.map(|after| (key.clone(), after)));
        measured.map(|(passed, _)| passed)
    }
}

fn quota(limit: RateLimit) -> Quota {
    let count = NonZeroU32::new(limit.count).unwrap_or(NonZeroU32::MIN);
    let pause = (limit.per / count.get()).max(Duration::from_nanos(1));
    Quota::with_period(pause).unwrap_or(Quota::per_second(count)).allow_burst(count)
}

/// What counts as one client: an IPv4 address, also one that is written as IPv6, or the /64 that a provider gives to one
/// household, whose 2^64 addresses would otherwise be as many clients.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    const LIMIT: RateLimit = RateLimit { count: 3, per: Duration::from_secs(60) };

    fn limiter() -> (Limiter<IpAddr, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Limiter::with_clock(LIMIT, clock.clone()), clock)
    }

    fn address(text: &str) -> IpAddr {
        network(text.parse().expect("an address"))
    }

    /// How long to wait; nothing when the request may pass.
    fn wait(limiter: &Limiter<IpAddr, FakeRelativeClock>, client: IpAddr) -> Duration {
        match limiter.check(&client) {
            Ok(()) => Duration::ZERO,
            Err(AppError::TooManyRequests { retry_after }) => retry_after,
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn the_allowance_is_used_up_and_comes_back() {
        let (limiter, clock) = limiter();
        let client = address("192.0.2.1");
        for request in 0..3 {
            assert_eq!(wait(&limiter, client), Duration::ZERO, "request {request}");
        }
        assert_eq!(wait(&limiter, client), Duration::from_secs(20));
        clock.advance(Duration::from_secs(19));
        assert_eq!(wait(&limiter, client), Duration::from_secs(1));
        clock.advance(Duration::from_secs(1));
        assert_eq!(wait(&limiter, client), Duration::ZERO);
    }

    #[test]
    fn each_client_has_its_own_allowance() {
        let (limiter, _clock) = limiter();
        let [used, same_household, other] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(address);
        for _ in 0..3 {
            assert!(limiter.check(&used).is_ok());
        }
        assert!(limiter.check(&same_household).is_err());
        assert!(limiter.check(&other).is_ok());
        assert!(limiter.check(&address("192.0.2.1")).is_ok());
    }

    #[test]
    fn an_ipv4_address_that_is_written_as_ipv6_is_that_address() {
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("::ffff:192.0.2.1"), address("::ffff:192.0.2.2"));
    }

    #[test]
    fn memory_is_bounded_and_who_comes_again_is_not_forgotten() {
        let (limiter, _clock) = limiter();
        let persistent = address("192.0.2.1");
        for _ in 0..3 {
            assert!(limiter.check(&persistent).is_ok());
        }
        for number in 0..4 * REMEMBERED as u128 {
            assert!(limiter.check(&IpAddr::V6(Ipv6Addr::from_bits((0x2001 << 112) | (number << 64)))).is_ok());
            if number % 10_000 == 0 {
                assert!(limiter.check(&persistent).is_err(), "after {number} others");
            }
        }
        let store = Arc::into_inner(limiter.0).expect("nobody else's").limiter.into_state_store();
        let [younger, older] = &*store.halves();
        assert!(younger.len() <= REMEMBERED && older.len() <= REMEMBERED);
    }
}
