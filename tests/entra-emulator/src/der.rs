//! The little ASN.1 DER that certificates need: writing a self-signed one, reading a public key out of one.
//!
//! Enough for the emulator's own keys (`x5c`, `x5t`) and for the certificates that clients
//! register (RFC 5280 section 4.1); not a general parser.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const UTF8_STRING: u8 = 0x0c;
const EXPLICIT_0: u8 = 0xa0;

/// sha256WithRSAEncryption (1.2.840.113549.1.1.11) with its NULL parameters.
const SHA256_WITH_RSA: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];
/// The attribute type commonName (2.5.4.3).
const COMMON_NAME: &[u8] = &[0x06, 0x03, 0x55, 0x04, 0x03];

/// One DER value: tag, length, content.
fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend(length(content.len()));
    out.extend_from_slice(content);
    out
}

/// DER's definite length: short form below 128, else the count of length bytes first.
fn length(length: usize) -> Vec<u8> {
    let significant: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    match significant.as_slice() {
        [] => vec![0],
        [short] if *short < 0x80 => vec![*short],
        long => {
            let count = u8::try_from(long.len()).unwrap_or(8);
            [&[0x80 | count], long].concat()
        }
    }
}

/// A self-signed certificate for `public_key` (a DER `SubjectPublicKeyInfo`), good until 2049.
///
/// `sign` makes an RSA PKCS#1 v1.5 signature with SHA-256 over what it is given.
pub(crate) fn self_signed(common_name: &str, public_key: &[u8], sign: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let attribute = value(SEQUENCE, &[COMMON_NAME, &value(UTF8_STRING, common_name.as_bytes())].concat());
    let name = value(SEQUENCE, &value(SET, &attribute));
    let validity = value(SEQUENCE, &[value(UTC_TIME, b"200101000000Z"), value(UTC_TIME, b"491231235959Z")].concat());
    let body = [
        value(EXPLICIT_0, &value(INTEGER, &[2])),
        value(INTEGER, &[1]),
        SHA256_WITH_RSA.to_vec(),
        name.clone(),
        validity,
        name,
        public_key.to_vec(),
    ];
    let body = value(SEQUENCE, &body.concat());
    let signature = [vec![0], sign(&body)].concat();
    value(SEQUENCE, &[body, SHA256_WITH_RSA.to_vec(), value(BIT_STRING, &signature)].concat())
}

/// Splits the first DER value off `input`: (tag, content, rest).
fn split(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        let length =
            bytes.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The values inside a constructed value's content, each with its tag.
fn children(mut content: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let Some((tag, inner, rest)) = split(content) {
        found.push((tag, inner));
        content = rest;
    }
    found
}

/// The PKCS#1 `RSAPublicKey` (what `ring` verifies with) inside a DER `SubjectPublicKeyInfo`'s content.
fn key_of_public_key_info(content: &[u8]) -> Option<Vec<u8>> {
    match children(content).as_slice() {
        [(SEQUENCE, _), (BIT_STRING, bits)] => bits.split_first().map(|(_, key)| key.to_vec()),
        _ => None,
    }
}

/// The PKCS#1 public key inside `input`: a DER certificate or a DER `SubjectPublicKeyInfo`.
pub(crate) fn rsa_public_key(input: &[u8]) -> Option<Vec<u8>> {
    let (_, outer, _) = split(input)?;
    if let Some(key) = key_of_public_key_info(outer) {
        return Some(key);
    }
    let (_, body, _) = split(outer)?;
    // subjectPublicKeyInfo is the only field of a certificate's body that has this shape.
    children(body).into_iter().find_map(|(tag, content)| {
        let fits = tag == SEQUENCE;
        fits.then(|| key_of_public_key_info(content)).flatten()
    })
}

/// The first block of a PEM text as DER; input without PEM armour is taken as DER itself.
pub(crate) fn from_pem_or_der(input: &[u8]) -> Option<Vec<u8>> {
    let Some(text) = std::str::from_utf8(input).ok().filter(|text| text.contains("-----BEGIN ")) else {
        return Some(input.to_vec());
    };
    let base64: String = text
        .lines()
        .skip_while(|line| !line.starts_with("-----BEGIN "))
        .skip(1)
        .take_while(|line| !line.starts_with("-----END "))
        .map(str::trim)
        .collect();
    STANDARD.decode(base64).ok()
}
