//! The provider's errors in words: docs/requirements.tsv, E-30 and its table.

use std::collections::HashSet;

use crate::oidc::{Advice, CallbackFault, OidcError, ProviderError, Retry, TokenFault, Who};

fn words(error: &str, description: &str) -> ProviderError {
    ProviderError::from_callback(error, None, Some(description))
}

#[test]
fn e_30_microsofts_description_is_taken_apart() {
    let read = words(
        "access_denied",
        "AADSTS65004: User declined to consent to access the app. Trace ID: 0f-1 Correlation ID: 2c-3 Timestamp: 2026-11-24 10:00:00Z",
    );
    assert_eq!(read.aadsts, Some(65_004));
    assert_eq!(read.trace_id.as_deref(), Some("0f-1"));
    assert_eq!(read.correlation_id.as_deref(), Some("2c-3"));
    assert_eq!(read.timestamp.as_deref(), Some("2026-11-24 10:00:00Z"));
    let other = words("access_denied", "The user said no");
    assert_eq!((other.aadsts, other.trace_id), (None, None));
    assert_eq!(words("x", "AADSTS").aadsts, None);
    assert_eq!(words("x", "AADSTS99999999999999999999: x").aadsts, Some(999_999_999));
}

#[test]
fn the_number_improves_the_text_and_decides_nothing() {
    let denied = words("access_denied", "AADSTS50105: not assigned");
    assert_eq!(denied.advice().who, Who::Administrator);
    assert_eq!(denied.advice().retry, Retry::OtherAccount);
    assert_eq!(denied.reason(), "provider.access_denied");
    let unknown = words("access_denied", "AADSTS123456789: new in 2031");
    assert_eq!(unknown.advice().title, "Access was denied");
}

#[test]
fn every_number_of_the_table_has_its_own_words() {
    let general = words("made_up", "no number").advice();
    let numbers = [
        50_011, 700_016, 90_002, 50_194, 70_011, 28_002, 650_056, 65_005, 7_000_215, 7_000_222, 700_027, 7_000_218,
        700_025, 65_001, 65_004, 90_094, 90_095, 50_076, 50_079, 50_074, 50_078, 50_072, 50_158, 53_000, 53_001,
        53_002, 53_003, 53_004, 530_032, 50_131, 50_097, 50_173, 70_008, 700_082, 70_043, 70_000, 50_089, 54_005,
        501_481, 50_057, 50_034, 51_004, 50_020, 16_000, 90_072, 50_014, 50_105, 50_058, 90_033, 90_006, 90_090,
        90_024, 50_033, 50_087, 90_012, 50_196, 90_055,
    ];
    for number in numbers {
        let advice = words("made_up", &format!("AADSTS{number}: text")).advice();
        assert_ne!(advice, general, "{number}");
    }
}

#[test]
fn settings_are_named_where_settings_help() {
    let cases = [
        ("AADSTS50011: x", "redirect URI"),
        ("AADSTS7000222: x", "ENTRA_CLIENT_SECRET"),
        ("AADSTS90002: x", "ENTRA_TENANT_ID"),
        ("AADSTS700016: x", "ENTRA_CLIENT_ID"),
        ("AADSTS70011: x", "ENTRA_SCOPES"),
    ];
    for (description, expected) in cases {
        let advice = words("invalid_request", description).advice();
        assert!(advice.what_to_do.contains(expected), "{description}: {}", advice.what_to_do);
        assert_eq!((advice.who, advice.retry), (Who::Developer, Retry::None), "{description}");
    }
}

#[test]
fn s_13_texts_of_others_are_bounded_and_plain() {
    let read = words("a\r\nb\u{0}", &format!("\u{202e}x\u{200b}{}", "y".repeat(5000)));
    assert_eq!(read.error, "a  b");
    let description = read.description.expect("a description");
    assert!(description.chars().count() <= 500);
    assert!(description.chars().all(|character| !character.is_control() && character.is_ascii()));
}

#[test]
fn claims_challenges_are_objects_of_a_sane_size() {
    let body = |claims: &str| {
        let body = serde_json::json!({ "error": "interaction_required", "claims": claims });
        ProviderError::from_body(body.as_object().expect("an object")).expect("an error").claims
    };
    assert!(body(r#"{"access_token":{}}"#).is_some());
    assert_eq!(body("not json"), None);
    assert_eq!(body("[]"), None);
    assert_eq!(body(&format!(r#"{{"a":"{}"}}"#, "x".repeat(20_000))), None);
}

#[test]
fn all_advice_is_complete() {
    let errors = [
        OidcError::Callback(CallbackFault::State),
        OidcError::Callback(CallbackFault::Expired),
        OidcError::Callback(CallbackFault::CodeAndError),
        OidcError::Token(TokenFault::Nonce),
        OidcError::Token(TokenFault::Expired),
        OidcError::Token(TokenFault::TenantNotAllowed("x".to_owned())),
        OidcError::Token(TokenFault::PersonalAccount),
        OidcError::Token(TokenFault::AuthTime),
        OidcError::UserInfoSubject,
        OidcError::TokenResponse("x".to_owned()),
    ];
    let titles: HashSet<&str> = errors.iter().map(|error| complete(error.advice())).collect();
    assert!(titles.len() >= 8, "{titles:?}");
}

fn complete(advice: Advice) -> &'static str {
    for text in [advice.title, advice.what_happened, advice.what_to_do] {
        assert!(text.len() > 10 && !text.contains("  "), "{text:?}");
    }
    advice.title
}

#[test]
fn who_was_turned_away_is_told_from_what_went_wrong() {
    let provider = |error: &str| OidcError::Provider {
        endpoint: crate::oidc::Endpoint::Authorization,
        error: Box::new(words(error, "")),
    };
    assert!(provider("access_denied").is_denied());
    assert!(!provider("server_error").is_denied());
    assert!(provider("server_error").is_outage());
    assert!(!provider("invalid_client").is_outage());
    assert!(!OidcError::Token(TokenFault::Nonce).is_denied());
}
