//! The token response: what it says, and what it is when it says nothing.

use std::sync::{Arc, Mutex};

use entra_emulator::{Endpoint, Fault};
use serde_json::{Value, json};
use suite::Refusal;

use super::errors::serves;
use crate::case::{Case, case};
use crate::setup::{PERSON, Setup, UPN, merge, signs_in};

pub(crate) fn all() -> Vec<Case> {
    let mut all = accepted();
    all.extend(refused());
    all.extend(served());
    all.extend([
        case("answer-id_token-of-another-person", id_token_of_another_person),
        case("answer-without-refresh_token", without_refresh_token),
    ]);
    all
}

/// Patience: a lifetime that is odd is taken for a short one.
fn accepted() -> Vec<Case> {
    let accepts = |id: &str, edit: Value| {
        Setup::Entra.accepts(id, move |app| merge(app.emulator.control(), Endpoint::Token, edit))
    };
    vec![
        accepts("answer-without-expires_in", json!({"expires_in": null})),
        accepts("answer-expires_in-text", json!({"expires_in": "3599"})),
        accepts("answer-expires_in-words", json!({"expires_in": "soon"})),
        accepts("answer-expires_in-negative", json!({"expires_in": -5})),
        accepts("answer-expires_in-huge", json!({"expires_in": u64::MAX})),
        accepts("answer-token_type-odd-case", json!({"token_type": "bEaReR"})),
        accepts("answer-without-scope", json!({"scope": null})),
        accepts("answer-unknown-members", json!({"foci": "1", "ext_expires_in": {"x": []}})),
    ]
}

fn refused() -> Vec<Case> {
    let refuses = |id: &str, edit: Value, reason| {
        Setup::Entra.refuses(id, move |app| merge(app.emulator.control(), Endpoint::Token, edit), reason)
    };
    vec![
        refuses("answer-without-id_token", json!({"id_token": null}), "id_token.absent"),
        refuses("answer-id_token-number", json!({"id_token": 1}), "token_response.malformed"),
        refuses("answer-without-access_token", json!({"access_token": null}), "token_response.malformed"),
        refuses("answer-token_type-mac", json!({"token_type": "mac"}), "token_response.malformed"),
        refuses("answer-without-token_type", json!({"token_type": null}), "token_response.malformed"),
    ]
}

fn served() -> Vec<Case> {
    let endpoint = |id: &str, fault, reason| serves(id, Endpoint::Token, fault, reason);
    let unavailable = "provider.unavailable";
    vec![
        endpoint("answer-429-retry-after", Fault::retry_after(429, "7"), unavailable),
        endpoint("answer-503-retry-after", Fault::retry_after(503, "7"), unavailable),
        endpoint("answer-503-retry-after-absurd", Fault::retry_after(503, "1000000000"), unavailable),
        endpoint("answer-500", Fault::respond(500, ""), unavailable),
        endpoint("answer-html", Fault::html(), "token_response.malformed"),
        endpoint("answer-truncated", Fault::Truncate, "token_response.malformed"),
        endpoint("answer-50-mb", Fault::Huge { megabytes: 50 }, unavailable),
        endpoint("answer-redirect", Fault::redirect("/_claim-source/token"), "token_response.malformed"),
        endpoint("answer-hang", Fault::Hang, unavailable),
        endpoint("answer-connection-closed", Fault::Close, unavailable),
        endpoint("answer-lost", Fault::LoseAnswer, unavailable),
        endpoint("answer-error-with-status-200", error_with_status_200(), "provider.invalid_grant"),
    ]
}

fn error_with_status_200() -> Fault {
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Fault::Respond { status: 200, headers, body: r#"{"error":"invalid_grant"}"#.to_owned() }
}

/// Genuine, fresh, for this application, and from another sign-in: only the nonce tells.
async fn id_token_of_another_person() {
    let app = Setup::Entra.start().await;
    let kept = Arc::new(Mutex::new(Value::Null));
    let keep = Arc::clone(&kept);
    let control = app.emulator.control();
    control.edit_json_with(Endpoint::Token, Some(1), move |answer| {
        *keep.lock().expect("the token") = answer["id_token"].clone();
    });
    app.sign_in("admin").await;
    let refusal = Refusal::watch(&app).await;
    control.edit_json_with(Endpoint::Token, Some(1), move |answer| {
        answer["id_token"] = kept.lock().expect("the token").clone();
    });
    let answer = refusal.browser.sign_in(PERSON).await;
    refusal.assert(&answer, "id_token.bad_nonce").await;
}

/// The application works without; there is nothing to refresh with.
async fn without_refresh_token() {
    let app = Setup::Entra.start().await;
    merge(app.emulator.control(), Endpoint::Token, json!({"refresh_token": null}));
    signs_in(&app).await;
    let grant = app.db_grants(&app.db_user(UPN).await).await.remove(0);
    assert_eq!((grant.has_refresh_token, grant.due_at), (false, None));
}
