//! The key set, and the endpoint that serves it.

use entra_emulator::{Endpoint, Fault, KeySetShape, Rotation, Signing};
use serde_json::json;
use suite::TestApp;
use tokio::task::JoinSet;

use super::errors::serves;
use crate::case::{Case, case};
use crate::logout::logout_claims;
use crate::setup::{PERSON, Setup, merge, refuses_keys, signs_in, without_kid};

pub(crate) fn all() -> Vec<Case> {
    let mut all = accepted();
    all.extend(refused());
    all.extend([
        case("keys-rotated-under-fifty-sign-ins", rotated_under_fifty_sign_ins),
        case("keys-unknown-in-a-flood", unknown_in_a_flood),
    ]);
    all
}

fn shaped(app: &TestApp, shape: KeySetShape) {
    app.emulator.control().set_key_set_shape(shape);
}

fn default() -> KeySetShape {
    KeySetShape::default()
}

fn accepted() -> Vec<Case> {
    let accepts = |id: &str, shape| Setup::Entra.accepts(id, move |app| shaped(app, shape));
    vec![
        accepts("keys-one", default()),
        accepts("keys-many", KeySetShape { decoys: 10, ..default() }),
        accepts("keys-1000", KeySetShape { decoys: 1000, ..default() }),
        accepts("keys-unknown-kty-among-good-ones", KeySetShape { unknown_kty: true, ..default() }),
        accepts("keys-without-use", KeySetShape { without_use: true, ..default() }),
        accepts("keys-with-alg", KeySetShape { with_alg: true, ..default() }),
        accepts("keys-without-issuer", KeySetShape { without_issuer: true, ..default() }),
        Setup::Entra.accepts("keys-rotated-just-before-signing", |app| {
            app.emulator.control().rotate_keys_before_next_signing(Rotation::default());
        }),
        Setup::Entra.accepts("keys-without-kid", |app| {
            shaped(app, KeySetShape { without_kid: true, ..default() });
            app.emulator.control().edit_id_token(None, without_kid());
        }),
    ]
}

fn refused() -> Vec<Case> {
    let refuses = |id: &str, shape, reason| Setup::Entra.refuses(id, move |app: &TestApp| shaped(app, shape), reason);
    let endpoint = |id: &str, fault, reason| serves(id, Endpoint::Keys, fault, reason);
    vec![
        case("keys-duplicate-kid", || async {
            let shape = KeySetShape { duplicate_kid: true, ..default() };
            refuses_keys(Setup::Entra.start().await, shape, "id_token.ambiguous_key").await;
        }),
        refuses("keys-rsa-1024", KeySetShape { weak: true, ..default() }, "keys.empty"),
        refuses("keys-use-enc", KeySetShape { use_enc: true, ..default() }, "keys.empty"),
        Setup::Entra.refuses(
            "keys-empty",
            |app| merge(app.emulator.control(), Endpoint::Keys, json!({"keys": []})),
            "keys.empty",
        ),
        endpoint("keys-50-mb", Fault::Huge { megabytes: 50 }, "provider.unavailable"),
        endpoint("keys-gzip-bomb", Fault::GzipBomb { megabytes: 50 }, "provider.unavailable"),
        endpoint("keys-html", Fault::html(), "keys.malformed"),
        endpoint("keys-truncated", Fault::Truncate, "keys.malformed"),
        endpoint("keys-500", Fault::respond(500, ""), "provider.unavailable"),
        endpoint("keys-redirect", Fault::redirect("/_claim-source/keys"), "provider.unavailable"),
        endpoint("keys-hang", Fault::Hang, "provider.unavailable"),
        endpoint("keys-slow-drip", Fault::Drip { milliseconds: 400 }, "provider.unavailable"),
        endpoint("keys-connection-closed", Fault::Close, "provider.unavailable"),
    ]
}

/// E-20: all of them need the new key at once, and one of them fetches it.
async fn rotated_under_fifty_sign_ins() {
    let app = Setup::Entra.start().await;
    signs_in(&app).await;
    let control = app.emulator.control();
    control.auto_sign_in(&[PERSON]);
    let mut responses = Vec::new();
    for _ in 0..50 {
        let browser = app.browser();
        let response = browser.begin("/auth/sign-in").await;
        responses.push((browser, response));
    }
    control.rotate_keys(Rotation::default());
    let mut sign_ins = JoinSet::new();
    for (browser, response) in responses {
        sign_ins.spawn(async move { browser.deliver(response).await });
    }
    for answer in sign_ins.join_all().await {
        answer.assert_status(303);
    }
    assert_eq!(control.count(Endpoint::Keys), 2, "the first set, and one with the new key");
}

/// E-20a: whoever can present a token chooses the name of its key.
async fn unknown_in_a_flood() {
    let app = Setup::Generic.start().await;
    signs_in(&app).await;
    let control = app.emulator.control();
    for number in 0..200 {
        let header = json!({"typ": "logout+jwt", "kid": format!("unknown-{number}")});
        let token = control.sign_jwt(header, logout_claims(&app, "a-session"), Signing::Current);
        let answer = app.browser().post_raw("/auth/back-channel-logout", format!("logout_token={token}"), &[]).await;
        answer.assert_status(400);
    }
    assert_eq!(control.count(Endpoint::Keys), 6, "the first set, and five more");
    signs_in(&app).await;
}
