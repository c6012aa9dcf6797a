//! ID token validation: OpenID Connect Core 1.0, section 3.1.3.7, and what Entra ID adds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use serde_json::{Value, json};

use crate::config::ProviderConfig;
use crate::crypto::digest;
use crate::oidc::testing::{
    ACCESS_TOKEN, AUTHORITY, Bench, CLIENT_ID, GENERIC_ISSUER, Key, OID, OTHER_TENANT, PERSONAL, REDIRECT, TENANT,
    Token, entra, generic, multi, single,
};
use crate::oidc::{BeginOptions, Prompt};

fn multi_tenant(allowed: &[&str]) -> Bench {
    Bench::with_config(entra(multi(allowed)))
}

#[tokio::test]
async fn s_15_a_good_token_signs_in() {
    let signed_in = Bench::entra().sign_in(|_| ()).await.expect("signs in");
    assert_eq!(signed_in.identity.realm, TENANT);
    assert_eq!(signed_in.identity.subject, OID);
    assert_eq!(signed_in.claims.upn(), Some("ada@contoso.example"));
    assert_eq!(signed_in.claims.name(), Some("Ada Lovelace"));
    assert_eq!(signed_in.sid.as_deref(), Some("session-1"));
    assert_eq!(signed_in.login_hint.as_deref(), Some("opaque-hint"));
}

#[tokio::test]
async fn s_15_a_good_token_of_another_provider_signs_in() {
    let signed_in = Bench::with_config(generic()).sign_in(|_| ()).await.expect("signs in");
    assert_eq!(signed_in.identity.realm, GENERIC_ISSUER);
    assert_eq!(signed_in.identity.subject, "pairwise-subject");
}

#[tokio::test]
async fn s_15_each_single_edit_is_refused_for_its_own_reason() {
    type Edit = fn(&mut Token);
    let edits: [(&str, Edit, &str); 19] = [
        ("2 iss", |t| t.set("iss", format!("{AUTHORITY}/{TENANT}/v2.01")), "id_token.bad_iss"),
        ("2 no iss", |t| t.remove("iss"), "id_token.missing_claim"),
        ("3 aud", |t| t.set("aud", format!("{CLIENT_ID}1")), "id_token.bad_aud"),
        ("3 no aud", |t| t.remove("aud"), "id_token.missing_claim"),
        ("3 empty aud", |t| t.set("aud", json!([])), "id_token.bad_aud"),
        ("3 other aud", |t| t.set("aud", json!([CLIENT_ID, "other"])), "id_token.bad_aud"),
        ("3 aud of another type", |t| t.set("aud", json!([CLIENT_ID, 7])), "id_token.wrong_type"),
        ("5 azp", |t| t.set("azp", "other"), "id_token.bad_azp"),
        ("6 signature of another key", |t| t.key = Key::B, "id_token.bad_signature"),
        ("6 changed claims", |t| t.tamper = swap_claims, "id_token.bad_signature"),
        ("6 no signature", |t| t.tamper = drop_signature, "id_token.bad_signature"),
        ("no sub", |t| t.remove("sub"), "id_token.missing_claim"),
        ("empty sub", |t| t.set("sub", ""), "id_token.wrong_type"),
        ("9 no exp", |t| t.remove("exp"), "id_token.missing_claim"),
        ("10 no iat", |t| t.remove("iat"), "id_token.missing_claim"),
        ("11 nonce", |t| t.set("nonce", "other"), "id_token.bad_nonce"),
        ("11 no nonce", |t| t.remove("nonce"), "id_token.missing_nonce"),
        ("11 nonce of another type", |t| t.set("nonce", 5), "id_token.wrong_type"),
        ("oid", |t| t.set("oid", "ada@contoso.example"), "id_token.bad_oid"),
    ];
    for (name, edit, reason) in edits {
        assert_eq!(Bench::entra().refusal(edit).await, reason, "{name}");
    }
}

fn swap_claims(text: String) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).expect("base64");
    let claims = String::from_utf8(claims).expect("text").replace("Ada", "Eve");
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims), parts[2])
}

fn drop_signature(text: String) -> String {
    text.rsplit_once('.').map(|(input, _)| format!("{input}.")).expect("three parts")
}

