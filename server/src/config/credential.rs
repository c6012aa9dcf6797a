//! How the application proves who it is: exactly one credential, readable and of the right kind when the server starts.

use std::fs;
use std::path::PathBuf;

use entra::config::ClientCredential;
use ring::signature::{KeyPair as _, RsaKeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::parse::Parsed;
use super::reader::Reader;

const SECRET: &str = "ENTRA_CLIENT_SECRET";
const SECRET_FILE: &str = "ENTRA_CLIENT_SECRET_FILE";
const CERTIFICATE: &str = "ENTRA_CLIENT_CERTIFICATE_FILE";
const KEY: &str = "ENTRA_CLIENT_KEY_FILE";
const FEDERATED: &str = "ENTRA_FEDERATED_TOKEN_FILE";
const NAMES: [&str; 5] = [SECRET, SECRET_FILE, CERTIFICATE, KEY, FEDERATED];

/// The one credential given.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<ClientCredential> {
    let given: Vec<&str> = NAMES.into_iter().filter(|name| reader.given(name).is_some()).collect();
    match given.as_slice() {
        [] => reader.refuse(NAMES, "missing; set one of them (the certificate and its key are one credential)"),
        [SECRET] => reader.parse(SECRET, |text| secret(text).map(ClientCredential::Secret)),
        [SECRET_FILE] => reader.parse(SECRET_FILE, |path| {
            secret(&read_text(path)?)?;
            Ok(ClientCredential::SecretFile(PathBuf::from(path)))
        }),
        [CERTIFICATE, KEY] => certificate(reader),
        [CERTIFICATE] | [KEY] => reader.refuse([CERTIFICATE, KEY], "go together; set both"),
        [FEDERATED] => reader.parse(FEDERATED, |path| {
            read_text(path)?;
            Ok(ClientCredential::FederatedTokenFile(PathBuf::from(path)))
        }),
        several => reader.refuse(several.iter().copied(), "only one credential can be used; keep one of them"),
    }
}

fn secret(text: &str) -> Parsed<SecretString> {
    if is_placeholder(text) {
        return Err("is an example; put the real value there".to_owned());
    }
    Ok(SecretString::from(text.to_owned()))
}

/// Whether `text` is what examples put where a secret belongs.
pub(super) fn is_placeholder(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace('_', "-");
    let is_bracketed = text.starts_with('<') && text.ends_with('>');
    is_bracketed || matches!(text.as_str(), "change-me" | "changeme" | "your-secret" | "your-client-secret")
}

/// The content of a file without surrounding blanks; never empty.
pub(super) fn read_text(path: &str) -> Parsed<Zeroizing<String>> {
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| unreadable(&error))?;
    match text.trim() {
        "" => Err("names an empty file".to_owned()),
        trimmed => Ok(Zeroizing::new(trimmed.to_owned())),
    }
}

fn unreadable(error: &std::io::Error) -> String {
    format!("names a file that cannot be read: {}", error.kind())
}

fn certificate(reader: &mut Reader<'_>) -> Option<ClientCredential> {
    let certificate = reader.parse(CERTIFICATE, |path| read_certificate(path).map(|der| (PathBuf::from(path), der)));
    let key = reader.parse(KEY, |path| read_key(path).map(|pair| (PathBuf::from(path), pair)));
    let ((certificate_file, der), (key_file, pair)) = (certificate?, key?);
    if !belong_together(&der, &pair) {
        return reader.refuse([CERTIFICATE, KEY], "the key is not the one of the certificate");
    }
    Some(ClientCredential::Certificate { certificate_file, key_file })
}

fn read_certificate(path: &str) -> Parsed<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(read_text(path)?.as_bytes())
        .map_err(|_| "must name a PEM file with -----BEGIN CERTIFICATE-----".to_owned())
}

fn read_key(path: &str) -> Parsed<RsaKeyPair> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(read_text(path)?.as_bytes())
        .map_err(|_| "must name a PEM file with -----BEGIN PRIVATE KEY----- (PKCS#8); `openssl pkcs8 -topk8 -nocrypt` converts others".to_owned())?;
    RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| "must name an RSA key of 2048 to 4096 bits".to_owned())
}

/// Whether the certificate holds the key's public half, which X.509 embeds as it is (RFC 3279, section 2.3.1).
fn belong_together(certificate: &CertificateDer<'_>, key: &RsaKeyPair) -> bool {
    let public = key.public_key().as_ref();
    certificate.windows(public.len()).any(|window| window == public)
}

/// `EXTRA_CA_FILE`: a file with at least one certificate.
pub(super) fn ca_file(path: &str) -> Parsed<PathBuf> {
    let content = fs::read(path).map_err(|error| unreadable(&error))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(PathBuf::from(path)),
        _ => Err("must name a PEM file with -----BEGIN CERTIFICATE-----".to_owned()),
    }
}
