//! Tokens of strangers: whatever comes in place of an ID token, a logout token or an access token
//! for the API is refused, unless it is the very token that the provider signed for this sign-in.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuzzing::Provider;
use libfuzzer_sys::fuzz_target;

static PROVIDER: LazyLock<Provider> = LazyLock::new(Provider::default);

/// Stands in the input for the true token.
const GENUINE: &str = "GENUINE";

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let text = if kind % 2 == 0 { String::from_utf8_lossy(data).into_owned() } else { compact(data) };
    match kind / 2 % 3 {
        0 => as_id_token(&text),
        1 => as_logout_token(&text),
        _ => as_access_token(&text),
    }
});

/// Header, claims and signature, separated by zero bytes, as a compact JWS (RFC 7515, section 7.1).
fn compact(data: &[u8]) -> String {
    let parts: Vec<String> = data.splitn(3, |byte| *byte == 0).map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    parts.join(".")
}

fn as_id_token(text: &str) {
    let begun = PROVIDER.begin();
    // Signing takes a thousand times as long as refusing.
    if !text.contains(GENUINE) {
        assert!(PROVIDER.finish(begun, text).is_err(), "accepted what the provider has not signed");
        return;
    }
    let genuine = PROVIDER.sign(&PROVIDER.good_claims(&begun));
    let text = text.replace(GENUINE, &genuine);
    let accepted = PROVIDER.finish(begun, &text).is_ok();
    assert_eq!(accepted, text == genuine, "accepted what the provider has not signed, or refused what it has");
}

fn as_logout_token(text: &str) {
    let outcome = PROVIDER.runtime.block_on(PROVIDER.client.verify_logout_token(text));
    assert!(outcome.is_err(), "nobody has signed a logout token");
}

fn as_access_token(text: &str) {
    let audiences = ["api://app".to_owned()];
    let verified = PROVIDER.client.verify_access_token(text, &audiences, "access_as_user");
    let outcome = PROVIDER.runtime.block_on(verified);
    assert!(outcome.is_err(), "nobody has signed an access token");
}
