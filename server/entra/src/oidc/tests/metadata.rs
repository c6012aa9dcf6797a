//! Discovery: OpenID Connect Discovery 1.0, section 4.

use std::sync::Arc;

use chrono::Duration;
use serde_json::{Value, json};

use crate::config::{ProviderConfig, ProviderKind};
use crate::oidc::testing::{
    AUTHORITY, Answer, Bench, GENERIC_ISSUER, REDIRECT, TENANT, document, entra, generic, multi, single,
};
use crate::oidc::{BeginOptions, OidcError};

const WELL_KNOWN: &str = "/.well-known/openid-configuration";

async fn outcome(config: ProviderConfig, edit: impl FnOnce(&mut Value)) -> Result<(), OidcError> {
    let bench = Bench::with_config(config);
    let mut metadata = document(&bench.config);
    edit(&mut metadata);
    bench.set_metadata(&metadata);
    bench.client.begin(BeginOptions::new(REDIRECT)).await.map(drop)
}

#[tokio::test]
async fn l_03_and_e_10_the_issuer_must_be_the_one_asked_for() {
    for config in [entra(single()), entra(multi(&[TENANT])), generic()] {
        let good = document(&config)["issuer"].as_str().expect("text").to_owned();
        assert!(outcome(config.clone(), |_| ()).await.is_ok(), "{good}");
        for bad in [format!("{good}INVALID"), format!("{good}/"), good.to_uppercase(), "https://example.com".to_owned()]
        {
            let error = outcome(config.clone(), |metadata| metadata["issuer"] = json!(bad)).await.expect_err("refused");
            assert_eq!(error.reason(), "metadata.bad_issuer", "{bad}");
            assert!(error.to_string().contains(&good), "{error}");
        }
    }
}

#[tokio::test]
async fn e_10_a_template_is_no_issuer_of_a_single_tenant() {
    let template = format!("{AUTHORITY}/{{tenantid}}/v2.0");
    let error = outcome(entra(single()), |metadata| metadata["issuer"] = json!(template)).await.expect_err("refused");
    assert_eq!(error.reason(), "metadata.bad_issuer");
}

#[tokio::test]
async fn a_missing_member_is_named() {
    for field in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
        for value in [None, Some(json!(7))] {
            let edit = |metadata: &mut Value| match &value {
                Some(value) => metadata[field] = value.clone(),
                None => drop(metadata.as_object_mut().expect("an object").remove(field)),
            };
            let error = outcome(generic(), edit).await.expect_err("refused");
            assert_eq!(error.reason(), "metadata.missing_field");
            assert!(error.to_string().contains(&format!("`{field}`")), "{error}");
        }
    }
    let without_options = |metadata: &mut Value| {
        let members = metadata.as_object_mut().expect("an object");
        members.retain(|name, _| {
            ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"].contains(&name.as_str())
        });
    };
    assert!(outcome(generic(), without_options).await.is_ok());
}

#[tokio::test]
async fn s_12_endpoints_are_https_and_where_they_belong() {
    let cases = [
        ("http://op.example/x", false, false),
        ("https://op.example/x#fragment", false, false),
        ("https://user@op.example/x", false, false),
        ("https://localhost/x", false, false),
        ("http://127.0.0.1:8080/x", false, false),
        ("not a url", false, false),
        ("file:///etc/passwd", false, false),
        ("https://elsewhere.example/x", true, false),
        ("https://login.example/x", true, true),
        ("https://login.example.evil.example/x", true, false),
    ];
    for (url, in_generic, in_entra) in cases {
        for field in ["authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"] {
            for (config, expected) in [(generic(), in_generic), (entra(single()), in_entra)] {
                let outcome = outcome(config, |metadata| metadata[field] = json!(url)).await;
                assert_eq!(outcome.is_ok(), expected, "{field} {url}");
                if let Err(error) = outcome {
                    assert_eq!(error.reason(), "metadata.bad_endpoint");
                    assert!(error.to_string().contains(field), "{error}");
                }
            }
        }
    }
    let graph =
        |metadata: &mut Value| metadata["userinfo_endpoint"] = json!("https://graph.microsoft.com/oidc/userinfo");
    assert!(outcome(entra(single()), graph).await.is_ok());
}

#[tokio::test]
async fn loopback_may_be_http_when_the_provider_is_on_loopback() {
    let issuer = "http://localhost:3001".to_owned();
    let config = ProviderConfig { kind: ProviderKind::Generic { issuer }, ..generic() };
    assert!(outcome(config.clone(), |_| ()).await.is_ok());
    assert!(
        outcome(config, |metadata| metadata["token_endpoint"] = json!("http://127.0.0.1:3002/token")).await.is_ok()
    );
}

