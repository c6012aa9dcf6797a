//! Signing keys: made lazily, shared by all emulators of a process, rotated and published per emulator.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{self, RsaKeyPair};
use rsa::pkcs1v15;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::der;
use crate::random;
use crate::sync::lock;

/// Index in the process's pool of the key for personal Microsoft accounts.
const PERSONAL: usize = 1;
/// Index of the key that no key set ever holds.
const UNPUBLISHED: usize = 2;
/// The first index that rotation takes.
const FIRST_ROTATED: usize = 3;

/// How the private key signs: `ring` where it can, the `rsa` crate for keys that `ring` refuses.
enum Signer {
    Ring(RsaKeyPair),
    Weak(pkcs1v15::SigningKey<Sha256>),
    Broken,
}

/// An RSA key pair with what a JWK says of it.
pub(crate) struct SigningKey {
    /// Key id: as at Entra, the certificate's SHA-1 thumbprint.
    pub(crate) kid: String,
    n: String,
    e: String,
    x5c: String,
    signer: Signer,
}

impl SigningKey {
    /// Makes a key of `bits`; below 2048 it signs with the `rsa` crate.
    ///
    /// Failing (no entropy) leaves a key whose signatures are empty, which no client accepts.
    fn generate(bits: usize) -> Self {
        match rsa::RsaPrivateKey::new(&mut OsRng, bits) {
            Ok(private) => Self::from_private(private, bits),
            Err(error) => {
                tracing::error!(%error, "no RSA key could be made");
                Self::unusable()
            }
        }
    }

    fn from_private(private: rsa::RsaPrivateKey, bits: usize) -> Self {
        let public = private.to_public_key();
        let info = public.to_public_key_der().map(|der| der.into_vec()).unwrap_or_default();
        let (n, e) = (public.n().to_bytes_be(), public.e().to_bytes_be());
        let signer = if bits < 2048 { Signer::Weak(pkcs1v15::SigningKey::new(private)) } else { ring_signer(&private) };
        let certificate = der::self_signed("Entra emulator", &info, |message| signer.sign(message));
        let thumbprint = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
        Self {
            kid: URL_SAFE_NO_PAD.encode(thumbprint),
            n: URL_SAFE_NO_PAD.encode(n),
            e: URL_SAFE_NO_PAD.encode(e),
            x5c: STANDARD.encode(certificate),
            signer,
        }
    }

    fn unusable() -> Self {
        Self { kid: String::new(), n: String::new(), e: String::new(), x5c: String::new(), signer: Signer::Broken }
    }

    /// An RS256 signature over `message` (RFC 7518 section 3.3).
    pub(crate) fn rs256(&self, message: &[u8]) -> Vec<u8> {
        self.signer.sign(message)
    }

    /// A PS256 signature over `message` (RFC 7518 section 3.5); empty for weak keys.
    pub(crate) fn ps256(&self, message: &[u8]) -> Vec<u8> {
        match &self.signer {
            Signer::Ring(pair) => ring_sign(pair, &signature::RSA_PSS_SHA256, message),
            Signer::Weak(_) | Signer::Broken => Vec::new(),
        }
    }

    /// The public key as Entra publishes it: `use` but no `alg`, a certificate, an issuer.
    fn jwk(&self, issuer: &str) -> Value {
        json!({
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": self.n,
            "e": self.e,
            "x5c": [self.x5c],
            "cloud_instance_name": "microsoftonline.com",
            "issuer": issuer,
        })
    }
}

impl Signer {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ring(pair) => ring_sign(pair, &signature::RSA_PKCS1_SHA256, message),
            Self::Weak(key) => key.try_sign(message).map(|signature| signature.to_vec()).unwrap_or_default(),
            Self::Broken => Vec::new(),
        }
    }
}

fn ring_signer(private: &rsa::RsaPrivateKey) -> Signer {
    let pair = private.to_pkcs8_der().ok().and_then(|der| RsaKeyPair::from_pkcs8(der.as_bytes()).ok());
    pair.map_or(Signer::Broken, Signer::Ring)
}

