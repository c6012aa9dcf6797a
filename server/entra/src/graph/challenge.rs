//! Claims challenges: Graph wants a token that was got by a stronger sign-in (Microsoft identity
//! platform, "Claims challenges, claims requests and client capabilities").

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

use crate::oidc::claims_challenge;

/// The longest header that is read.
const MAX_HEADER: usize = 8 * 1024;

/// The claims challenge in any of the `WWW-Authenticate` headers, decoded: a JSON object. `None`
/// without one that can be read; the answer is then an ordinary 401.
pub(super) fn claims(headers: &HeaderMap) -> Option<String> {
    headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).find_map(claims_in)
}

fn claims_in(header: &str) -> Option<String> {
    if parameter(header, "error")? != "insufficient_claims" || header.len() > MAX_HEADER {
        return None;
    }
    claims_challenge(&decode(parameter(header, "claims")?)?)
}

/// The value of `name="…"`; names are compared whole.
fn parameter<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.match_indices(name).find_map(|(at, _)| {
        let before = header.get(..at)?.chars().next_back();
        let is_whole = before.is_none_or(|character| matches!(character, ' ' | ',' | '\t'));
        let value = header.get(at + name.len()..)?.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
        value.split_once('"').map(|(value, _)| value).filter(|_| is_whole)
    })
}

/// Base64 in either alphabet, padded or not: services differ.
fn decode(text: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { alphabet::URL_SAFE } else { alphabet::STANDARD };
    let bytes = GeneralPurpose::new(&alphabet, config).decode(text).ok()?;
    String::from_utf8(bytes).ok()
}
