//! Refreshing: OpenID Connect Core 1.0, section 12, and docs/requirements.tsv S-20, E-30 to E-40.

use chrono::Duration;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::oidc::testing::{ACCESS_TOKEN, AUTHORITY, Answer, Bench, CLIENT_ID, OTHER_TENANT, Token, generic};
use crate::oidc::{RefreshError, RefreshRequest, SignIn, TokenSet};

/// A sign-in an hour ago, and what it brought.
async fn signed_in(bench: &Bench) -> SignIn {
    let signed_in = bench.sign_in(|_| ()).await.expect("signs in");
    bench.clock.advance(Duration::minutes(50));
    signed_in
}

async fn refresh(bench: &Bench, signed_in: &SignIn, answer: Answer) -> Result<TokenSet, RefreshError> {
    bench.script.answer("/token", answer);
    let renewed = bench.client.refresh(&signed_in.identity, &signed_in.tokens, RefreshRequest::default()).await;
    renewed.map(|renewed| renewed.tokens)
}

fn renewed(id_token: Option<String>) -> Value {
    let mut response = json!({
        "token_type": "Bearer",
        "access_token": "access-2",
        "refresh_token": "refresh-2",
        "expires_in": "3600",
        "scope": "openid User.Read",
    });
    if let Some(id_token) = id_token {
        response["id_token"] = json!(id_token);
    }
    response
}