#[tokio::test]
async fn e_15_a_query_of_the_authority_is_kept() {
    let config = |authority: &str| ProviderConfig {
        kind: ProviderKind::Entra { authority: authority.to_owned(), tenant: single() },
        ..entra(single())
    };
    let bench = Bench::with_config(config("https://login.example?appid=abc"));
    bench.begin().await;
    let expected = format!("https://login.example/{TENANT}/v2.0{WELL_KNOWN}?appid=abc");
    assert_eq!(bench.script.last(WELL_KNOWN).url, expected);
    let bench = Bench::with_config(config("https://login.example/?appid=abc"));
    bench.begin().await;
    assert_eq!(bench.script.last(WELL_KNOWN).url, expected);
}

#[tokio::test]
async fn where_the_metadata_is() {
    let cases = [
        (entra(single()), format!("{AUTHORITY}/{TENANT}/v2.0{WELL_KNOWN}")),
        (entra(multi(&[TENANT])), format!("{AUTHORITY}/organizations/v2.0{WELL_KNOWN}")),
        (generic(), format!("{GENERIC_ISSUER}{WELL_KNOWN}")),
    ];
    for (config, expected) in cases {
        let bench = Bench::with_config(config);
        bench.begin().await;
        assert_eq!(bench.script.last(WELL_KNOWN).url, expected);
    }
    let slash = ProviderKind::Generic { issuer: "https://op.example/".to_owned() };
    let bench = Bench::with_config(ProviderConfig { kind: slash, ..generic() });
    bench.begin().await;
    assert_eq!(bench.script.last(WELL_KNOWN).url, format!("https://op.example{WELL_KNOWN}"));
}

#[tokio::test]
async fn f_04_what_is_no_metadata_is_refused() {
    let cases = [
        (Answer::bytes(200, "text/html", "<html>"), "metadata.malformed"),
        (Answer::bytes(200, "application/json", "[]"), "metadata.malformed"),
        (Answer::bytes(200, "application/json", ""), "metadata.malformed"),
        (Answer::bytes(500, "application/json", "{}"), "provider.unavailable"),
        (Answer::bytes(404, "text/html", "x"), "provider.unavailable"),
        (Answer::bytes(302, "text/html", "x").with_header("location", "https://evil.example"), "provider.unavailable"),
        (Answer::bytes(200, "application/json", "x".repeat(300 * 1024)), "provider.unavailable"),
        (Answer::lost(), "provider.unavailable"),
        (
            Answer::json(
                400,
                &json!({ "error": "invalid_tenant", "error_description": "AADSTS90002: Tenant 'x' not found." }),
            ),
            "provider.error",
        ),
    ];
    for (answer, expected) in cases {
        let bench = Bench::entra();
        bench.script.answer(WELL_KNOWN, answer.clone());
        let error = bench.client.begin(BeginOptions::new(REDIRECT)).await.expect_err("refused");
        assert_eq!(error.reason(), expected, "{answer:?}");
        if expected == "provider.error" {
            assert!(error.advice().what_to_do.contains("ENTRA_TENANT_ID"));
        }
    }
}

#[tokio::test]
async fn it_is_refreshed_each_hour_beside_the_calls_and_outlives_a_day_of_failures() {
    let bench = Bench::entra();
    bench.begin().await;
    bench.clock.advance(Duration::minutes(59));
    bench.begin().await;
    assert_eq!(bench.script.count(WELL_KNOWN), 1);

    let mut moved = document(&bench.config);
    moved["authorization_endpoint"] = json!(format!("{AUTHORITY}/moved/authorize"));
    bench.set_metadata(&moved);
    bench.clock.advance(Duration::minutes(2));
    assert!(!bench.begin().await.url.as_str().contains("moved"), "nobody waits for the refresh");
    settle().await;
    assert!(bench.begin().await.url.as_str().contains("moved"), "s_12: the next refresh follows");

    bench.script.answer(WELL_KNOWN, Answer::bytes(500, "text/plain", "x"));
    bench.clock.advance(Duration::hours(23));
    assert!(bench.begin().await.url.as_str().contains("moved"));
    settle().await;
    assert!(bench.client.status().metadata.is_failing);
    bench.clock.advance(Duration::hours(2));
    assert!(bench.client.begin(BeginOptions::new(REDIRECT)).await.is_err());
}

/// Lets tasks beside this one run to their end.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_crowd_on_a_cold_cache_makes_one_fetch() {
    let bench = Arc::new(Bench::entra());
    let crowd: Vec<_> = (0..50)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.begin().await })
        })
        .collect();
    for one in crowd {
        one.await.expect("begins");
    }
    assert_eq!(bench.script.count(WELL_KNOWN), 1);
}