#[tokio::test]
async fn s_15_one_audience_in_a_list_is_accepted() {
    let edit = |token: &mut Token| token.set("aud", json!([CLIENT_ID]));
    assert!(Bench::entra().sign_in(edit).await.is_ok());
    assert!(Bench::entra().sign_in(|token| token.set("azp", CLIENT_ID)).await.is_ok());
}

#[tokio::test]
async fn s_15_7_and_l_01_only_rs256_is_accepted_whatever_the_metadata_lists() {
    for algorithm in ["none", "HS256", "RS384", "PS256", "ES256", "rs256", ""] {
        let edit = |token: &mut Token| {
            token.header.insert("alg".to_owned(), json!(algorithm));
        };
        assert_eq!(Bench::entra().refusal(edit).await, "id_token.bad_alg", "{algorithm}");
    }
}

#[tokio::test]
async fn l_01_a_token_signed_with_the_client_secret_is_refused() {
    let sign_with_secret = |text: String| {
        let (input, _) = text.rsplit_once('.').expect("three parts");
        let (_, claims) = input.split_once('.').expect("two parts");
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256"}"#);
        let input = format!("{header}.{claims}");
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"s+e/c %r&e=t");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, input.as_bytes())))
    };
    assert_eq!(Bench::entra().refusal(|token| token.tamper = sign_with_secret).await, "id_token.bad_alg");
}

#[tokio::test]
async fn k_03_an_unsigned_token_is_refused() {
    let unsign = |text: String| {
        let claims = text.split('.').nth(1).expect("claims").to_owned();
        format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#))
    };
    assert_eq!(Bench::entra().refusal(|token| token.tamper = unsign).await, "id_token.bad_alg");
}

#[tokio::test]
async fn l_06_dates_have_a_leeway_of_two_minutes_and_no_more() {
    let cases = [
        ("exp", -119, "accepted"),
        ("exp", -121, "id_token.expired"),
        ("exp", -301, "id_token.expired"),
        ("nbf", 119, "accepted"),
        ("nbf", 301, "id_token.not_yet_valid"),
        ("iat", 119, "accepted"),
        ("iat", 301, "id_token.bad_iat"),
        ("iat", -3599, "accepted"),
        ("iat", -3601, "id_token.bad_iat"),
    ];
    for (claim, seconds, expected) in cases {
        let bench = Bench::entra();
        let time = bench.clock.now().timestamp() + seconds;
        assert_eq!(bench.refusal(|token| token.set(claim, time)).await, expected, "{claim} {seconds}");
    }
}

#[tokio::test]
async fn l_06_the_leeway_never_exceeds_five_minutes() {
    let config = ProviderConfig { clock_leeway: std::time::Duration::from_secs(3600), ..entra(single()) };
    let bench = Bench::with_config(config);
    let time = bench.clock.now().timestamp() - 301;
    assert_eq!(bench.refusal(|token| token.set("exp", time)).await, "id_token.expired");
}

#[tokio::test]
async fn l_06_nbf_may_be_absent() {
    assert!(Bench::entra().sign_in(|token| token.remove("nbf")).await.is_ok());
}

#[tokio::test]
async fn k_14_a_date_of_another_type_is_never_taken_for_an_absent_one() {
    let wrong = [
        json!("1790003600"),
        json!(1_790_003_600.5),
        json!(null),
        json!([1_790_003_600]),
        json!({}),
        json!(true),
        json!(9_223_372_036_854_775_808_u64),
        json!(i64::MAX),
        json!(-1),
    ];
    for claim in ["exp", "nbf", "iat", "auth_time"] {
        for value in &wrong {
            let refusal = Bench::entra().refusal(|token| token.set(claim, value.clone())).await;
            assert_eq!(refusal, "id_token.wrong_type", "{claim} = {value}");
        }
    }
}

#[tokio::test]
async fn l_09_other_kinds_of_tokens_and_critical_extensions_are_refused() {
    let header = |name: &'static str, value: Value| {
        move |token: &mut Token| {
            token.header.insert(name.to_owned(), value);
        }
    };
    for kind in ["at+jwt", "application/at+jwt", "logout+jwt", "dpop+jwt"] {
        assert_eq!(Bench::entra().refusal(header("typ", json!(kind))).await, "id_token.bad_typ", "{kind}");
    }
    assert_eq!(Bench::entra().refusal(header("typ", json!(1))).await, "id_token.bad_typ");
    assert_eq!(Bench::entra().refusal(header("crit", json!(["exp"]))).await, "id_token.crit");
    for kind in ["jwt", "application/jwt", "JOSE"] {
        assert!(Bench::entra().sign_in(header("typ", json!(kind))).await.is_ok(), "{kind}");
    }
    assert!(Bench::entra().sign_in(|token| drop(token.header.remove("typ"))).await.is_ok());
}

