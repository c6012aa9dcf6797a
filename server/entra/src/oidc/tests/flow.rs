//! The authorization request and the way back: RFC 6749, RFC 7636, RFC 9207, RFC 9700.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::config::{ProviderConfig, ProviderKind, ResponseMode};
use crate::crypto::digest;
use crate::oidc::testing::{
    ACCESS_TOKEN, AUTHORITY, Answer, Bench, CLIENT_ID, GENERIC_ISSUER, REDIRECT, TENANT, document, entra, generic,
    good_callback, multi, query, single,
};
use crate::oidc::{BeginOptions, CallbackParams, OidcError, Prompt, Transaction};

fn reason<T>(outcome: Result<T, OidcError>) -> &'static str {
    outcome.map_or_else(|error| error.reason(), |_| "accepted")
}

fn callback(form: &str) -> CallbackParams {
    CallbackParams::parse(form).expect("a callback")
}

#[tokio::test]
async fn s_02_and_s_03_every_request_has_fresh_state_nonce_and_s256_challenge() {
    let bench = Bench::entra();
    let mut seen = HashSet::new();
    for _ in 0..1_000 {
        let begun = bench.begin().await;
        let query = query(&begun.url);
        assert_eq!(query["code_challenge_method"], "S256");
        for name in ["state", "nonce", "code_challenge"] {
            assert!((43..=128).contains(&query[name].len()), "{name}");
            assert!(seen.insert(query[name].clone()), "{name} came twice");
        }
    }
}

