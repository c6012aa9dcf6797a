//! The ID token: each claim, the header, the form.

use entra_emulator::{Signing, TokenEdit};
use serde_json::{Map, Value, json};

use crate::case::Case;
use crate::optional::JWE;
use crate::setup::{Setup, appended, without};

pub(crate) fn all() -> Vec<Case> {
    let groups = [claims(), dates(), types_of_dates(), headers(), keys_brought_along(), forms()];
    groups.into_iter().flatten().collect()
}

fn refused(id: &str, edit: TokenEdit, reason: &'static str) -> Case {
    Setup::Entra.refuses_token(id, edit, reason)
}

fn accepted(id: &str, edit: TokenEdit) -> Case {
    Setup::Entra.accepts(id, |app| app.emulator.control().edit_id_token(None, edit))
}

fn claims() -> Vec<Case> {
    let set = |claims: Value| TokenEdit::claims(claims);
    vec![
        refused("token-iss-without-version", v1_issuer(), "id_token.bad_iss"),
        refused("token-iss-of-attacker", set(json!({"iss": "https://attacker.example/v2.0"})), "id_token.bad_iss"),
        refused("token-iss-empty", set(json!({"iss": ""})), "id_token.wrong_type"),
        refused("token-aud-empty-list", set(json!({"aud": []})), "id_token.bad_aud"),
        refused("token-aud-number", set(json!({"aud": 1})), "id_token.wrong_type"),
        refused("token-azp-other", set(json!({"azp": "another-client"})), "id_token.bad_azp"),
        accepted("token-azp-own", own_party()),
        refused("token-sub-empty", set(json!({"sub": ""})), "id_token.wrong_type"),
        refused("token-nonce-number", set(json!({"nonce": 1})), "id_token.wrong_type"),
        refused("token-nonce-empty", set(json!({"nonce": ""})), "id_token.bad_nonce"),
        refused("token-at_hash-other", set(json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"})), "id_token.bad_at_hash"),
        refused("token-tid-other", set(json!({"tid": "11111111-1111-4111-8111-111111111111"})), "id_token.bad_iss"),
        refused("token-tid-missing", without("tid"), "id_token.missing_tid"),
        refused("token-oid-missing", without("oid"), "id_token.missing_oid"),
        refused("token-oid-no-guid", set(json!({"oid": "member1@contoso.example"})), "id_token.bad_oid"),
    ]
}

/// The issuer of v1.0 tokens: no `/v2.0` at the end.
fn v1_issuer() -> TokenEdit {
    TokenEdit::with(|_, claims| {
        let issuer = claims["iss"].as_str().expect("an issuer").trim_end_matches("/v2.0").to_owned();
        claims["iss"] = issuer.into();
    })
}

fn own_party() -> TokenEdit {
    TokenEdit::with(|_, claims| claims["azp"] = claims["aud"].clone())
}

/// `claim` so many seconds from when the token was issued.
fn at(claim: &'static str, seconds: i64) -> TokenEdit {
    TokenEdit::with(move |_, claims| {
        let issued = claims["iat"].as_i64().expect("a date");
        claims[claim] = (issued + seconds).into();
    })
}

fn dates() -> Vec<Case> {
    vec![
        accepted("token-exp-within-leeway", at("exp", -60)),
        accepted("token-nbf-within-leeway", at("nbf", 60)),
        refused("token-nbf-in-the-future", at("nbf", 301), "id_token.not_yet_valid"),
        accepted("token-nbf-missing", without("nbf")),
        accepted("token-iat-within-leeway", at("iat", 60)),
        refused("token-iat-in-the-future", at("iat", 301), "id_token.bad_iat"),
        refused("token-iat-of-yesterday", at("iat", -86_400), "id_token.bad_iat"),
    ]
}

/// K-14: a date of another type is never taken for an absent one.
fn types_of_dates() -> Vec<Case> {
    let wrong = [
        ("text", json!("1790003600")),
        ("float", json!(1_790_003_600.5)),
        ("null", json!(null)),
        ("list", json!([1_790_003_600])),
        ("huge", json!(9_223_372_036_854_775_808_u64)),
    ];
    let case = |claim: &str, (name, value): &(&str, Value)| {
        let set_claims = Map::from_iter([(claim.to_owned(), value.clone())]);
        let edit = TokenEdit { set_claims, ..TokenEdit::default() };
        refused(&format!("token-{claim}-as-{name}"), edit, "id_token.wrong_type")
    };
    ["exp", "nbf", "iat"].iter().flat_map(|claim| wrong.iter().map(move |value| case(claim, value))).collect()
}

fn headers() -> Vec<Case> {
    let header = |header: Value| TokenEdit::header(header);
    vec![
        refused("token-typ-at+jwt", header(json!({"typ": "at+jwt"})), "id_token.bad_typ"),
        refused("token-typ-logout+jwt", header(json!({"typ": "logout+jwt"})), "id_token.bad_typ"),
        accepted("token-typ-missing", header(json!({"typ": null}))),
        refused("token-crit", header(json!({"crit": ["exp"], "exp": 1})), "id_token.crit"),
        refused("token-alg-none", TokenEdit::signing(Signing::None), "id_token.bad_alg"),
        refused("token-alg-hs256-by-secret", TokenEdit::signing(Signing::HmacWithClientSecret), "id_token.bad_alg"),
        refused("token-alg-ps256", TokenEdit::signing(Signing::Ps256), "id_token.bad_alg"),
        refused("token-alg-lower-case", header(json!({"alg": "rs256"})), "id_token.bad_alg"),
        refused("token-alg-missing", no_algorithm(), "id_token.malformed"),
        refused(
            "token-signature-of-another-key",
            TokenEdit::signing(Signing::UnpublishedKey),
            "id_token.bad_signature",
        ),
        refused("token-kid-unknown", header(json!({"kid": "unknown"})), "id_token.unknown_key"),
        refused("token-kid-path", header(json!({"kid": "../../x"})), "id_token.unknown_key"),
        refused("token-kid-sql", header(json!({"kid": "' OR 1=1"})), "id_token.unknown_key"),
        refused("token-kid-8-kb", header(json!({"kid": "k".repeat(8192)})), "id_token.unknown_key"),
        refused("token-kid-nul", header(json!({"kid": "k\u{0}"})), "id_token.unknown_key"),
    ]
}

fn no_algorithm() -> TokenEdit {
    TokenEdit { without_header: vec!["alg".to_owned()], ..TokenEdit::default() }
}

/// S-50: keys that a token names or holds itself, to go with a signature by an unknown key. The
/// address is one that must see no call.
fn keys_brought_along() -> Vec<Case> {
    let brings = |id: &str, name: &'static str, value: fn(&str) -> Value| {
        Setup::Entra.refuses(
            id,
            move |app| {
                let address = format!("{}/_claim-source/keys", app.emulator.base_url());
                let header = Map::from_iter([(name.to_owned(), value(&address))]);
                let edit = TokenEdit { header, signing: Some(Signing::UnpublishedKey), ..TokenEdit::default() };
                app.emulator.control().edit_id_token(None, edit);
            },
            "id_token.bad_signature",
        )
    };
    vec![
        brings("token-jku", "jku", |address| address.into()),
        brings("token-x5u", "x5u", |address| address.into()),
        brings("token-jwk", "jwk", |_| json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "sig"})),
    ]
}

