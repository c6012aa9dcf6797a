//! RP Config: discovery and the rotation of keys.

use entra_emulator::{Endpoint, Rotation};
use serde_json::json;
use suite::TestApp;

use crate::case::{Case, case};
use crate::setup::{Setup, merge, signs_in};

pub(crate) fn all() -> Vec<Case> {
    let setup = Setup::Generic;
    vec![
        case("oidcc-client-test-discovery-openid-config", endpoints_of_the_document),
        case("oidcc-client-test-discovery-jwks-uri-keys", keys_of_the_document),
        setup.does_not_begin("oidcc-client-test-discovery-issuer-mismatch", other_issuer, "metadata.bad_issuer"),
        setup.accepts("oidcc-client-test-signing-key-rotation-just-before-signing", |app| {
            app.emulator.control().rotate_keys_before_next_signing(Rotation::default());
        }),
        case("oidcc-client-test-signing-key-rotation", rotation_between_sign_ins),
    ]
}

/// The issuer with a word more.
pub(crate) fn other_issuer(app: &TestApp) {
    let issuer = format!("{}INVALID", app.emulator.issuer());
    merge(app.emulator.control(), Endpoint::Metadata, json!({"issuer": issuer}));
}

/// The same endpoints at other addresses: `contoso.example` is the tenant's other name.
fn elsewhere(app: &TestApp, path: &str) -> String {
    format!("{}/contoso.example/{path}", app.emulator.base_url())
}

async fn endpoints_of_the_document() {
    let app = Setup::Generic.start().await;
    let document = json!({
        "authorization_endpoint": elsewhere(&app, "oauth2/v2.0/authorize"),
        "token_endpoint": elsewhere(&app, "oauth2/v2.0/token"),
    });
    merge(app.emulator.control(), Endpoint::Metadata, document);
    signs_in(&app).await;
    let control = app.emulator.control();
    let document = control.requests_of(Endpoint::Metadata).remove(0);
    assert!(document.path.ends_with("/v2.0/.well-known/openid-configuration"), "{}", document.path);
    for (endpoint, path) in [(Endpoint::Authorize, "authorize"), (Endpoint::Token, "token")] {
        assert_eq!(control.requests_of(endpoint).remove(0).path, format!("/contoso.example/oauth2/v2.0/{path}"));
    }
}

async fn keys_of_the_document() {
    let app = Setup::Generic.start().await;
    let jwks_uri = elsewhere(&app, "discovery/v2.0/keys");
    merge(app.emulator.control(), Endpoint::Metadata, json!({"jwks_uri": jwks_uri}));
    signs_in(&app).await;
    let keys = app.emulator.control().requests_of(Endpoint::Keys).remove(0);
    assert_eq!(keys.path, "/contoso.example/discovery/v2.0/keys");
}

async fn rotation_between_sign_ins() {
    let app = Setup::Generic.start().await;
    signs_in(&app).await;
    app.emulator.control().rotate_keys(Rotation::default());
    app.advance(3);
    signs_in(&app).await;
    assert_eq!(app.emulator.control().count(Endpoint::Keys), 2, "one fetch more");
}
