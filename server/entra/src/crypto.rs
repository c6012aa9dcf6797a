//! Encryption at rest and digests: a ring of keys, each with an id, and XChaCha20-Poly1305.
//!
//! A leaf: it knows no other part of the server. Sealed text is
//! `version (1 byte) || id length (1 byte) || key id || nonce (24 bytes) || ciphertext and tag`;
//! the associated data binds it to its place, so that two rows cannot swap their contents.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 24;

/// Why a key ring was refused or a sealed text could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The ring is empty.
    #[error("no key given; `server keys new` prints one")]
    NoKey,
    /// An entry is not `id:base64`.
    #[error("each key is `id:base64 of 32 bytes`, with an id of 1 to 32 letters, digits, `-` or `_`")]
    BadEntry,
    /// An entry's key is not base64 of 32 bytes.
    #[error("a key must be 32 bytes in base64")]
    BadKey,
    /// Two entries share an id.
    #[error("two keys have the same id")]
    DuplicateId,
    /// Sealed with a key that the ring does not hold.
    #[error("sealed with a key that is not in the ring")]
    UnknownKey,
    /// Not a sealed text, tampered with, or sealed for another place.
    #[error("the sealed text is damaged or belongs elsewhere")]
    Damaged,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness,
}

/// The keys that seal and open; the first one seals.
#[derive(Clone)]
pub struct KeyRing {
    keys: Vec<(String, Zeroizing<[u8; 32]>)>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|(id, _)| id.as_str()).collect();
        formatter.debug_struct("KeyRing").field("ids", &ids).finish()
    }
}

impl KeyRing {
    /// Reads `id:base64,id:base64,…` (`TOKEN_ENCRYPTION_KEYS`).
    ///
    /// # Errors
    /// Says what is wrong, never what was given.
    pub fn parse(text: &str) -> Result<Self, CryptoError> {
        let mut keys: Vec<(String, Zeroizing<[u8; 32]>)> = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (id, encoded) = entry.split_once(':').ok_or(CryptoError::BadEntry)?;
            let id_fits = (1..=32).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            if !id_fits {
                return Err(CryptoError::BadEntry);
            }
            if keys.iter().any(|(known, _)| known == id) {
                return Err(CryptoError::DuplicateId);
            }
            let bytes = Zeroizing::new(STANDARD.decode(encoded.trim()).map_err(|_| CryptoError::BadKey)?);
            let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| CryptoError::BadKey)?;
            keys.push((id.to_owned(), Zeroizing::new(key)));
        }
        if keys.is_empty() {
            return Err(CryptoError::NoKey);
        }
        Ok(Self { keys })
    }

    /// A new random key as an entry of the ring, with today's date as its id when `id` is that.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`].
    pub fn generate_entry(id: &str) -> Result<String, CryptoError> {
        let key = Zeroizing::new(random_bytes::<32>()?);
        Ok(format!("{id}:{}", STANDARD.encode(key.as_slice())))
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn current_id(&self) -> &str {
        self.keys.first().map(|(id, _)| id.as_str()).unwrap_or_default()
    }

    /// Whether `sealed` was sealed with the key that seals now.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        split_sealed(sealed).is_some_and(|(id, _, _)| id == self.current_id().as_bytes())
    }

    /// Encrypts `plaintext` for the place named by `associated_data`.
    ///
    /// # Errors
    /// [`CryptoError::NoRandomness`], or [`CryptoError::Damaged`] if the cipher refuses (never seen).
    pub fn seal(&self, plaintext: &[u8], associated_data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let (id, key) = self.keys.first().ok_or(CryptoError::NoKey)?;
        let nonce = random_bytes::<NONCE_LENGTH>()?;
        let cipher = XChaCha20Poly1305::new(Key::from_slice(key.as_slice()));
        let payload = Payload { msg: plaintext, aad: associated_data };
        let ciphertext = cipher.encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| CryptoError::Damaged)?;
        let id_length = u8::try_from(id.len()).map_err(|_| CryptoError::BadEntry)?;
        let mut sealed = Vec::with_capacity(2 + id.len() + NONCE_LENGTH + ciphertext.len());
        sealed.extend_from_slice(&[VERSION, id_length]);
        sealed.extend_from_slice(id.as_bytes());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    /// Decrypts what [`KeyRing::seal`] made for the same place.
    ///
    /// # Errors
    /// [`CryptoError::UnknownKey`] or [`CryptoError::Damaged`].
    pub fn open(&self, sealed: &[u8], associated_data: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (id, nonce, ciphertext) = split_sealed(sealed).ok_or(CryptoError::Damaged)?;
        let (_, key) = self.keys.iter().find(|(known, _)| known.as_bytes() == id).ok_or(CryptoError::UnknownKey)?;
        let cipher = XChaCha20Poly1305::new(Key::from_slice(key.as_slice()));
        let payload = Payload { msg: ciphertext, aad: associated_data };
        cipher.decrypt(XNonce::from_slice(nonce), payload).map(Zeroizing::new).map_err(|_| CryptoError::Damaged)
    }
}

impl KeyRing {
    /// A token that only this ring can make for `value`, for example the form token of a session:
    /// HMAC-SHA-256 (RFC 2104) under the current key, 43 URL-safe characters. `purpose` keeps the
    /// tokens of one use from serving another.
    #[must_use]
    pub fn token_for(&self, purpose: &str, value: &str) -> String {
        let tag = self.keys.first().map(|(_, key)| mac(key, purpose, value));
        tag.map(|tag| URL_SAFE_NO_PAD.encode(tag)).unwrap_or_default()
    }

