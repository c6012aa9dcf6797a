//! Cases of the FAPI 2.0 client plan that hold for the plain code flow, with Entra ID as the provider.

use entra_emulator::{AuthorizationEdit, Control, Endpoint, Signing, TokenEdit};
use serde_json::{Value, json};
use suite::{Refusal, TestApp};

use crate::case::{Case, case};
use crate::config::other_issuer;
use crate::refresh::refreshes;
use crate::setup::{PERSON, Setup, appended, merge, without};

const PLAN: &str = "fapi2-security-profile-final-client-";

pub(crate) fn all() -> Vec<Case> {
    let mut all = tokens();
    all.extend(responses());
    all
}

fn id(name: &str) -> String {
    format!("{PLAN}{name}")
}

/// The ID token.
fn tokens() -> Vec<Case> {
    let refused = |name: &str, edit: TokenEdit, reason| Setup::Entra.refuses_token(&id(name), edit, reason);
    vec![
        refused("test-invalid-iss", appended("iss", "1"), "id_token.bad_iss"),
        refused("test-invalid-missing-iss", without("iss"), "id_token.missing_claim"),
        refused("test-invalid-aud", appended("aud", "1"), "id_token.bad_aud"),
        refused("test-invalid-missing-aud", without("aud"), "id_token.missing_claim"),
        refused("test-invalid-secondary-aud", audiences(&["another"]), "id_token.bad_aud"),
        Setup::Entra.accepts(&id("test-valid-aud-as-array"), |app| {
            app.emulator.control().edit_id_token(None, audiences(&[]));
        }),
        refused("test-invalid-expired-exp", expired(), "id_token.expired"),
        refused("test-invalid-missing-exp", without("exp"), "id_token.missing_claim"),
        refused("test-invalid-nonce", appended("nonce", "1"), "id_token.bad_nonce"),
        refused("test-invalid-missing-nonce", without("nonce"), "id_token.missing_nonce"),
        refused("test-invalid-null-alg", TokenEdit::signing(Signing::None), "id_token.bad_alg"),
        refused("test-invalid-alternate-alg", TokenEdit::signing(Signing::Ps256), "id_token.bad_alg"),
    ]
}

/// Everything else that the provider answers.
fn responses() -> Vec<Case> {
    vec![
        Setup::Entra.does_not_begin(&id("test-discovery-issuer-mismatch"), other_issuer, "metadata.bad_issuer"),
        refused_response("test-invalid-authorization-response-iss", wrong_issuer, "callback.bad_iss"),
        refused_response("test-remove-authorization-response-iss", missing_issuer, "callback.missing_iss"),
        refused_response(
            "test-ensure-authorization-response-with-invalid-state-fails",
            |control| control.edit_authorization(None, AuthorizationEdit::set("state", "another")),
            "callback.bad_state",
        ),
        refused_response(
            "test-ensure-authorization-response-with-invalid-missing-state-fails",
            |control| control.edit_authorization(None, AuthorizationEdit::remove("state")),
            "callback.bad_state",
        ),
        Setup::Entra.accepts(&id("test-token-endpoint-response-without-expires_in"), |app| {
            merge(app.emulator.control(), Endpoint::Token, json!({"expires_in": null}));
        }),
        Setup::Entra.accepts(&id("test-token-type-case-insensitivity"), |app| {
            merge(app.emulator.control(), Endpoint::Token, json!({"token_type": "bEARER"}));
        }),
        case(&id("refresh-token-test"), || refreshes(Setup::Entra)),
    ]
}

/// `aud` as a list: this application, and others.
fn audiences(others: &'static [&str]) -> TokenEdit {
    TokenEdit::with(|_, claims| {
        let mut list = vec![claims["aud"].take()];
        list.extend(others.iter().map(|other| Value::from(*other)));
        claims["aud"] = list.into();
    })
}

/// Expired more than five minutes ago.
fn expired() -> TokenEdit {
    TokenEdit::with(|_, claims| {
        let issued = claims["iat"].as_i64().expect("a date");
        claims["exp"] = (issued - 301).into();
    })
}

fn wrong_issuer(control: &Control) {
    control.edit_authorization(None, AuthorizationEdit::set("iss", "https://attacker.example"));
}

fn missing_issuer(control: &Control) {
    control.set_response_iss(true);
    control.edit_authorization(None, AuthorizationEdit::remove("iss"));
}

/// A case with an authorization response that must be refused before its code is redeemed.
fn refused_response(name: &str, misbehave: fn(&Control), reason: &'static str) -> Case {
    case(&id(name), move || async move {
        let app: TestApp = Setup::Entra.start().await;
        misbehave(app.emulator.control());
        let refusal = Refusal::watch(&app).await;
        let answer = refusal.browser.sign_in(PERSON).await;
        assert_eq!(app.emulator.control().count(Endpoint::Token), 0, "no call with the code");
        refusal.assert(&answer, reason).await;
    })
}