#[tokio::test]
async fn a_refresh_brings_a_new_set() {
    let bench = Bench::entra();
    let before = signed_in(&bench).await;
    let token = bench.token().sign();
    let tokens = refresh(&bench, &before, Answer::json(200, &renewed(Some(token.clone())))).await.expect("refreshes");
    assert_eq!(tokens.access_token.expose_secret(), "access-2");
    assert_eq!(tokens.refresh_token.as_ref().map(|token| token.expose_secret()), Some("refresh-2"));
    assert_eq!(tokens.id_token.as_ref().map(|token| token.expose_secret()), Some(token.as_str()));
    assert_eq!(tokens.expires_at, bench.clock.now() + Duration::seconds(3600));
    assert_eq!(tokens.scopes, ["openid", "User.Read"]);
    let form = bench.script.last("/token").form;
    assert_eq!(form["grant_type"], "refresh_token");
    assert_eq!(form["refresh_token"], "refresh-1");
    assert_eq!(form["scope"], "openid profile email offline_access User.Read", "e_33");
    assert_eq!(form["client_secret"], "s+e/c %r&e=t");
    assert_eq!(form["claims"], r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#, "e_39");
}

#[tokio::test]
async fn e_31_an_absent_refresh_token_keeps_the_old_one() {
    let bench = Bench::entra();
    let before = signed_in(&bench).await;
    let mut response = renewed(None);
    response.as_object_mut().expect("an object").remove("refresh_token");
    let tokens = refresh(&bench, &before, Answer::json(200, &response)).await.expect("refreshes");
    assert_eq!(tokens.refresh_token.as_ref().map(|token| token.expose_secret()), Some("refresh-1"));
    assert!(tokens.id_token.is_some(), "the old ID token stays");
}

#[tokio::test]
async fn other_providers_are_not_asked_for_scopes_anew() {
    let bench = Bench::with_config(generic());
    let before = signed_in(&bench).await;
    let tokens = refresh(&bench, &before, Answer::json(200, &renewed(None))).await.expect("refreshes");
    assert!(!bench.script.last("/token").form.contains_key("scope"));
    assert_eq!(tokens.access_token.expose_secret(), "access-2");
    let scopes = ["api".to_owned()];
    bench
        .client
        .refresh(&before.identity, &before.tokens, RefreshRequest { scopes: Some(&scopes), claims: None })
        .await
        .expect("refreshes");
    assert_eq!(bench.script.last("/token").form["scope"], "api");
}

#[tokio::test]
async fn s_20_an_id_token_that_does_not_belong_to_the_grant_drops_the_whole_answer() {
    type Edit = fn(&mut Token);
    let edits: [(&str, Edit, &str); 12] = [
        ("iss", |t| t.set("iss", format!("{AUTHORITY}/x/v2.0")), "id_token.bad_iss"),
        ("sub", |t| t.set("sub", "another"), "id_token.bad_sub"),
        ("oid", |t| t.set("oid", "00000000-0000-4000-8000-000000000000"), "id_token.bad_sub"),
        ("tid", |t| t.set("tid", OTHER_TENANT), "id_token.bad_iss"),
        ("aud", |t| t.set("aud", "another"), "id_token.bad_aud"),
        ("aud besides ours", |t| t.set("aud", json!([CLIENT_ID, "x"])), "id_token.bad_aud"),
        ("nonce", |t| t.set("nonce", "another"), "id_token.bad_nonce"),
        ("signature", |t| t.key = crate::oidc::testing::Key::B, "id_token.bad_signature"),
        ("exp", |t| t.set("exp", 1_790_000_000 + 50 * 60 - 121), "id_token.expired"),
        ("iat of long ago", |t| t.set("iat", 1_790_000_000 - 1200), "id_token.bad_iat"),
        ("no iat", |t| t.remove("iat"), "id_token.missing_claim"),
        ("no oid", |t| t.remove("oid"), "id_token.missing_oid"),
    ];
    for (name, edit, reason) in edits {
        let bench = Bench::entra();
        let before = signed_in(&bench).await;
        let mut token = bench.token();
        edit(&mut token);
        let outcome = refresh(&bench, &before, Answer::json(200, &renewed(Some(token.sign())))).await;
        match outcome.expect_err(name) {
            RefreshError::Rejected(error) => assert_eq!(error.reason(), reason, "{name}"),
            other => panic!("{name}: {other}"),
        }
    }
}

#[tokio::test]
async fn s_20_the_first_nonce_may_come_again() {
    let bench = Bench::entra();
    let before = signed_in(&bench).await;
    let first = before.tokens.id_token.as_ref().expect("an ID token").expose_secret();
    let nonce = crate::oidc::jwt::UnverifiedToken::parse(first).expect("a token").claims["nonce"].clone();
    let mut token = bench.token();
    token.set("nonce", nonce);
    assert!(refresh(&bench, &before, Answer::json(200, &renewed(Some(token.sign())))).await.is_ok());
}

#[tokio::test]
async fn s_20_keys_that_are_not_to_be_had_say_nothing_about_the_grant() {
    let bench = Bench::entra();
    let before = signed_in(&bench).await;
    bench.script.answer("/keys", Answer::lost());
    let mut token = bench.token();
    token.header.insert("kid".to_owned(), json!("rolled"));
    let outcome = refresh(&bench, &before, Answer::json(200, &renewed(Some(token.sign())))).await;
    assert!(matches!(outcome, Err(RefreshError::Unavailable { .. })), "{outcome:?}");
}

#[tokio::test]
async fn e_30_the_oauth_error_alone_decides() {
    let error = |error: &str| json!({ "error": error });
    let with = |error: &str, extra: Value| {
        let mut body = json!({ "error": error });
        body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        body
    };
    let claims = json!({ "claims": "{\"access_token\":{\"capolids\":{\"essential\":true}}}" });
    let cases = [
        (400, error("invalid_grant"), "refresh.revoked"),
        (400, with("invalid_grant", json!({ "suberror": "bad_token" })), "refresh.revoked"),
        (400, with("invalid_grant", json!({ "suberror": "token_expired" })), "refresh.revoked"),
        (400, with("invalid_grant", json!({ "suberror": "basic_action" })), "refresh.interaction_required"),
        (400, with("invalid_grant", json!({ "suberror": "consent_required" })), "refresh.interaction_required"),
        (400, with("invalid_grant", claims.clone()), "refresh.interaction_required"),
        (400, with("interaction_required", claims), "refresh.interaction_required"),
        (400, error("login_required"), "refresh.interaction_required"),
        (400, error("consent_required"), "refresh.interaction_required"),
        (401, error("invalid_client"), "refresh.invalid_client"),
        (400, error("unauthorized_client"), "refresh.invalid_client"),
        (400, error("invalid_scope"), "refresh.invalid_client"),
        (400, error("temporarily_unavailable"), "refresh.unavailable"),
        (400, error("server_error"), "refresh.unavailable"),
        (400, error("made_up"), "refresh.unavailable"),
        (500, error("invalid_grant"), "refresh.unavailable"),
        (503, json!({}), "refresh.unavailable"),
        (429, error("invalid_grant"), "refresh.throttled"),
        (200, json!({}), "refresh.unavailable"),
        // The numbers and the text say the opposite of the error: they must not count.
        (
            400,
            with(
                "temporarily_unavailable",
                json!({ "error_description": "AADSTS50173: revoked", "error_codes": [50173] }),
            ),
            "refresh.unavailable",
        ),
        (400, with("invalid_grant", json!({ "error_codes": [90033] })), "refresh.revoked"),
    ];
    for (status, body, expected) in cases {
        let bench = Bench::entra();
        let before = signed_in(&bench).await;
        let calls = bench.script.count("/token");
        let failure = refresh(&bench, &before, Answer::json(status, &body)).await.expect_err("fails");
        assert_eq!(failure.reason(), expected, "{status} {body}");
        assert_eq!(bench.script.count("/token") - calls, 1, "one call");
        let needs = matches!(expected, "refresh.revoked" | "refresh.interaction_required");
        assert_eq!(failure.needs_sign_in(), needs);
        assert_eq!(failure.grant_revoked(), expected == "refresh.revoked");
    }
}

#[tokio::test]
async fn e_30_what_support_asks_for_is_read_for_display() {
    let body = json!({
        "error": "invalid_grant",
        "error_description": "AADSTS50173: The provided grant has expired.\r\nTrace ID: 1111\r\nCorrelation ID: 2222\r\n\
                              Timestamp: 2026-11-24 10:00:00Z",
        "error_codes": [50173],
        "timestamp": "2026-11-24 10:00:01Z",
        "trace_id": "trace-1",
        "correlation_id": "correlation-1",
    });
    let bench = Bench::entra();
    let before = signed_in(&bench).await;
    let failure = refresh(&bench, &before, Answer::json(400, &body)).await.expect_err("fails");
    let words = failure.provider_error().expect("the provider's words");
    assert_eq!(words.aadsts, Some(50_173));
    assert_eq!(words.trace_id.as_deref(), Some("trace-1"));
    assert_eq!(words.correlation_id.as_deref(), Some("correlation-1"));
    assert_eq!(words.timestamp.as_deref(), Some("2026-11-24 10:00:01Z"));
    assert!(!words.to_string().contains('\r'));
}

#[tokio::test]
async fn f_05_how_long_to_wait_is_passed_on_and_bounded() {
    let cases = [
        (429, Some("7"), Some(7)),
        (503, Some("30"), Some(30)),
        (429, Some("1000000000"), Some(3600)),
        (429, Some("99999999999999999999999"), Some(3600)),
        (429, Some("soon"), None),
        (429, Some("-5"), None),
        (429, None, None),
        (429, Some("Mon, 21 Sep 2026 15:04:00 GMT"), Some(240)),
    ];
    for (status, header, expected) in cases {
        let bench = Bench::entra();
        let before = signed_in(&bench).await;
        bench.clock.advance(
            chrono::DateTime::parse_from_rfc2822("Mon, 21 Sep 2026 15:00:00 GMT").expect("a date").to_utc()
                - bench.clock.now(),
        );
        let mut answer = Answer::json(status, &json!({}));
        if let Some(header) = header {
            answer = answer.with_header("retry-after", header);
        }
        let failure = refresh(&bench, &before, answer).await.expect_err("fails");
        assert_eq!(failure.retry_after().map(|wait| wait.as_secs()), expected, "{header:?}");
    }
}

#[tokio::test]
async fn f_06_a_lost_answer_costs_one_call_and_no_grant() {
    let bench = Bench::entra();
    let before = signed_in(&bench).await;
    let failure = refresh(&bench, &before, Answer::lost()).await.expect_err("fails");
    assert_eq!(failure.reason(), "refresh.unavailable");
    assert!(!failure.needs_sign_in());
    assert_eq!(bench.script.count("/token"), 2);
}

#[tokio::test]
async fn e_34_without_a_refresh_token_nothing_is_asked() {
    let bench = Bench::entra();
    let mut before = signed_in(&bench).await;
    before.tokens.refresh_token = None;
    let failure = refresh(&bench, &before, Answer::lost()).await.expect_err("fails");
    assert_eq!(failure.reason(), "refresh.no_refresh_token");
    assert_eq!(bench.script.count("/token"), 1, "only the sign-in's");
}

#[tokio::test]
async fn f_15_readiness_follows_the_credential_and_not_the_grants() {
    let bench = Bench::entra();
    let before = signed_in(&bench).await;
    assert!(bench.client.status().is_ready());
    let refused = Answer::json(401, &json!({ "error": "invalid_client", "error_codes": [7_000_222] }));
    let failure = refresh(&bench, &before, refused).await.expect_err("fails");
    assert!(failure.provider_error().expect("words").advice().what_to_do.contains("ENTRA_CLIENT_SECRET"));
    assert!(!bench.client.status().is_ready());
    let revoked = Answer::json(400, &json!({ "error": "invalid_grant" }));
    refresh(&bench, &before, revoked).await.expect_err("fails");
    assert!(bench.client.status().is_ready(), "a refused grant shows that the credential works");
    assert_eq!(before.tokens.access_token.expose_secret(), ACCESS_TOKEN);
}

#[tokio::test]
async fn f_01_readiness_comes_back_alone_after_an_outage_and_not_while_the_credential_is_refused() {
    let outage = Answer::bytes(503, "text/plain", "x");
    let refused = Answer::json(401, &json!({ "error": "invalid_client" }));
    for (answer, comes_back) in [(outage, true), (refused, false)] {
        let bench = Bench::entra();
        let before = signed_in(&bench).await;
        refresh(&bench, &before, answer).await.expect_err("fails");
        assert!(!bench.client.status().is_ready());
        bench.clock.advance(Duration::seconds(61));
        assert_eq!(bench.client.status().is_ready(), comes_back);
        bench.clock.advance(Duration::hours(25));
        assert!(!bench.client.status().is_ready(), "metadata and keys of yesterday serve nobody");
    }
}

#[tokio::test]
async fn e_39_a_challenge_is_merged_with_what_this_client_handles() {
    let bench = Bench::entra();
    let before = signed_in(&bench).await;
    assert_eq!(bench.script.last("/token").form["claims"], r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#);
    bench.script.answer("/token", Answer::json(200, &renewed(None)));
    let challenge = r#"{"access_token":{"nbf":{"essential":true,"value":"1"}}}"#;
    let request = RefreshRequest { claims: Some(challenge), ..RefreshRequest::default() };
    bench.client.refresh(&before.identity, &before.tokens, request).await.expect("refreshes");
    let sent: Value = serde_json::from_str(&bench.script.last("/token").form["claims"]).expect("JSON");
    let expected = json!({ "access_token": {
        "nbf": { "essential": true, "value": "1" },
        "xms_cc": { "values": ["cp1"] },
    } });
    assert_eq!(sent, expected);

    let other = Bench::with_config(generic());
    let before = signed_in(&other).await;
    refresh(&other, &before, Answer::json(200, &renewed(None))).await.expect("refreshes");
    assert!(!other.script.last("/token").form.contains_key("claims"), "Entra's own");
}
