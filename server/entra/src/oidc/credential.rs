//! How this application proves at the token endpoint who it is: a secret, a certificate or a
//! federated token (RFC 6749, section 2.3.1; RFC 7523, section 2.2).
//!
//! Files are read on each use, so that a rotated secret, certificate or token serves at once and
//! without a restart. Assertions are signed with `ring`, never with the `rsa` crate, whose private
//! key operations leak timing (RUSTSEC-2023-0071).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use openidconnect::ClientSecret;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;
use zeroize::Zeroizing;

use super::error::{CredentialFault, OidcError};
use crate::clock::Clock;
use crate::config::ClientCredential;
use crate::crypto::{digest, random_token};

/// `client_assertion_type` of a JWT (RFC 7523, section 2.2).
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How long an assertion is good for; Microsoft advises 5 to 10 minutes.
const ASSERTION_LIFETIME: Duration = Duration::minutes(5);

/// The most bytes read of a credential file.
const MAX_FILE: u64 = 64 * 1024;

/// What is shown to the token endpoint.
pub(crate) enum ClientProof {
    /// The shared secret.
    Secret(ClientSecret),
    /// A signed assertion.
    Assertion(String),
}

/// The application's credential.
pub(crate) struct Credential {
    client_id: String,
    source: ClientCredential,
    clock: Clock,
    /// The parsed key and the digest of the files it was read from: parsing takes longer than signing.
    signer: Mutex<Option<(Vec<u8>, Arc<Signer>)>>,
}

/// A private key and the thumbprint of its certificate.
struct Signer {
    key: RsaKeyPair,
    thumbprint: String,
}

impl Credential {
    pub(crate) fn new(client_id: String, source: ClientCredential, clock: Clock) -> Self {
        Self { client_id, source, clock, signer: Mutex::new(None) }
    }

    /// What to show at `token_endpoint` now.
    ///
    /// # Errors
    /// [`OidcError::Credential`] names the setting whose file cannot be used.
    pub(crate) async fn proof(&self, token_endpoint: &Url) -> Result<ClientProof, OidcError> {
        match &self.source {
            ClientCredential::Secret(secret) => Ok(secret_proof(secret.expose_secret())),
            ClientCredential::SecretFile(path) => {
                let secret = read_text(path, "ENTRA_CLIENT_SECRET_FILE").await?;
                Ok(secret_proof(&secret))
            }
            ClientCredential::FederatedTokenFile(path) => {
                let token = read_text(path, "ENTRA_FEDERATED_TOKEN_FILE").await?;
                Ok(ClientProof::Assertion(token.to_string()))
            }
            ClientCredential::Certificate { certificate_file, key_file } => {
                let certificate = read_text(certificate_file, "ENTRA_CLIENT_CERTIFICATE_FILE").await?;
                let key = read_text(key_file, "ENTRA_CLIENT_KEY_FILE").await?;
                let signer = self.signer(&certificate, &key)?;
                Ok(ClientProof::Assertion(self.assertion(&signer, token_endpoint)?))
            }
        }
    }

    /// The signer of these files, parsed anew only if they changed.
    fn signer(&self, certificate: &str, key: &str) -> Result<Arc<Signer>, CredentialFault> {
        let files = digest(Zeroizing::new([certificate, key].join("\n")).as_bytes());
        let mut known = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, signer)) = known.as_ref()
            && *read == files
        {
            return Ok(Arc::clone(signer));
        }
        let signer = Arc::new(Signer::read(certificate, key)?);
        *known = Some((files, Arc::clone(&signer)));
        Ok(signer)
    }

    /// A fresh assertion (Microsoft identity platform, "Certificate credentials").
    fn assertion(&self, signer: &Signer, token_endpoint: &Url) -> Result<String, OidcError> {
        let now = self.clock.now();
        let mut audience = token_endpoint.clone();
        audience.set_query(None);
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": signer.thumbprint });
        let claims = json!({
            "aud": audience.as_str(),
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": random_token()?,
            "iat": now.timestamp(),
            "nbf": now.timestamp(),
            "exp": (now + ASSERTION_LIFETIME).timestamp(),
        });
        Ok(signer.sign(&header.to_string(), &claims.to_string())?)
    }
}

impl Signer {
    fn read(certificate: &str, key: &str) -> Result<Self, CredentialFault> {
        let bad_certificate =
            CredentialFault::Unusable { setting: "ENTRA_CLIENT_CERTIFICATE_FILE", expected: "a certificate in PEM" };
        let bad_key = || CredentialFault::Unusable {
            setting: "ENTRA_CLIENT_KEY_FILE",
            expected: "an RSA private key of 2,048 bits or more in PKCS#8 PEM, without a passphrase",
        };
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| bad_certificate)?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).map_err(|_| bad_key())?;
        let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| bad_key())?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(certificate.as_ref()));
        Ok(Self { key, thumbprint })
    }

    /// A JWS in compact form, PS256 (RFC 7518, section 3.5).
    fn sign(&self, header: &str, claims: &str) -> Result<String, CredentialFault> {
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(&RSA_PSS_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)
            .map_err(|_| CredentialFault::Signing)?;
        Ok(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn secret_proof(secret: &str) -> ClientProof {
    ClientProof::Secret(ClientSecret::new(secret.to_owned()))
}

/// The text of a small file, without white space around it; empty counts as unreadable.
async fn read_text(path: &Path, setting: &'static str) -> Result<Zeroizing<String>, CredentialFault> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_bounded(&path)).await;
    match read {
        Ok(Ok(text)) if !text.trim().is_empty() => Ok(Zeroizing::new(text.trim().to_owned())),
        _ => Err(CredentialFault::Unreadable(setting)),
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read as _;
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}
