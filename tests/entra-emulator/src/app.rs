//! The registered application and how it proves who it is at the token endpoint.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use url::{Host, Url};

use crate::der;
use crate::errors::EntraError;
use crate::jwt::Presented;
use crate::options::Options;

/// `client_assertion_type` of RFC 7523 section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The audience of federated credentials (Microsoft: workload identity federation).
const TOKEN_EXCHANGE: &str = "api://AzureADTokenExchange";
/// The longest life of an assertion that is taken, in seconds.
const MAX_ASSERTION_LIFE: i64 = 24 * 3600;

/// What has been registered for the application; changes while the emulator runs.
#[derive(Default)]
pub(crate) struct App {
    pub(crate) secrets: Vec<Secret>,
    pub(crate) redirect_uris: Vec<String>,
    pub(crate) front_channel_logout_urls: Vec<String>,
    /// PKCS#1 public keys by thumbprint (`x5t`, `x5t#S256`) or key id.
    certificates: HashMap<String, Vec<u8>>,
    federated_tokens: HashSet<String>,
    /// Expiry of each assertion that was used, by `jti`.
    used_assertions: HashMap<String, i64>,
}

/// A client secret and whether it has expired.
pub(crate) struct Secret {
    pub(crate) value: String,
    pub(crate) expired: bool,
}

/// The credential that a request came with.
pub(crate) enum Credential<'a> {
    Secret(&'a str),
    Assertion(&'a str),
    Absent,
}

/// What an assertion is checked against.
pub(crate) struct AssertionContext<'a> {
    pub(crate) client_id: &'a str,
    /// Audiences that are taken: the token endpoint's URL and the tenant's issuer.
    pub(crate) audiences: &'a [String],
    pub(crate) now: i64,
}

impl App {
    /// The registration that an emulator starts with.
    pub(crate) fn new(options: &Options, client_secret: String) -> Self {
        let secret = Secret { value: client_secret, expired: false };
        Self {
            secrets: vec![secret],
            redirect_uris: options.redirect_uris.clone(),
            front_channel_logout_urls: options.front_channel_logout_urls.clone(),
            ..Self::default()
        }
    }

    /// Registers a certificate (PEM or DER) or a public key (PEM or DER `SubjectPublicKeyInfo`).
    ///
    /// Returns the SHA-256 thumbprint (`x5t#S256`), or `None` if there is no RSA key in it.
    pub(crate) fn register_certificate(&mut self, input: &[u8]) -> Option<String> {
        let der = der::from_pem_or_der(input)?;
        let key = der::rsa_public_key(&der)?;
        let sha1 = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
        let sha256 = ring::digest::digest(&ring::digest::SHA256, &der);
        let thumbprint = URL_SAFE_NO_PAD.encode(sha256);
        self.certificates.insert(URL_SAFE_NO_PAD.encode(sha1), key.clone());
        self.certificates.insert(thumbprint.clone(), key);
        Some(thumbprint)
    }

    /// Takes all certificates and keys away.
    pub(crate) fn clear_certificates(&mut self) {
        self.certificates.clear();
    }

    /// Trusts `token` as a federated credential.
    pub(crate) fn accept_federated_token(&mut self, token: &str) {
        self.federated_tokens.insert(token.to_owned());
    }

    /// Takes all federated credentials away.
    pub(crate) fn clear_federated_tokens(&mut self) {
        self.federated_tokens.clear();
    }

    /// Checks the credential of a request (RFC 6749 section 2.3, RFC 7523 section 3).
    ///
    /// # Errors
    /// The `invalid_client` codes of Entra, each by its cause.
    pub(crate) fn authenticate(
        &mut self,
        credential: &Credential<'_>,
        assertion_type: Option<&str>,
        context: &AssertionContext<'_>,
    ) -> Result<(), EntraError> {
        match credential {
            Credential::Absent => Err(EntraError::new(7000218)),
            Credential::Secret(secret) => self.check_secret(secret),
            Credential::Assertion(_) if assertion_type != Some(JWT_BEARER) => Err(EntraError::new(7000218)
                .detail("The request body must contain the following parameter: 'client_assertion_type' with the value 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'.")),
            Credential::Assertion(assertion) => self.check_assertion(assertion, context),
        }
    }

