//! JSON Web Tokens: signing them well or badly, and reading those that clients present (RFC 7515, RFC 7519).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::keys::KeyRing;

/// How a token is signed. Everything but [`Signing::Current`] is a token that a client must refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signing {
    /// RS256 with the current key, as Entra does.
    #[default]
    Current,
    /// RS256 with a key that no key set holds, under the current key's `kid`.
    UnpublishedKey,
    /// RS256 with the key that the key set ties to personal Microsoft accounts.
    PersonalAccountsKey,
    /// PS256 with the current key.
    Ps256,
    /// HS256 keyed with the client secret.
    HmacWithClientSecret,
    /// HS256 with a broken MAC.
    BrokenHmac,
    /// RS256 with one bit of the signature flipped.
    BrokenSignature,
    /// ES256 in the header and a signature that is none.
    BrokenEs256,
    /// `alg` `none` and an empty signature.
    None,
}

impl Signing {
    fn algorithm(self) -> &'static str {
        match self {
            Self::Current | Self::UnpublishedKey | Self::PersonalAccountsKey | Self::BrokenSignature => "RS256",
            Self::Ps256 => "PS256",
            Self::HmacWithClientSecret | Self::BrokenHmac => "HS256",
            Self::BrokenEs256 => "ES256",
            Self::None => "none",
        }
    }
}

/// A token that is about to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    /// Text that takes the place of the serialised claims, for JSON that `Value` cannot hold.
    pub(crate) raw_claims: Option<String>,
    pub(crate) signing: Signing,
}

/// What signing needs of an emulator.
pub(crate) struct SigningContext<'a> {
    pub(crate) keys: &'a KeyRing,
    pub(crate) client_secret: &'a str,
}

/// Writes and signs `draft` in the compact serialisation (RFC 7515 section 7.1).
///
/// `alg` and `kid` are filled in unless the header has them already (or an edit set them);
/// `null` members are left out.
pub(crate) fn sign(context: &SigningContext<'_>, mut draft: Draft) -> String {
    let key = match draft.signing {
        Signing::PersonalAccountsKey => KeyRing::personal(),
        _ => context.keys.current(),
    };
    if let Some(header) = draft.header.as_object_mut() {
        header.entry("alg").or_insert_with(|| draft.signing.algorithm().into());
        header.entry("kid").or_insert_with(|| key.kid.clone().into());
        header.retain(|_, value| !value.is_null());
    }
    let claims = draft.raw_claims.unwrap_or_else(|| draft.claims.to_string());
    let input = format!("{}.{}", encode(draft.header.to_string()), encode(claims));
    let signature = match draft.signing {
        Signing::Current | Signing::PersonalAccountsKey => key.rs256(input.as_bytes()),
        Signing::UnpublishedKey => KeyRing::unpublished().rs256(input.as_bytes()),
        Signing::Ps256 => key.ps256(input.as_bytes()),
        Signing::HmacWithClientSecret => hmac(context.client_secret, &input),
        Signing::BrokenHmac => flipped(hmac(context.client_secret, &input)),
        Signing::BrokenSignature => flipped(key.rs256(input.as_bytes())),
        Signing::BrokenEs256 => vec![0x5a; 64],
        Signing::None => Vec::new(),
    };
    format!("{input}.{}", encode(signature))
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn hmac(secret: &str, input: &str) -> Vec<u8> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    ring::hmac::sign(&key, input.as_bytes()).as_ref().to_vec()
}

fn flipped(mut signature: Vec<u8>) -> Vec<u8> {
    if let Some(byte) = signature.first_mut() {
        *byte ^= 1;
    }
    signature
}

/// A token that a client presented, taken apart but not verified.
pub(crate) struct Presented<'a> {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Presented<'a> {
    /// Takes a compact token apart; `None` if it is not one.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self {
            header: decode_json(header)?,
            claims: decode_json(claims)?,
            signed,
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Whether the signature is good by `key` (a PKCS#1 public key), by the header's PS256 or RS256.
    pub(crate) fn is_signed_by(&self, key: &[u8]) -> bool {
        let algorithm: &'static dyn signature::VerificationAlgorithm =
            match self.header.get("alg").and_then(Value::as_str) {
                Some("PS256") => &signature::RSA_PSS_2048_8192_SHA256,
                Some("RS256") => &signature::RSA_PKCS1_2048_8192_SHA256,
                _ => return false,
            };
        UnparsedPublicKey::new(algorithm, key).verify(self.signed.as_bytes(), &self.signature).is_ok()
    }

    /// A claim as text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A claim as seconds since the epoch.
    pub(crate) fn time(&self, name: &str) -> Option<i64> {
        self.claims.get(name).and_then(Value::as_i64)
    }
}

fn decode_json(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