#[tokio::test]
async fn l_11_at_hash_is_checked_if_it_is_there() {
    let half = |token: &str| URL_SAFE_NO_PAD.encode(&digest(token.as_bytes())[..16]);
    let (good, bad) = (half(ACCESS_TOKEN), half("another"));
    assert!(Bench::entra().sign_in(|token| token.set("at_hash", good)).await.is_ok());
    assert_eq!(Bench::entra().refusal(|token| token.set("at_hash", bad)).await, "id_token.bad_at_hash");
    assert_eq!(Bench::entra().refusal(|token| token.set("at_hash", 1)).await, "id_token.wrong_type");
}

#[tokio::test]
async fn k_15_an_encrypted_token_is_refused() {
    let as_jwe = |text: String| {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#);
        format!("{header}.key.iv.{}.tag", URL_SAFE_NO_PAD.encode(text))
    };
    assert_eq!(Bench::entra().refusal(|token| token.tamper = as_jwe).await, "id_token.encrypted");
    let with_enc = |token: &mut Token| {
        token.header.insert("enc".to_owned(), json!("A256GCM"));
    };
    assert_eq!(Bench::entra().refusal(with_enc).await, "id_token.encrypted");
}

#[tokio::test]
async fn s_50_a_member_that_occurs_twice_is_refused() {
    let bench = Bench::entra();
    let twice = |token: &mut Token| {
        let claims = Value::Object(token.claims.clone()).to_string();
        token.raw_claims = Some(claims.replacen('{', r#"{"oid":"00000000-0000-4000-8000-000000000000","#, 1));
    };
    assert_eq!(bench.refusal(twice).await, "id_token.duplicate_member");
    let deep = |token: &mut Token| {
        let claims = Value::Object(token.claims.clone()).to_string();
        token.raw_claims = Some(claims.replacen('{', r#"{"x":[{"a":1,"\u0061":2}],"#, 1));
    };
    assert_eq!(bench.refusal(deep).await, "id_token.duplicate_member");
}

#[tokio::test]
async fn s_50_texts_that_are_no_compact_jws_are_refused() {
    type Tamper = fn(String) -> String;
    let tampers: [(&str, Tamper, &str); 8] = [
        ("empty", |_| String::new(), "id_token.malformed"),
        ("two parts", |text| text.replacen('.', "", 1), "id_token.malformed"),
        ("padding", |text| format!("{text}="), "id_token.malformed"),
        ("trailing bytes", |text| format!("{text}\n"), "id_token.malformed"),
        ("leading blank", |text| format!(" {text}"), "id_token.malformed"),
        ("other alphabet", |text| text.replace('-', "+").replace('_', "/") + "+", "id_token.malformed"),
        ("JSON serialization", |text| format!(r#"{{"payload":"{text}"}}"#), "id_token.malformed"),
        ("more than 64 KiB", |text| format!("{text}{}", "A".repeat(65_536)), "id_token.too_long"),
    ];
    for (name, tamper, reason) in tampers {
        assert_eq!(Bench::entra().refusal(|token| token.tamper = tamper).await, reason, "{name}");
    }
}

#[tokio::test]
async fn s_50_hostile_key_ids_find_no_key() {
    let long = "k".repeat(8192);
    for id in ["../../x", "' OR 1=1", "key-a\0", "", "KEY-A", long.as_str()] {
        let bench = Bench::entra();
        let edit = |token: &mut Token| {
            token.header.insert("kid".to_owned(), json!(id));
        };
        assert_eq!(bench.refusal(edit).await, "id_token.unknown_key", "{id:.20}");
    }
    let number = |token: &mut Token| {
        token.header.insert("kid".to_owned(), json!(7));
    };
    assert_eq!(Bench::entra().refusal(number).await, "id_token.unknown_key");
}

#[tokio::test]
async fn s_50_keys_that_the_token_brings_along_are_never_used() {
    let bench = Bench::entra();
    let edit = |token: &mut Token| {
        token.key = Key::B;
        token.header.insert("jku".to_owned(), json!("https://evil.example/keys"));
        token.header.insert("x5u".to_owned(), json!("https://evil.example/cert"));
        token.header.insert("jwk".to_owned(), Key::B.jwk());
    };
    assert_eq!(bench.refusal(edit).await, "id_token.bad_signature");
    let called_elsewhere = bench.script.all("").iter().any(|request| request.url.contains("evil"));
    assert!(!called_elsewhere);
}

#[tokio::test]
async fn s_15_12_a_step_up_that_was_asked_for_must_be_proven() {
    let ask = || BeginOptions { auth_context: Some("c1".to_owned()), ..BeginOptions::new(REDIRECT) };
    let reason = |result: Result<_, crate::oidc::OidcError>| result.map(drop).map_err(|error| error.reason());
    let bench = Bench::entra();
    let absent = bench.sign_in_with(ask(), |_| ()).await;
    assert_eq!(reason(absent.map(drop)), Err("id_token.bad_auth_context"));
    let other = bench.sign_in_with(ask(), |token| token.set("acrs", json!(["c2"]))).await;
    assert_eq!(reason(other.map(drop)), Err("id_token.bad_auth_context"));
    let proven = bench.sign_in_with(ask(), |token| token.set("acrs", json!(["c2", "c1"]))).await.expect("signs in");
    assert_eq!(proven.auth_contexts, ["c2", "c1"]);

    let other_provider = Bench::with_config(generic());
    let weaker = other_provider.sign_in_with(ask(), |token| token.set("acr", "c0")).await;
    assert_eq!(reason(weaker.map(drop)), Err("id_token.bad_auth_context"));
    assert!(other_provider.sign_in_with(ask(), |token| token.set("acr", "c1")).await.is_ok());
}

#[tokio::test]
async fn s_15_13_a_fresh_sign_in_that_was_asked_for_must_be_proven() {
    let now = Bench::entra().clock.now().timestamp();
    let max_age = |seconds| BeginOptions {
        max_age: Some(std::time::Duration::from_secs(seconds)),
        ..BeginOptions::new(REDIRECT)
    };
    let prompt_login = || BeginOptions { prompt: Some(Prompt::Login), ..BeginOptions::new(REDIRECT) };
    let cases = [
        ("max_age, no auth_time", max_age(0), None, "id_token.bad_auth_time"),
        ("max_age, old", max_age(0), Some(now - 600), "id_token.bad_auth_time"),
        ("max_age, within the leeway", max_age(0), Some(now - 100), "accepted"),
        ("max_age 900, 600 ago", max_age(900), Some(now - 600), "accepted"),
        ("max_age 300, 600 ago", max_age(300), Some(now - 600), "id_token.bad_auth_time"),
        ("max_age beyond all measure", max_age(u64::MAX), Some(now - 600), "accepted"),
        ("prompt=login, no auth_time", prompt_login(), None, "accepted"),
        ("prompt=login, old", prompt_login(), Some(now - 600), "id_token.bad_auth_time"),
        ("prompt=login, fresh", prompt_login(), Some(now), "accepted"),
        ("nothing asked, old", BeginOptions::new(REDIRECT), Some(now - 90_000), "accepted"),
    ];
    for (name, options, auth_time, expected) in cases {
        let edit = |token: &mut Token| {
            if let Some(time) = auth_time {
                token.set("auth_time", time);
            }
        };
        let outcome = Bench::entra().sign_in_with(options, edit).await;
        assert_eq!(outcome.map_or_else(|error| error.reason(), |_| "accepted"), expected, "{name}");
    }
}

#[tokio::test]
async fn e_02_a_token_without_object_id_is_refused_with_a_hint_and_no_fallback() {
    let error = Bench::entra().sign_in(|token| token.remove("oid")).await.expect_err("refused");
    assert_eq!(error.reason(), "id_token.missing_oid");
    assert!(error.advice().what_to_do.contains("ENTRA_SCOPES"));
}

#[tokio::test]
async fn e_01_identity_is_tenant_and_object_and_nothing_else() {
    let renamed = |token: &mut Token| {
        token.set("preferred_username", "admin@contoso.example");
        token.set("email", "admin@contoso.example");
        token.set("sub", "other-pairwise");
        token.set("oid", OID.to_uppercase());
    };
    let signed_in = Bench::entra().sign_in(renamed).await.expect("signs in");
    assert_eq!((signed_in.identity.realm.as_str(), signed_in.identity.subject.as_str()), (TENANT, OID));
}

#[tokio::test]
async fn e_05_personal_accounts_are_refused_unless_listed() {
    let personal = |token: &mut Token| {
        token.set("tid", PERSONAL);
        token.set("iss", format!("{AUTHORITY}/{PERSONAL}/v2.0"));
    };
    let error = multi_tenant(&[TENANT]).sign_in(personal).await.expect_err("refused");
    assert_eq!(error.reason(), "id_token.personal_account");
    assert!(error.is_denied());
    assert!(multi_tenant(&[PERSONAL]).sign_in(personal).await.is_ok());
}

#[tokio::test]
async fn e_10_the_issuer_must_be_that_of_the_tenant_in_the_token() {
    type Edit = fn(&mut Token);
    let edits: [(&str, Edit, &str); 8] = [
        ("tid of another tenant", |t| t.set("tid", OTHER_TENANT), "id_token.bad_iss"),
        ("no tid", |t| t.remove("tid"), "id_token.missing_tid"),
        ("tid is a path", |t| t.set("tid", format!("../{TENANT}")), "id_token.bad_tid"),
        ("tid in upper case", |t| t.set("tid", TENANT.replace('1', "A")), "id_token.bad_tid"),
        ("tid is the placeholder", |t| t.set("tid", "{tenantid}"), "id_token.bad_tid"),
        ("iss is the template", |t| t.set("iss", format!("{AUTHORITY}/{{tenantid}}/v2.0")), "id_token.bad_iss"),
        ("iss without v2.0", |t| t.set("iss", format!("{AUTHORITY}/{TENANT}")), "id_token.bad_iss"),
        ("v1 token", |t| t.set("iss", format!("https://sts.windows.net/{TENANT}/")), "id_token.bad_iss"),
    ];
    for (name, edit, reason) in edits {
        assert_eq!(multi_tenant(&[TENANT, OTHER_TENANT]).refusal(edit).await, reason, "multi: {name}");
        assert_eq!(Bench::entra().refusal(edit).await, reason, "single: {name}");
    }
    assert!(multi_tenant(&[TENANT]).sign_in(|_| ()).await.is_ok());
}

#[tokio::test]
async fn e_10_another_tenant_at_a_single_tenant_application_is_refused() {
    let other = |token: &mut Token| {
        token.set("tid", OTHER_TENANT);
        token.set("iss", format!("{AUTHORITY}/{OTHER_TENANT}/v2.0"));
    };
    assert_eq!(Bench::entra().refusal(other).await, "id_token.bad_iss");
}

#[tokio::test]
async fn e_11_a_key_signs_only_for_its_own_issuer() {
    let with_issuer = |issuer: Option<String>| {
        let mut key = Key::A.jwk();
        if let Some(issuer) = issuer {
            key["issuer"] = json!(issuer);
        }
        key
    };
    let cases = [
        (Some(format!("{AUTHORITY}/{PERSONAL}/v2.0")), "id_token.bad_key_issuer", "id_token.bad_key_issuer"),
        (Some(format!("{AUTHORITY}/{TENANT}/v2.0")), "accepted", "accepted"),
        (Some(format!("{AUTHORITY}/{{tenantid}}/v2.0")), "accepted", "accepted"),
        (Some("https://evil.example/{tenantid}/v2.0".to_owned()), "id_token.bad_key_issuer", "id_token.bad_key_issuer"),
        (None, "accepted", "id_token.bad_key_issuer"),
    ];
    for (issuer, in_single, in_multi) in cases {
        let keys = json!({ "keys": [with_issuer(issuer.clone())] });
        for (bench, expected) in [(Bench::entra(), in_single), (multi_tenant(&[TENANT]), in_multi)] {
            bench.script.answer("/keys", crate::oidc::testing::Answer::json(200, &keys));
            assert_eq!(bench.refusal(|_| ()).await, expected, "{issuer:?}");
        }
    }
}

#[tokio::test]
async fn e_11_keys_with_one_id_and_different_owners_are_told_apart() {
    let bench = multi_tenant(&[TENANT]);
    let mut mine = Key::A.jwk();
    mine["issuer"] = json!(format!("{AUTHORITY}/{{tenantid}}/v2.0"));
    let mut personal = Key::B.jwk();
    personal["kid"] = json!(Key::A.id());
    personal["issuer"] = json!(format!("{AUTHORITY}/{PERSONAL}/v2.0"));
    bench.set_keys(&[personal, mine]);
    assert!(bench.sign_in(|_| ()).await.is_ok());
    assert_eq!(bench.refusal(|token| token.key = Key::B).await, "id_token.bad_signature");
}

#[tokio::test]
async fn e_12_a_tenant_that_is_not_listed_is_refused() {
    let error = multi_tenant(&[OTHER_TENANT]).sign_in(|_| ()).await.expect_err("refused");
    assert_eq!(error.reason(), "id_token.tenant_not_allowed");
    assert!(error.is_denied());
    assert!(error.to_string().contains(TENANT));
}

#[tokio::test]
async fn e_12_a_forged_tenant_is_a_bad_signature_not_a_foreign_tenant() {
    let forged = |token: &mut Token| token.key = Key::B;
    assert_eq!(multi_tenant(&[OTHER_TENANT]).refusal(forged).await, "id_token.bad_signature");
}

#[tokio::test]
async fn e_04_guests_are_told_by_acct_or_by_idp() {
    let issuer = format!("{AUTHORITY}/{TENANT}/v2.0");
    let older = format!("https://sts.windows.net/{TENANT}/");
    let cases = [
        (json!({}), None),
        (json!({ "acct": 0 }), Some(false)),
        (json!({ "acct": 1 }), Some(true)),
        (json!({ "acct": "1" }), Some(true)),
        (json!({ "acct": 0, "idp": "live.com" }), Some(false)),
        (json!({ "idp": "live.com" }), Some(true)),
        (json!({ "idp": format!("https://sts.windows.net/{OTHER_TENANT}/") }), Some(true)),
        (json!({ "idp": issuer }), Some(false)),
        (json!({ "idp": older }), Some(false)),
    ];
    for (extra, expected) in cases {
        let edit = |token: &mut Token| token.claims.extend(extra.as_object().expect("an object").clone());
        let signed_in = Bench::entra().sign_in(edit).await.expect("signs in");
        assert_eq!(signed_in.claims.is_guest(), expected, "{extra}");
    }
}

#[tokio::test]
async fn e_25_groups_are_listed_absent_or_elsewhere() {
    use crate::oidc::GroupsClaim::{Absent, Listed, Overage};
    let elsewhere = json!({
        "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "https://evil.example/groups" } },
    });
    let cases = [
        (json!({}), Absent),
        (json!({ "groups": [] }), Listed(Vec::new())),
        (json!({ "groups": ["g1", "g2", 3] }), Listed(vec!["g1".to_owned(), "g2".to_owned()])),
        (json!({ "groups": "g1" }), Listed(vec!["g1".to_owned()])),
        (json!({ "groups": 7 }), Absent),
        (json!({ "hasgroups": true }), Overage),
        (json!({ "hasgroups": "true" }), Overage),
        (json!({ "hasgroups": false }), Absent),
        (elsewhere, Overage),
    ];
    for (extra, expected) in cases {
        let bench = Bench::entra();
        let edit = |token: &mut Token| token.claims.extend(extra.as_object().expect("an object").clone());
        let signed_in = bench.sign_in(edit).await.expect("signs in");
        assert_eq!(signed_in.claims.groups("groups"), expected, "{extra}");
        assert_eq!(signed_in.claims.groups(""), Absent, "an empty name reads none");
        assert!(bench.script.all("").iter().all(|request| !request.url.contains("evil")));
    }
}

#[tokio::test]
async fn e_26_roles_may_be_absent_a_text_or_a_list() {
    let cases =
        [(json!(null), vec![]), (json!("Admin"), vec!["Admin"]), (json!(["Admin", "Reader"]), vec!["Admin", "Reader"])];
    for (roles, expected) in cases {
        let signed_in = Bench::entra().sign_in(|token| token.set("roles", roles.clone())).await.expect("signs in");
        assert_eq!(signed_in.claims.roles(), expected, "{roles}");
    }
}

#[tokio::test]
async fn time_is_the_clocks_alone() {
    let bench = Bench::entra();
    bench.clock.advance(Duration::days(4000));
    assert!(bench.sign_in(|_| ()).await.is_ok());
}