    /// Whether `token` was made by [`KeyRing::token_for`] under any key of the ring; compared in
    /// constant time.
    #[must_use]
    pub fn verify_token(&self, purpose: &str, value: &str, token: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(token) else {
            return false;
        };
        self.keys.iter().any(|(_, key)| bool::from(mac(key, purpose, value).as_ref().ct_eq(&given)))
    }
}

/// HMAC-SHA-256 over purpose and value, which a zero byte keeps apart.
fn mac(key: &Zeroizing<[u8; 32]>, purpose: &str, value: &str) -> ring::hmac::Tag {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key.as_slice());
    let mut context = ring::hmac::Context::with_key(&key);
    for part in [b"token".as_slice(), purpose.as_bytes(), value.as_bytes()] {
        context.update(part);
        context.update(&[0]);
    }
    context.sign()
}

/// Key id, nonce and ciphertext of a sealed text; `None` if it has another shape.
fn split_sealed(sealed: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&version, rest) = sealed.split_first()?;
    let (&id_length, rest) = rest.split_first()?;
    if version != VERSION {
        return None;
    }
    let (id, rest) = rest.split_at_checked(usize::from(id_length))?;
    let (nonce, ciphertext) = rest.split_at_checked(NONCE_LENGTH)?;
    Some((id, nonce, ciphertext))
}

/// `N` bytes from the operating system.
///
/// # Errors
/// [`CryptoError::NoRandomness`].
pub fn random_bytes<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(|_| CryptoError::NoRandomness)?;
    Ok(bytes)
}

/// 32 random bytes as 43 URL-safe characters: a state, a nonce, a PKCE verifier.
///
/// # Errors
/// [`CryptoError::NoRandomness`].
pub fn random_token() -> Result<String, CryptoError> {
    Ok(URL_SAFE_NO_PAD.encode(random_bytes::<32>()?))
}

/// SHA-256, for values that are looked up but must not be stored in clear.
#[must_use]
pub fn digest(value: &[u8]) -> Vec<u8> {
    Sha256::digest(value).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(ids: &[&str]) -> KeyRing {
        let entries: Vec<String> = ids.iter().map(|id| KeyRing::generate_entry(id).expect("randomness")).collect();
        KeyRing::parse(&entries.join(",")).expect("a ring")
    }

    #[test]
    fn v_11_3_every_flipped_byte_is_refused() {
        let ring = ring(&["k1"]);
        let sealed = ring.seal(b"refresh token", b"row 1").expect("seals");
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            if let Some(byte) = damaged.get_mut(index) {
                *byte ^= 1;
            }
            assert!(ring.open(&damaged, b"row 1").is_err(), "byte {index}");
        }
        for length in 0..sealed.len() {
            let cut = sealed.get(..length).expect("in range");
            assert!(ring.open(cut, b"row 1").is_err(), "cut to {length}");
        }
    }

    #[test]
    fn v_11_3_rows_cannot_swap_their_contents() {
        let ring = ring(&["k1"]);
        let sealed = ring.seal(b"secret", b"row 1").expect("seals");
        assert_eq!(ring.open(&sealed, b"row 2").err(), Some(CryptoError::Damaged));
    }

    #[test]
    fn k_20_equal_texts_are_sealed_differently() {
        let ring = ring(&["k1"]);
        let first = ring.seal(b"same", b"row").expect("seals");
        let second = ring.seal(b"same", b"row").expect("seals");
        assert_ne!(first, second);
    }

    #[test]
    fn f_16_an_old_key_still_opens_and_a_missing_one_says_so() {
        let old = KeyRing::generate_entry("old").expect("randomness");
        let new = KeyRing::generate_entry("new").expect("randomness");
        let before = KeyRing::parse(&old).expect("a ring");
        let after = KeyRing::parse(&format!("{new},{old}")).expect("a ring");
        let sealed = before.seal(b"text", b"row").expect("seals");
        assert_eq!(after.open(&sealed, b"row").expect("opens").as_slice(), b"text");
        let only_new = KeyRing::parse(&new).expect("a ring");
        assert_eq!(only_new.open(&sealed, b"row").err(), Some(CryptoError::UnknownKey));
        assert_eq!(after.current_id(), "new");
    }

    #[test]
    fn h_10_a_form_token_serves_its_purpose_and_session_only() {
        let first = ring(&["k1"]);
        let token = first.token_for("csrf", "session 1");
        assert!(first.verify_token("csrf", "session 1", &token));
        assert!(!first.verify_token("csrf", "session 2", &token));
        assert!(!first.verify_token("other", "session 1", &token));
        assert!(!ring(&["k1"]).verify_token("csrf", "session 1", &token));
        assert!(!first.verify_token("csrf", "session 1", ""));
    }

    #[test]
    fn bad_rings_are_refused() {
        for (text, error) in [
            ("", CryptoError::NoKey),
            ("k1", CryptoError::BadEntry),
            ("k 1:AAAA", CryptoError::BadEntry),
            ("k1:AAAA", CryptoError::BadKey),
            ("k1:not base64", CryptoError::BadKey),
        ] {
            assert_eq!(KeyRing::parse(text).err(), Some(error), "{text}");
        }
    }
}
