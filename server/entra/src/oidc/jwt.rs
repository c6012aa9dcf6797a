//! A signed token before its signature is checked: its shape, its header and its claims.
//!
//! Stricter than the parser of `openidconnect`, which reads the same text afterwards: duplicate
//! members, text that is not base64url and dates of another type end here (RFC 8725, section 3).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::error::TokenFault;

/// The longest token that is looked at.
const MAX_TOKEN: usize = 64 * 1024;

/// The longest key id that is looked up.
const MAX_KEY_ID: usize = 256;

/// Marks the error of a duplicate member, so that it can be told from other malformed JSON.
const DUPLICATE: &str = "duplicate member";

/// A token in compact serialization (RFC 7515, section 3.1), taken apart. Nothing in it is proven.
pub(crate) struct UnverifiedToken<'a> {
    /// What the signature is over.
    pub(crate) signing_input: &'a str,
    /// The signature.
    pub(crate) signature: Vec<u8>,
    /// `kid`: the name of the key, chosen by whoever made the token.
    pub(crate) key_id: Option<String>,
    /// `typ`, in lower case without `application/`.
    pub(crate) kind: Option<String>,
    /// The claims.
    pub(crate) claims: Map<String, Value>,
}

impl<'a> UnverifiedToken<'a> {
    /// Takes `text` apart.
    ///
    /// # Errors
    /// [`TokenFault`] for what is no RS256 JWS in compact form, or has ambiguous contents.
    pub(crate) fn parse(text: &'a str) -> Result<Self, TokenFault> {
        if text.len() > MAX_TOKEN {
            return Err(TokenFault::TooLong);
        }
        let (signing_input, signature) = split_compact(text)?;
        let (header, claims) = signing_input.split_once('.').ok_or(TokenFault::Malformed)?;
        let header = decode_object(header)?;
        check_header(&header)?;
        Ok(Self {
            signing_input,
            signature: decode(signature)?,
            key_id: key_id(&header)?,
            kind: kind(&header)?,
            claims: decode_object(claims)?,
        })
    }

    /// A required claim that is text and not empty.
    pub(crate) fn required_text(&self, name: &'static str) -> Result<&str, TokenFault> {
        match self.claims.get(name) {
            None => Err(TokenFault::Missing(name)),
            Some(Value::String(text)) if !text.is_empty() => Ok(text),
            Some(_) => Err(TokenFault::WrongType(name)),
        }
    }

    /// A claim that is text if it is there.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&str>, TokenFault> {
        match self.claims.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(TokenFault::WrongType(name)),
        }
    }

    /// A required date.
    pub(crate) fn required_time(&self, name: &'static str) -> Result<DateTime<Utc>, TokenFault> {
        self.optional_time(name)?.ok_or(TokenFault::Missing(name))
    }

    /// A date (RFC 7519, section 2, `NumericDate`), in whole seconds. A date of another type is
    /// refused and never taken for an absent one.
    pub(crate) fn optional_time(&self, name: &'static str) -> Result<Option<DateTime<Utc>>, TokenFault> {
        let Some(value) = self.claims.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_i64().filter(|seconds| *seconds >= 0);
        let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        time.map(Some).ok_or(TokenFault::WrongType(name))
    }

    /// The audiences (RFC 7519, section 4.1.3): a text, or a list of texts.
    pub(crate) fn audiences(&self) -> Result<Vec<&str>, TokenFault> {
        match self.claims.get("aud") {
            None => Err(TokenFault::Missing("aud")),
            Some(Value::String(audience)) => Ok(vec![audience]),
            Some(Value::Array(audiences)) => {
                audiences.iter().map(|audience| audience.as_str().ok_or(TokenFault::WrongType("aud"))).collect()
            }
            Some(_) => Err(TokenFault::WrongType("aud")),
        }
    }
}

/// The signing input and the signature of a JWS in compact form.
fn split_compact(text: &str) -> Result<(&str, &str), TokenFault> {
    match text.bytes().filter(|byte| *byte == b'.').count() {
        2 => text.rsplit_once('.').ok_or(TokenFault::Malformed),
        4 => Err(TokenFault::Encrypted),
        _ => Err(TokenFault::Malformed),
    }
}

/// Only RS256, nothing critical, no encryption (RFC 8725, sections 3.1 and 3.10).
fn check_header(header: &Map<String, Value>) -> Result<(), TokenFault> {
    if header.contains_key("enc") {
        return Err(TokenFault::Encrypted);
    }
    if header.contains_key("crit") {
        return Err(TokenFault::Critical);
    }
    match header.get("alg").and_then(Value::as_str) {
        Some("RS256") => Ok(()),
        Some(_) => Err(TokenFault::Algorithm),
        None => Err(TokenFault::Malformed),
    }
}

/// `kid`, which is hostile input: bounded, printable ASCII.
fn key_id(header: &Map<String, Value>) -> Result<Option<String>, TokenFault> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) if is_key_id(id) => Ok(Some(id.clone())),
        Some(_) => Err(TokenFault::UnknownKey),
    }
}

/// Whether `id` can be the name of a key at all.
fn is_key_id(id: &str) -> bool {
    (1..=MAX_KEY_ID).contains(&id.len()) && id.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// `typ` without the `application/` that may be left out (RFC 7515, section 4.1.9).
fn kind(header: &Map<String, Value>) -> Result<Option<String>, TokenFault> {
    match header.get("typ") {
        None => Ok(None),
        Some(Value::String(kind)) => {
            let kind = kind.to_ascii_lowercase();
            Ok(Some(kind.strip_prefix("application/").unwrap_or(&kind).to_owned()))
        }
        Some(_) => Err(TokenFault::Kind),
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)
}

fn decode_object(part: &str) -> Result<Map<String, Value>, TokenFault> {
    parse_object(&decode(part)?)
}

/// A JSON object in which no member, at any depth, occurs twice.
///
/// # Errors
/// [`TokenFault::DuplicateMember`] or [`TokenFault::Malformed`].
pub(crate) fn parse_object(json: &[u8]) -> Result<Map<String, Value>, TokenFault> {
    match serde_json::from_slice::<StrictValue>(json) {
        Ok(StrictValue(Value::Object(members))) => Ok(members),
        Err(error) if error.to_string().starts_with(DUPLICATE) => Err(TokenFault::DuplicateMember),
        Ok(_) | Err(_) => Err(TokenFault::Malformed),
    }
}

/// A JSON value read with the rule that members are unique, which `serde_json` alone does not keep.
struct StrictValue(Value);

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(StrictValue(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, StrictValue(value))) = members.next_entry::<String, StrictValue>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(object))
    }
}

/// Whether `text` is a GUID in lower case with hyphens, as Entra writes them.
pub(crate) fn is_guid(text: &str) -> bool {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.as_bytes().iter().all(is_hex))
}