fn forms() -> Vec<Case> {
    let text = |text: String| TokenEdit { replace: Some(text), ..TokenEdit::default() };
    let suffix = |suffix: &str| TokenEdit { suffix: suffix.to_owned(), ..TokenEdit::default() };
    vec![
        refused("token-jwe", text(JWE.to_owned()), "id_token.encrypted"),
        refused("token-json-serialisation", json_serialisation(), "id_token.malformed"),
        refused("token-trailing-bytes", suffix("\n"), "id_token.malformed"),
        refused("token-padded", suffix("=="), "id_token.malformed"),
        refused("token-four-parts", suffix(".x"), "id_token.malformed"),
        refused("token-no-base64url", suffix("+/"), "id_token.malformed"),
        refused("token-too-long", suffix(&"A".repeat(70_000)), "id_token.too_long"),
        refused("token-empty", text(String::new()), "id_token.malformed"),
        refused("token-claim-twice", twice(), "id_token.duplicate_member"),
        refused("token-signature-missing", no_signature(), "id_token.bad_signature"),
        refused("token-iss-with-blank", appended("iss", " "), "id_token.bad_iss"),
    ]
}

fn json_serialisation() -> TokenEdit {
    TokenEdit { json_serialisation: true, ..TokenEdit::default() }
}

/// A name twice, with everything else absent: the first of the two faults counts.
fn twice() -> TokenEdit {
    TokenEdit { raw_claims: Some(r#"{"sub":"one","sub":"two"}"#.to_owned()), ..TokenEdit::default() }
}

/// `alg` RS256 and an empty signature.
fn no_signature() -> TokenEdit {
    TokenEdit { header: Map::from_iter([("alg".to_owned(), "RS256".into())]), ..TokenEdit::signing(Signing::None) }
}