fn ring_sign(pair: &RsaKeyPair, padding: &'static dyn signature::RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; pair.public().modulus_len()];
    let signed = pair.sign(padding, &ring::rand::SystemRandom::new(), message, &mut out);
    if signed.is_ok() { out } else { Vec::new() }
}

/// The cells of the process-wide pool; a cell is filled outside the lock.
type Pool = Mutex<HashMap<usize, Arc<OnceLock<Arc<SigningKey>>>>>;

/// Keys are slow to make, and no emulator needs to keep its keys from another in the same process.
static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);
/// The RSA-1024 key.
static WEAK: LazyLock<Arc<SigningKey>> = LazyLock::new(|| Arc::new(SigningKey::generate(1024)));

fn pooled(index: usize) -> Arc<SigningKey> {
    let cell = Arc::clone(lock(&POOL).entry(index).or_default());
    Arc::clone(cell.get_or_init(|| Arc::new(SigningKey::generate(2048))))
}

/// A key pair as an administrator makes it for `private_key_jwt`: made once a process, shared by all.
static CLIENT: LazyLock<Option<ClientCertificate>> = LazyLock::new(ClientCertificate::generate);

/// A client certificate and its private key, both PEM.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate, to be registered and to be named by the application.
    pub certificate: String,
    /// The private key in PKCS#8.
    pub key: String,
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

impl ClientCertificate {
    fn generate() -> Option<Self> {
        let private = rsa::RsaPrivateKey::new(&mut OsRng, 2048).ok()?;
        let key = private.to_pkcs8_pem(LineEnding::LF).ok()?.to_string();
        let x5c = SigningKey::from_private(private, 2048).x5c;
        let certificate = format!("-----BEGIN CERTIFICATE-----\n{x5c}\n-----END CERTIFICATE-----\n");
        Some(Self { certificate, key })
    }

    /// The one of this process; `None` if no key could be made.
    pub(crate) fn shared() -> Option<Self> {
        CLIENT.clone()
    }
}

/// Makes the first signing key, so that the first sign-in does not wait for it.
pub(crate) fn warm_up() {
    pooled(0);
}

/// Oddities of the published key set; the default is what Entra publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeySetShape {
    /// Leaves `kid` out of each key. (The header of tokens is a matter of token edits.)
    pub without_kid: bool,
    /// Puts another key with the current key's `kid` before it.
    pub duplicate_kid: bool,
    /// Adds keys with an unknown `kty`, without `kty`, and without a modulus.
    pub unknown_kty: bool,
    /// Signs with, and publishes, an RSA-1024 key alone.
    pub weak: bool,
    /// Marks the keys as `"use": "enc"`.
    pub use_enc: bool,
    /// Leaves `use` out.
    pub without_use: bool,
    /// Leaves the `issuer` member out, as other providers do.
    pub without_issuer: bool,
    /// Adds `"alg": "RS256"`.
    pub with_alg: bool,
    /// How many further keys (random moduli) stand before the current one.
    pub decoys: usize,
}

/// A rotation of the signing key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotation {
    /// Whether the old keys stay in the key set.
    pub keep_old: bool,
}

/// One emulator's keys: which of the pool are published and which one signs.
#[derive(Debug)]
pub(crate) struct KeyRing {
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    /// Pool indices of the published keys; the last one signs.
    published: Vec<usize>,
    next: usize,
    before_next_signing: Option<Rotation>,
    shape: KeySetShape,
}

impl Default for KeyRing {
    fn default() -> Self {
        Self {
            ring: Mutex::new(Ring {
                published: vec![0],
                next: FIRST_ROTATED,
                before_next_signing: None,
                shape: KeySetShape::default(),
            }),
        }
    }
}

impl Ring {
    fn rotate(&mut self, rotation: Rotation) {
        if !rotation.keep_old {
            self.published.clear();
        }
        self.published.push(self.next);
        self.next += 1;
    }
}

impl KeyRing {
    /// The key that signs now; carries out a rotation that waits for the next signing.
    pub(crate) fn current(&self) -> Arc<SigningKey> {
        let index = {
            let mut ring = lock(&self.ring);
            if let Some(rotation) = ring.before_next_signing.take() {
                ring.rotate(rotation);
            }
            if ring.shape.weak { None } else { Some(ring.published.last().copied().unwrap_or(0)) }
        };
        index.map_or_else(|| Arc::clone(&WEAK), pooled)
    }

