//! The metadata: what it says, and the endpoint that serves it.

use entra_emulator::{Endpoint, Fault, Signing, TokenEdit};
use serde_json::{Value, json};
use suite::TestApp;

use super::errors::does_not_begin_when_served;
use crate::case::{Case, case};
use crate::setup::{Setup, merge, signs_in};

pub(crate) fn all() -> Vec<Case> {
    let groups = [issuers(), endpoints(), missing(), algorithms(), served()];
    groups.into_iter().flatten().collect()
}

/// A sign-in is not begun with metadata that `edit` gives (a merge patch).
fn refused(id: &str, edit: Value, reason: &'static str) -> Case {
    Setup::Entra.does_not_begin(id, move |app| merge(app.emulator.control(), Endpoint::Metadata, edit), reason)
}

fn issuers() -> Vec<Case> {
    let template = |app: &TestApp| {
        let issuer = format!("{}/{{tenantid}}/v2.0", app.emulator.base_url());
        merge(app.emulator.control(), Endpoint::Metadata, json!({"issuer": issuer}));
    };
    vec![
        refused(
            "metadata-issuer-of-attacker",
            json!({"issuer": "https://attacker.example/v2.0"}),
            "metadata.bad_issuer",
        ),
        Setup::Entra.does_not_begin("metadata-issuer-template", template, "metadata.bad_issuer"),
        refused("metadata-issuer-number", json!({"issuer": 1}), "metadata.missing_field"),
    ]
}

fn endpoints() -> Vec<Case> {
    let elsewhere =
        |field: &str, address: &str| Value::Object([(field.to_owned(), address.into())].into_iter().collect());
    let mut all = Vec::new();
    for field in ["authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"] {
        let http = elsewhere(field, "http://attacker.example/endpoint");
        all.push(refused(&format!("metadata-http-{field}"), http, "metadata.bad_endpoint"));
        let other_host = elsewhere(field, "https://attacker.example/endpoint");
        all.push(refused(&format!("metadata-other-host-{field}"), other_host, "metadata.bad_endpoint"));
    }
    let script = elsewhere("authorization_endpoint", "javascript:alert(1)");
    all.push(refused("metadata-script-authorization_endpoint", script, "metadata.bad_endpoint"));
    all
}

fn missing() -> Vec<Case> {
    let without = |field: &str| Value::Object([(field.to_owned(), Value::Null)].into_iter().collect());
    let needed = ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"];
    let mut all: Vec<Case> = needed
        .into_iter()
        .map(|field| refused(&format!("metadata-without-{field}"), without(field), "metadata.missing_field"))
        .collect();
    let userinfo = without("userinfo_endpoint");
    all.push(Setup::Generic.accepts("metadata-without-userinfo_endpoint", move |app| {
        merge(app.emulator.control(), Endpoint::Metadata, userinfo);
    }));
    all.push(case("metadata-without-end_session_endpoint", sign_out_here_alone));
    all
}

/// Without an address to sign out at, signing out here works all the same.
async fn sign_out_here_alone() {
    let app = Setup::Entra.start().await;
    merge(app.emulator.control(), Endpoint::Metadata, json!({"end_session_endpoint": null}));
    let browser = signs_in(&app).await;
    let answer = browser.submit(&browser.get("/profile").await.form("/auth/sign-out")).await;
    answer.assert_status(303);
    assert_eq!(answer.location_path(), "/auth/signed-out");
    browser.get("/profile").await.assert_status(303);
}

/// L-01: what the metadata lists does not widen what is accepted.
fn algorithms() -> Vec<Case> {
    let advertised = |id: &str, algorithm: &'static str, signing| {
        let misbehave = move |app: &TestApp| {
            let algorithms = json!({"id_token_signing_alg_values_supported": [algorithm]});
            merge(app.emulator.control(), Endpoint::Metadata, algorithms);
            app.emulator.control().edit_id_token(None, TokenEdit::signing(signing));
        };
        Setup::Entra.refuses(id, misbehave, "id_token.bad_alg")
    };
    vec![
        advertised("metadata-hs256-advertised", "HS256", Signing::HmacWithClientSecret),
        advertised("metadata-none-advertised", "none", Signing::None),
    ]
}

fn served() -> Vec<Case> {
    let served = |id: &str, fault, reason| does_not_begin_when_served(id, Endpoint::Metadata, fault, reason);
    vec![
        served("metadata-html", Fault::html(), "metadata.malformed"),
        served("metadata-truncated", Fault::Truncate, "metadata.malformed"),
        served("metadata-50-mb", Fault::Huge { megabytes: 50 }, "provider.unavailable"),
        served("metadata-500", Fault::respond(500, ""), "provider.unavailable"),
        served("metadata-redirect", Fault::redirect("/_claim-source/metadata"), "provider.unavailable"),
        served("metadata-hang", Fault::Hang, "provider.unavailable"),
    ]
}
