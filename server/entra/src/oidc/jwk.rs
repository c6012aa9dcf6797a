//! A provider's RSA key as `openidconnect` wants one (RFC 7517; RFC 7518, section 6.3), with `ring` behind it: the
//! library's own goes by `rsa`, which takes ten times as long.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKeyType, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKey, JsonWebKeyAlgorithm, JsonWebKeyId, SignatureVerificationError};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::crypto::digest;

const ONLY_RS256: &str = "only RS256 is verified";

/// An RSA public key that verifies RS256 signatures, and nothing else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RsaKey {
    kid: Option<JsonWebKeyId>,
    /// Modulus, big-endian without leading zeros.
    n: Vec<u8>,
    /// Exponent, likewise.
    e: Vec<u8>,
}

impl RsaKey {
    /// Reads a JSON Web Key; `None` when its numbers are missing or malformed.
    pub(crate) fn read(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let kid = text("kid").map(|kid| JsonWebKeyId::new(kid.to_owned()));
        Some(Self { kid, n: number(text("n")?)?, e: number(text("e")?)? })
    }

    /// How long the modulus is, in bits.
    pub(crate) fn bits(&self) -> usize {
        self.n.len() * 8 - self.n.first().map_or(0, |byte| byte.leading_zeros() as usize)
    }
}

/// The bytes of a `Base64urlUInt` without leading zeros, which RFC 7518, section 2 forbids and some providers send.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

impl JsonWebKey for RsaKey {
    type KeyUse = CoreJsonWebKeyUse;
    type SigningAlgorithm = CoreJwsSigningAlgorithm;

    fn key_id(&self) -> Option<&JsonWebKeyId> {
        self.kid.as_ref()
    }

    fn key_type(&self) -> &CoreJsonWebKeyType {
        &CoreJsonWebKeyType::RSA
    }

    fn key_use(&self) -> Option<&CoreJsonWebKeyUse> {
        Some(&CoreJsonWebKeyUse::Signature)
    }

    fn signing_alg(&self) -> JsonWebKeyAlgorithm<&CoreJwsSigningAlgorithm> {
        JsonWebKeyAlgorithm::Algorithm(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256)
    }

    /// No symmetric key verifies anything: this one is empty.
    fn new_symmetric(_key: Vec<u8>) -> Self {
        Self { kid: None, n: Vec::new(), e: Vec::new() }
    }

    fn verify_signature(
        &self,
        algorithm: &CoreJwsSigningAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureVerificationError> {
        if *algorithm != CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256 {
            return Err(SignatureVerificationError::DisallowedAlg(ONLY_RS256.to_owned()));
        }
        RsaPublicKeyComponents { n: &self.n, e: &self.e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| SignatureVerificationError::CryptoError("bad signature".to_owned()))
    }

    fn hash_bytes(&self, bytes: &[u8], algorithm: &CoreJwsSigningAlgorithm) -> Result<Vec<u8>, String> {
        match algorithm {
            CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256 => Ok(digest(bytes)),
            _ => Err(ONLY_RS256.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::testing::Key;

    /// The key as a provider publishes it.
    fn published(key: Key) -> RsaKey {
        RsaKey::read(&key.jwk()).expect("a key")
    }

    #[test]
    fn rs256_is_verified_and_nothing_else() {
        let (message, rs256) = (b"header.claims".as_slice(), CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256);
        let (key, signature) = (published(Key::A), Key::A.sign(message));
        assert!(key.verify_signature(&rs256, message, &signature).is_ok());
        assert!(key.verify_signature(&rs256, b"header.others", &signature).is_err());
        assert!(published(Key::B).verify_signature(&rs256, message, &signature).is_err());
        assert!(RsaKey::new_symmetric(vec![1; 32]).verify_signature(&rs256, message, &signature).is_err());
        for other in [CoreJwsSigningAlgorithm::RsaSsaPssSha256, CoreJwsSigningAlgorithm::HmacSha256] {
            assert!(key.verify_signature(&other, message, &signature).is_err());
        }
    }

    #[test]
    fn a_modulus_may_have_leading_zeros() {
        let mut jwk = Key::A.jwk();
        let padded = [vec![0], published(Key::A).n].concat();
        jwk["n"] = URL_SAFE_NO_PAD.encode(padded).into();
        let key = RsaKey::read(&jwk).expect("a key");
        let signature = Key::A.sign(b"message");
        let rs256 = CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256;
        assert!(key.verify_signature(&rs256, b"message", &signature).is_ok());
    }
}