#[tokio::test]
async fn the_request_says_what_the_provider_needs_to_know() {
    let begun = Bench::entra().begin().await;
    assert!(begun.url.as_str().starts_with(&format!("{AUTHORITY}/{TENANT}/authorize?")));
    let query = query(&begun.url);
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["client_id"], CLIENT_ID);
    assert_eq!(query["redirect_uri"], REDIRECT);
    assert_eq!(query["scope"], "openid profile email offline_access User.Read");
    for absent in ["prompt", "response_mode", "max_age", "login_hint", "client_secret"] {
        assert!(!query.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn s_02_the_verifier_fits_the_challenge_and_the_code_is_sent_with_everything_once() {
    let bench = Bench::entra();
    let begun = bench.begin().await;
    let challenge = query(&begun.url)["code_challenge"].clone();
    let answer = Answer::json(400, &json!({ "error": "invalid_grant" }));
    assert_eq!(reason(bench.finish_with(begun, &answer).await), "provider.invalid_grant");
    assert_eq!(bench.script.count("/token"), 1, "a code is never sent twice");
    let form = bench.script.last("/token").form;
    assert_eq!(URL_SAFE_NO_PAD.encode(digest(form["code_verifier"].as_bytes())), challenge);
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code"], "the-code");
    assert_eq!(form["redirect_uri"], REDIRECT);
}

#[tokio::test]
async fn e_36_hints_and_prompts() {
    let bench = Bench::entra();
    let options = |prompt| BeginOptions {
        prompt: Some(prompt),
        login_hint: Some("opaque+hint&=".to_owned()),
        domain_hint: Some("contoso.example".to_owned()),
        ..BeginOptions::new(REDIRECT)
    };
    let login = query(&bench.client.begin(options(Prompt::Login)).await.expect("begins").url);
    assert_eq!((login["prompt"].as_str(), login["login_hint"].as_str()), ("login", "opaque+hint&="));
    assert_eq!(login["domain_hint"], "contoso.example");
    let select = query(&bench.client.begin(options(Prompt::SelectAccount)).await.expect("begins").url);
    assert_eq!(select["prompt"], "select_account");
    assert!(!select.contains_key("login_hint"), "choosing an account and naming one exclude each other");
    for prompt in [Prompt::Login, Prompt::None, Prompt::Consent, Prompt::SelectAccount] {
        assert_eq!(Prompt::parse(prompt.as_str()), Some(prompt));
    }
    assert_eq!(Prompt::parse("create"), None);
}

#[tokio::test]
async fn core_11_consent_is_asked_for_while_no_grant_is_stored() {
    let ask = |prompt, no_grant_stored| BeginOptions { prompt, no_grant_stored, ..BeginOptions::new(REDIRECT) };
    let cases = [
        (generic(), ask(None, true), Some("consent")),
        (generic(), ask(None, false), None),
        (generic(), ask(Some(Prompt::Login), true), Some("login consent")),
        (generic(), ask(Some(Prompt::None), true), Some("none")),
        (ProviderConfig { scopes: vec!["openid".to_owned()], ..generic() }, ask(None, true), None),
        (entra(single()), ask(None, true), None),
    ];
    for (config, options, expected) in cases {
        let begun = Bench::with_config(config).client.begin(options.clone()).await.expect("begins");
        assert_eq!(query(&begun.url).get("prompt").map(String::as_str), expected, "{options:?}");
    }
}

#[tokio::test]
async fn e_43_form_post_is_asked_for_when_set() {
    let config = ProviderConfig { response_mode: ResponseMode::FormPost, ..entra(single()) };
    let begun = Bench::with_config(config).begin().await;
    assert_eq!(query(&begun.url)["response_mode"], "form_post");
}

#[tokio::test]
async fn e_39_a_claims_challenge_is_passed_on_with_the_step_up() {
    let challenge = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
    let options = BeginOptions {
        claims: Some(challenge.to_owned()),
        auth_context: Some("c1".to_owned()),
        ..BeginOptions::new(REDIRECT)
    };
    let begun = Bench::entra().client.begin(options).await.expect("begins");
    let claims: Value = serde_json::from_str(&query(&begun.url)["claims"]).expect("JSON");
    assert_eq!(claims["access_token"]["nbf"]["value"], "1");
    assert_eq!(claims["access_token"]["xms_cc"], json!({ "values": ["cp1"] }));
    assert_eq!(claims["id_token"]["acrs"], json!({ "essential": true, "value": "c1" }));

    let options = BeginOptions { auth_context: Some("gold".to_owned()), ..BeginOptions::new(REDIRECT) };
    let begun = Bench::with_config(generic()).client.begin(options).await.expect("begins");
    assert_eq!(query(&begun.url)["acr_values"], "gold");

    for bad in ["not json", "[]", "\"text\""] {
        let options = BeginOptions { claims: Some(bad.to_owned()), ..BeginOptions::new(REDIRECT) };
        assert_eq!(reason(Bench::entra().client.begin(options).await), "request.bad_claims");
    }
}

#[tokio::test]
async fn e_38_a_request_that_providers_would_refuse_is_not_made() {
    let long = format!(r#"{{"access_token":{{"x":"{}"}}}}"#, "y".repeat(10_000));
    let options = BeginOptions { claims: Some(long), ..BeginOptions::new(REDIRECT) };
    assert_eq!(reason(Bench::entra().client.begin(options).await), "request.too_long");
    let hint = BeginOptions { login_hint: Some("h".repeat(5000)), ..BeginOptions::new(REDIRECT) };
    let begun = Bench::entra().client.begin(hint).await.expect("begins without the hint");
    assert!(begun.url.as_str().len() <= 2048);
    let options = BeginOptions::new("not a url");
    assert_eq!(reason(Bench::entra().client.begin(options).await), "request.bad_redirect_uri");
}

#[tokio::test]
async fn s_01_an_answer_without_the_browsers_own_state_is_refused_before_any_call() {
    let bench = Bench::entra();
    let other = bench.begin().await;
    let cases = [
        ("code=c".to_owned(), "callback.missing_state"),
        ("code=c&state=".to_owned(), "callback.missing_state"),
        ("code=c&state=other".to_owned(), "callback.bad_state"),
        (format!("code=c&state={}", other.transaction.state()), "callback.bad_state"),
        ("error=access_denied&state=other".to_owned(), "callback.bad_state"),
        ("error=access_denied".to_owned(), "callback.missing_state"),
    ];
    for (form, expected) in cases {
        let begun = bench.begin().await;
        assert_eq!(reason(bench.client.finish(begun.transaction, callback(&form)).await), expected, "{form}");
    }
    assert_eq!(bench.script.count("/token"), 0);
}

#[tokio::test]
async fn k_10_ambiguous_answers_are_refused_before_any_call() {
    let bench = Bench::entra();
    for (form, expected) in [
        ("code=c&error=access_denied", "callback.code_and_error"),
        ("session_state=x", "callback.missing_code"),
        ("error=access_denied&error_subcode=cancel", "provider.access_denied"),
        ("error=login_required", "provider.login_required"),
        ("error=made_up", "provider.error"),
    ] {
        let begun = bench.begin().await;
        let form = format!("{form}&state={}", begun.transaction.state());
        assert_eq!(reason(bench.client.finish(begun.transaction, callback(&form)).await), expected, "{form}");
    }
    assert_eq!(bench.script.count("/token"), 0);
}

#[test]
fn k_10_a_parameter_that_comes_twice_is_refused() {
    for form in ["code=a&code=b", "state=a&x=1&state=a", "x=1&x=2", "error=a&%65rror=b"] {
        assert_eq!(reason(CallbackParams::parse(form)), "callback.duplicate_parameter", "{form}");
    }
    let many: String = (0..40).map(|number| format!("p{number}=1&")).collect();
    assert_eq!(reason(CallbackParams::parse(&many)), "callback.malformed");
    assert_eq!(reason(CallbackParams::parse(&"a".repeat(40_000))), "callback.malformed");
}

#[tokio::test]
async fn s_05_an_issuer_that_comes_along_must_be_the_providers() {
    let issuer = format!("{AUTHORITY}/{TENANT}/v2.0");
    let cases = [
        (Some(issuer.as_str()), false, "accepted"),
        (Some(issuer.as_str()), true, "accepted"),
        (None, false, "accepted"),
        (None, true, "callback.missing_iss"),
        (Some("https://evil.example"), false, "callback.bad_iss"),
        (Some("https://login.example/11111111-2222-4333-8444-555555555555/v2.0/"), true, "callback.bad_iss"),
    ];
    for (iss, is_promised, expected) in cases {
        for is_error in [false, true] {
            let bench = Bench::entra();
            let mut metadata = document(&bench.config);
            metadata["authorization_response_iss_parameter_supported"] = json!(is_promised);
            bench.set_metadata(&metadata);
            let begun = bench.begin().await;
            let iss = iss.map(|iss| format!("&iss={iss}")).unwrap_or_default();
            let what = if is_error { "error=access_denied" } else { "code=c" };
            let form = format!("{what}&state={}{iss}", begun.transaction.state());
            let outcome = reason(bench.client.finish(begun.transaction, callback(&form)).await);
            match (expected, is_error) {
                ("accepted", true) => assert_eq!(outcome, "provider.access_denied"),
                ("accepted", false) => assert_eq!(bench.script.count("/token"), 1, "{iss}"),
                _ => {
                    assert_eq!(outcome, expected, "{iss}");
                    assert_eq!(bench.script.count("/token"), 0, "{iss}");
                }
            }
        }
    }
}

#[tokio::test]
async fn s_05_the_template_of_several_tenants_takes_any_of_their_issuers() {
    let bench = Bench::with_config(entra(multi(&[TENANT])));
    for (tenant, expected) in [(TENANT, 1), ("../x", 0), ("", 0)] {
        let begun = bench.begin().await;
        let before = bench.script.count("/token");
        let form = format!("code=c&state={}&iss={AUTHORITY}/{tenant}/v2.0", begun.transaction.state());
        let _ = bench.client.finish(begun.transaction, callback(&form)).await;
        assert_eq!(bench.script.count("/token") - before, expected, "{tenant}");
    }
}

#[tokio::test]
async fn k_12_and_e_13_a_transaction_is_finished_where_it_was_begun() {
    let begun_at = Bench::entra();
    let elsewhere = [entra(multi(&[TENANT])), generic()];
    for config in elsewhere {
        let begun = begun_at.begin().await;
        let form = good_callback(&begun);
        let other = Bench::with_config(config);
        assert_eq!(reason(other.client.finish(begun.transaction, form).await), "callback.other_provider");
        assert_eq!(other.script.count("/token"), 0);
    }
}

#[tokio::test]
async fn a_transaction_ends_after_ten_minutes() {
    let bench = Bench::entra();
    let begun = bench.begin().await;
    let form = good_callback(&begun);
    bench.clock.advance(Duration::minutes(10) + Duration::seconds(1));
    assert!(begun.transaction.is_expired(bench.clock.now()));
    assert_eq!(reason(bench.client.finish(begun.transaction, form).await), "callback.expired");
}

#[tokio::test]
async fn a_transaction_survives_sealing_and_shows_no_secret() {
    let bench = Bench::entra();
    let begun = bench.begin().await;
    let json = serde_json::to_string(&begun.transaction).expect("JSON");
    let restored: Transaction = serde_json::from_str(&json).expect("a transaction");
    assert_eq!(restored.state(), begun.transaction.state());
    let shown = format!("{begun:?}{:?}", good_callback(&begun));
    let stored: Value = serde_json::from_str(&json).expect("JSON");
    for secret in ["nonce", "pkce_verifier"] {
        assert!(!shown.contains(stored[secret].as_str().expect("text")), "{secret}");
    }
    assert!(!shown.contains("the-code") && !shown.contains(begun.transaction.state()));
}

#[tokio::test]
async fn the_token_response_is_read_with_patience() {
    let cases = [
        (json!(3599), 3599),
        (json!("3599"), 3599),
        (json!(20), 20),
        (json!(59.9), 59),
        (json!(null), 300),
        (json!(0), 300),
        (json!(-5), 300),
        (json!("soon"), 300),
        (json!([1]), 300),
        (json!(10_u64.pow(18)), 604_800),
        (json!(u64::MAX), 604_800),
        (json!(1e300), 604_800),
    ];
    for (expires_in, expected) in cases {
        let bench = Bench::entra();
        let begun = bench.begin().await;
        let response = edited_response(&bench, &begun.url, |response| response["expires_in"] = expires_in.clone());
        let signed_in = bench.finish_with(begun, &Answer::json(200, &response)).await.expect("signs in");
        let tokens = signed_in.tokens;
        assert_eq!((tokens.expires_at - tokens.obtained_at).num_seconds(), expected, "{expires_in}");
    }
}

fn edited_response(bench: &Bench, url: &url::Url, edit: impl FnOnce(&mut Value)) -> Value {
    let mut token = bench.token();
    token.set("nonce", query(url)["nonce"].clone());
    let mut response = bench.token_response(&token.sign());
    edit(&mut response);
    response
}

#[tokio::test]
async fn fapi2_token_type_in_any_case_and_absent_members() {
    type Edit = fn(&mut Value);
    let edits: [(&str, Edit, &str); 9] = [
        ("bEARER", |r| r["token_type"] = json!("bEARER"), "accepted"),
        ("no expires_in", |r| drop(r.as_object_mut().expect("object").remove("expires_in")), "accepted"),
        ("no refresh_token", |r| drop(r.as_object_mut().expect("object").remove("refresh_token")), "accepted"),
        ("no scope", |r| drop(r.as_object_mut().expect("object").remove("scope")), "accepted"),
        ("extra members", |r| r["ext_expires_in"] = json!("x"), "accepted"),
        ("no id_token", |r| drop(r.as_object_mut().expect("object").remove("id_token")), "id_token.absent"),
        ("MAC", |r| r["token_type"] = json!("mac"), "token_response.malformed"),
        (
            "no access_token",
            |r| drop(r.as_object_mut().expect("object").remove("access_token")),
            "token_response.malformed",
        ),
        ("access_token list", |r| r["access_token"] = json!(["secret-token"]), "token_response.malformed"),
    ];
    for (name, edit, expected) in edits {
        let bench = Bench::entra();
        let begun = bench.begin().await;
        let response = edited_response(&bench, &begun.url, edit);
        let outcome = bench.finish_with(begun, &Answer::json(200, &response)).await;
        if let Err(error) = &outcome {
            assert!(!error.to_string().contains("secret-token"), "{error}");
        }
        assert_eq!(reason(outcome), expected, "{name}");
    }
}

#[tokio::test]
async fn tokens_are_opaque_and_survive_sealing() {
    let tokens = Bench::entra().sign_in(|_| ()).await.expect("signs in").tokens;
    assert_eq!(tokens.access_token.expose_secret(), ACCESS_TOKEN);
    assert_eq!(tokens.scopes, ["openid", "profile", "email", "User.Read"]);
    assert!(!format!("{tokens:?}").contains("refresh-1"));
    let restored = crate::oidc::TokenSet::from_sealed_json(&tokens.to_sealed_json()).expect("a set");
    assert_eq!(restored.access_token.expose_secret(), ACCESS_TOKEN);
    assert_eq!(restored.refresh_token.expect("a token").expose_secret(), "refresh-1");
    assert_eq!((restored.expires_at, restored.obtained_at), (tokens.expires_at, tokens.obtained_at));
    assert!(crate::oidc::TokenSet::from_sealed_json(b"{}").is_err());
}

#[tokio::test]
async fn f_04_and_f_05_strange_answers_are_clean_errors_and_name_the_field() {
    let cases = [
        (Answer::bytes(200, "text/html", "<html>"), "token_response.malformed"),
        (Answer::bytes(200, "application/json", ""), "token_response.malformed"),
        (Answer::bytes(200, "application/json", "{\"access_tok"), "token_response.malformed"),
        (Answer::json(200, &json!({ "error": "invalid_grant" })), "provider.invalid_grant"),
        (Answer::json(400, &json!({ "no": "error" })), "token_response.malformed"),
        (Answer::bytes(400, "text/html", "<html>"), "token_response.malformed"),
        (
            Answer::bytes(302, "text/html", "").with_header("location", "http://127.0.0.1:9/"),
            "token_response.malformed",
        ),
        (Answer::bytes(503, "text/html", "<html>"), "provider.unavailable"),
        (Answer::bytes(500, "application/json", "{}"), "provider.unavailable"),
        (Answer::json(429, &json!({ "error": "invalid_grant" })), "provider.unavailable"),
        (Answer::lost(), "provider.unavailable"),
    ];
    for (answer, expected) in cases {
        let bench = Bench::entra();
        let begun = bench.begin().await;
        assert_eq!(reason(bench.finish_with(begun, &answer).await), expected, "{answer:?}");
        assert_eq!(bench.script.count(""), 2, "the metadata and one call, never a second: {answer:?}");
    }
    let bench = Bench::entra();
    let begun = bench.begin().await;
    let answer = Answer::json(200, &json!({ "token_type": "Bearer" }));
    let error = bench.finish_with(begun, &answer).await.expect_err("refused");
    assert!(error.to_string().contains("`access_token`"), "{error}");
}

#[tokio::test]
async fn s_13_the_providers_words_are_bounded_and_harmless() {
    let bench = Bench::entra();
    let begun = bench.begin().await;
    let text = format!("<script>%0D%0AInjected: header%00%E2%80%AE{}", "x".repeat(3000));
    let form = format!("error=access_denied&error_description={text}&state={}", begun.transaction.state());
    let error = bench.client.finish(begun.transaction, callback(&form)).await.expect_err("refused");
    let shown = error.to_string();
    assert!(!shown.chars().any(|character| character.is_control() || character == '\u{202e}'), "{shown:?}");
    assert!(shown.len() < 700);
    assert!(error.is_denied());
}

#[tokio::test]
async fn e_20_no_endpoint_is_called_that_the_flow_does_not_need() {
    let bench = Bench::entra();
    bench.sign_in(|_| ()).await.expect("signs in");
    bench.sign_in(|_| ()).await.expect("signs in");
    assert_eq!(bench.script.count("/.well-known/openid-configuration"), 1);
    assert_eq!(bench.script.count("/keys"), 1);
    assert_eq!(bench.script.count("/token"), 2);
    assert_eq!(bench.script.count("/userinfo"), 0, "Entra's user info is on Graph and says nothing more");
}

#[tokio::test]
async fn l_12_user_info_is_asked_only_for_what_is_missing_and_must_be_about_the_same_person() {
    let user_info = |sub: &str| {
        let body =
            json!({ "sub": sub, "name": "From User Info", "email": "u@op.example", "groups": ["g"], "acr": "gold" });
        Answer::json(200, &body)
    };
    let without_name = |token: &mut crate::oidc::testing::Token| token.remove("name");

    let bench = Bench::with_config(generic());
    bench.sign_in(|_| ()).await.expect("signs in");
    assert_eq!(bench.script.count("/userinfo"), 0);

    bench.script.answer("/userinfo", user_info("pairwise-subject"));
    let signed_in = bench.sign_in(without_name).await.expect("signs in");
    assert_eq!(signed_in.claims.name(), Some("From User Info"));
    assert_eq!(signed_in.claims.email(), Some("ada@contoso.example"), "the ID token's words win");
    assert_eq!(signed_in.claims.text("acr"), None, "nothing about the sign-in comes from there");
    let request = bench.script.last("/userinfo");
    assert_eq!(request.headers["authorization"], format!("Bearer {ACCESS_TOKEN}"));
    assert!(!request.url.contains('?'), "s_08: no token in a URL");

    bench.script.answer("/userinfo", user_info("pairwise-subjectinvalid"));
    assert_eq!(bench.refusal(without_name).await, "user_info.bad_sub");
    bench.script.answer("/userinfo", Answer::json(200, &json!({ "name": "Nobody" })));
    assert_eq!(bench.refusal(without_name).await, "user_info.bad_sub");

    for down in [Answer::lost(), Answer::bytes(500, "text/html", "x"), Answer::bytes(200, "application/jwt", "a.b.c")] {
        bench.script.answer("/userinfo", down);
        let signed_in = bench.sign_in(without_name).await.expect("a poorer profile");
        assert_eq!(signed_in.claims.name(), None);
    }
}

#[tokio::test]
async fn f_01_begins_work_again_as_soon_as_the_provider_does() {
    let bench = Bench::entra();
    let metadata = document(&bench.config);
    bench.script.answer("/.well-known/openid-configuration", Answer::lost());
    for _ in 0..50 {
        let error = bench.client.begin(BeginOptions::new(REDIRECT)).await.expect_err("down");
        assert!(error.is_outage());
    }
    assert_eq!(bench.script.count("/.well-known/openid-configuration"), 1, "a provider that is down costs nothing");
    assert!(!bench.client.status().is_ready());
    bench.set_metadata(&metadata);
    bench.clock.advance(Duration::seconds(6));
    bench.begin().await;
    bench.client.warm_up().await.expect("warm");
    assert!(bench.client.status().is_ready());
}

#[tokio::test]
async fn names_for_pages() {
    assert_eq!(Bench::entra().client.provider_name(), "Microsoft");
    assert_eq!(Bench::with_config(generic()).client.provider_name(), "op.example");
    assert!(matches!(generic().kind, ProviderKind::Generic { issuer } if issuer == GENERIC_ISSUER));
}