    fn check_secret(&self, presented: &str) -> Result<(), EntraError> {
        match self.secrets.iter().find(|secret| secret.value == presented) {
            None => Err(EntraError::new(7000215)),
            Some(secret) if secret.expired => Err(EntraError::new(7000222)),
            Some(_) => Ok(()),
        }
    }

    fn check_assertion(&mut self, assertion: &str, context: &AssertionContext<'_>) -> Result<(), EntraError> {
        if self.federated_tokens.contains(assertion) {
            return Ok(());
        }
        let presented = Presented::parse(assertion)
            .ok_or_else(|| EntraError::new(700027).detail("Client assertion is not a well formed JWT."))?;
        if presented.text("aud") == Some(TOKEN_EXCHANGE) {
            return Err(EntraError::new(700211));
        }
        let key = self.key_of(&presented).ok_or_else(|| EntraError::new(700027))?;
        if !presented.is_signed_by(&key) {
            return Err(EntraError::new(700027).detail("Client assertion failed signature validation."));
        }
        let expires = check_claims(&presented, context)?;
        let jti = presented.text("jti").filter(|jti| !jti.is_empty());
        let jti = jti.ok_or_else(|| EntraError::new(700027).detail("Client assertion must have a 'jti' claim."))?;
        self.used_assertions.retain(|_, expires| *expires > context.now);
        match self.used_assertions.insert(jti.to_owned(), expires) {
            None => Ok(()),
            Some(_) => Err(EntraError::new(700027).detail("Client assertion was used before.")),
        }
    }

    /// The registered key that the header points to, by certificate thumbprint or key id.
    fn key_of(&self, presented: &Presented<'_>) -> Option<Vec<u8>> {
        let named = ["x5t#S256", "x5t", "kid"].into_iter().find_map(|member| presented.header.get(member)?.as_str())?;
        self.certificates.get(named).cloned()
    }
}

/// Whom the assertion speaks of, to whom, and when (Microsoft: certificate credentials); returns `exp`.
fn check_claims(presented: &Presented<'_>, context: &AssertionContext<'_>) -> Result<i64, EntraError> {
    let subject_fits = ["iss", "sub"].into_iter().all(|name| presented.text(name) == Some(context.client_id));
    if !subject_fits {
        return Err(EntraError::new(700021));
    }
    let audience_fits = presented.text("aud").is_some_and(|aud| context.audiences.iter().any(|known| known == aud));
    if !audience_fits {
        return Err(EntraError::new(700023));
    }
    let begun = presented.time("nbf").is_none_or(|nbf| nbf <= context.now + 300);
    let expires = presented.time("exp").filter(|exp| *exp > context.now && *exp <= context.now + MAX_ASSERTION_LIFE);
    expires.filter(|_| begun).ok_or_else(|| EntraError::new(700024))
}

/// Reads HTTP Basic credentials whose parts are form-encoded (RFC 6749 section 2.3.1).
pub(crate) fn basic_credentials(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&format!("v={}", text.replace('&', "%26"))).ok()?;
    pairs.into_iter().next().map(|(_, value)| value)
}

/// Whether `requested` may be redirected to (Microsoft: redirect URI restrictions).
///
/// Exact and case-sensitive; of loopback hosts the port does not count. With nothing registered
/// every loopback URI fits.
pub(crate) fn redirect_uri_fits(registered: &[String], requested: &str) -> bool {
    let Some(url) = registrable(requested) else { return false };
    if registered.is_empty() {
        return is_loopback(&url);
    }
    registered.iter().any(|known| known == requested || is_loopback(&url) && same_but_port(known, &url))
}

/// The URI if Entra would let it be registered: https or loopback, at most 256 characters,
/// none of `! $ ' ( ) , ;`, no IPv6 loopback, no fragment.
fn registrable(uri: &str) -> Option<Url> {
    let url = Url::parse(uri).ok()?;
    let scheme_fits = url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url);
    let characters_fit = uri.len() <= 256 && !uri.contains(['!', '$', '\'', '(', ')', ',', ';', '#']);
    let host_fits = !matches!(url.host(), Some(Host::Ipv6(_)) | None);
    (scheme_fits && characters_fit && host_fits).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(_)) | None => false,
    }
}

fn same_but_port(registered: &str, requested: &Url) -> bool {
    let Ok(mut registered) = Url::parse(registered) else { return false };
    registered.set_port(requested.port()).is_ok() && registered == *requested
}
