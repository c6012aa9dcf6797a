//! The key set, and the endpoint that serves it.

use entra_emulator::{Endpoint, Fault, KeySetShape, Rotation};
use serde_json::json;
use suite::TestApp;

use super::errors::serves;
use crate::case::{Case, case};
use crate::setup::{Setup, merge, refuses_keys, without_kid};

pub(crate) fn all() -> Vec<Case> {
    let mut all = accepted();
    all.extend(refused());
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