    /// A key that no key set holds.
    pub(crate) fn unpublished() -> Arc<SigningKey> {
        pooled(UNPUBLISHED)
    }

    /// The key that signs for personal Microsoft accounts only.
    pub(crate) fn personal() -> Arc<SigningKey> {
        pooled(PERSONAL)
    }

    pub(crate) fn rotate(&self, rotation: Rotation) {
        lock(&self.ring).rotate(rotation);
    }

    pub(crate) fn rotate_before_next_signing(&self, rotation: Rotation) {
        lock(&self.ring).before_next_signing = Some(rotation);
    }

    /// Publishes `count` further keys, which do not sign.
    pub(crate) fn add(&self, count: usize) {
        let mut ring = lock(&self.ring);
        for _ in 0..count {
            let index = ring.next;
            ring.next += 1;
            ring.published.insert(0, index);
        }
    }

    pub(crate) fn set_shape(&self, shape: KeySetShape) {
        lock(&self.ring).shape = shape;
    }

    /// The key set with `issuer` on each key; `personal_issuer` adds the key for personal accounts.
    pub(crate) fn key_set(&self, issuer: &str, personal_issuer: Option<&str>) -> Value {
        let (published, shape) = {
            let ring = lock(&self.ring);
            (ring.published.clone(), ring.shape.clone())
        };
        let mut keys: Vec<Value> = published.into_iter().map(|index| pooled(index).jwk(issuer)).collect();
        if let Some(personal_issuer) = personal_issuer {
            keys.push(Self::personal().jwk(personal_issuer));
        }
        shape.apply(&mut keys, issuer);
        json!({ "keys": keys })
    }
}

impl KeySetShape {
    fn apply(&self, keys: &mut Vec<Value>, issuer: &str) {
        if self.weak {
            *keys = vec![WEAK.jwk(issuer)];
        }
        if self.duplicate_kid {
            self.duplicate(keys, issuer);
        }
        if self.unknown_kty {
            keys.splice(0..0, malformed_keys());
        }
        keys.splice(0..0, (0..self.decoys).map(|_| decoy(issuer)));
        for key in keys.iter_mut() {
            self.apply_to_key(key);
        }
    }

    fn duplicate(&self, keys: &mut Vec<Value>, issuer: &str) {
        let kid = keys.last().and_then(|key| key.get("kid")).cloned();
        let mut twin = KeyRing::unpublished().jwk(issuer);
        if let (Some(kid), Some(members)) = (kid, twin.as_object_mut()) {
            members.insert("kid".to_owned(), kid);
        }
        keys.insert(0, twin);
    }

    fn apply_to_key(&self, key: &mut Value) {
        let Some(members) = key.as_object_mut() else { return };
        let removed = [("kid", self.without_kid), ("use", self.without_use), ("issuer", self.without_issuer)];
        for (name, _) in removed.iter().filter(|(_, remove)| *remove) {
            members.remove(*name);
        }
        if self.use_enc {
            members.insert("use".to_owned(), "enc".into());
        }
        if self.with_alg {
            members.insert("alg".to_owned(), "RS256".into());
        }
    }
}

/// Keys that a client must skip without giving up on the rest.
fn malformed_keys() -> [Value; 3] {
    [
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "use": "sig", "kid": "unknown-kty", "pub": "AAAA" }),
        json!({ "use": "sig", "kid": "no-kty" }),
        json!({ "kty": "RSA", "use": "sig", "kid": "no-modulus", "e": "AQAB" }),
    ]
}

/// A key that looks well but whose private part nobody has.
fn decoy(issuer: &str) -> Value {
    let mut modulus: [u8; 256] = random::bytes();
    let [first, .., last] = &mut modulus;
    *first |= 0x80;
    *last |= 1;
    json!({
        "kty": "RSA",
        "use": "sig",
        "kid": random::url_safe::<20>(),
        "n": URL_SAFE_NO_PAD.encode(modulus),
        "e": "AQAB",
        "issuer": issuer,
    })
}
