//! Random values from the operating system, in the encodings that the protocols use.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use uuid::Uuid;

/// `N` random bytes.
///
/// An operating system without entropy leaves zeros, which a development tool can live with.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    if SystemRandom::new().fill(&mut buffer).is_err() {
        tracing::error!("the operating system gave no random bytes");
    }
    buffer
}

/// `N` random bytes as base64url without padding.
pub(crate) fn url_safe<const N: usize>() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<N>())
}

/// `N` random bytes as standard base64, with the `+`, `/` and `=` that clients must not choke on.
pub(crate) fn standard<const N: usize>() -> String {
    STANDARD.encode(bytes::<N>())
}

/// A random (version 4) UUID.
pub(crate) fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(bytes()).into_uuid()
}

/// A UUID that is always the same for one `name`.
pub(crate) fn named_uuid(name: &str) -> Uuid {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let first: Option<[u8; 16]> = digest.as_ref().first_chunk().copied();
    uuid::Builder::from_random_bytes(first.unwrap_or_default()).into_uuid()
}

/// A number in `range`, near enough to uniform for lifetimes.
pub(crate) fn in_range(range: &RangeInclusive<i64>) -> i64 {
    let width = range.end().saturating_sub(*range.start()).saturating_add(1).max(1);
    let random = i64::from(u32::from_le_bytes(bytes()));
    range.start().saturating_add(random % width)
}
