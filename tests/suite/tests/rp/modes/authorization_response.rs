//! The authorization response: what comes back with the browser.

use entra_emulator::{AuthorizationEdit, Endpoint};
use suite::{Refusal, TestApp};

use crate::case::{Case, case};
use crate::setup::{PERSON, Setup, signs_in};

pub(crate) fn all() -> Vec<Case> {
    let mut all = before_any_call();
    all.extend([
        case("response-replayed", replayed),
        case("response-code-of-another-browser", code_of_another_browser),
        case("response-in-another-browser", in_another_browser),
        case("response-code-made-up", made_up_code),
    ]);
    all
}

/// Responses that are refused before their code is redeemed.
fn before_any_call() -> Vec<Case> {
    let refused = |id: &str, edit: AuthorizationEdit, reason| {
        case(id, move || async move { refused_before_any_call(edit, reason).await })
    };
    let error = |error: &str| {
        let mut edit = AuthorizationEdit::set("error", error);
        edit.remove.push("code".to_owned());
        edit
    };
    let mut without_state = error("access_denied");
    without_state.remove.push("state".to_owned());
    vec![
        refused("response-state-other", AuthorizationEdit::set("state", "another"), "callback.bad_state"),
        refused("response-state-missing", AuthorizationEdit::remove("state"), "callback.bad_state"),
        refused("response-state-empty", AuthorizationEdit::set("state", ""), "callback.bad_state"),
        refused("response-iss-other", AuthorizationEdit::set("iss", "https://attacker.example"), "callback.bad_iss"),
        refused("response-error-with-state", error("access_denied"), "provider.access_denied"),
        refused("response-error-unknown", error("\"><script>alert(1)</script>"), "provider.error"),
        refused("response-error-without-state", without_state, "callback.bad_state"),
        refused("response-code-and-error", AuthorizationEdit::set("error", "server_error"), "callback.code_and_error"),
        refused("response-code-missing", AuthorizationEdit::remove("code"), "callback.missing_code"),
        refused("response-code-twice", AuthorizationEdit::append("code", "another"), "callback.duplicate_parameter"),
        refused("response-state-twice", AuthorizationEdit::append("state", "another"), "callback.duplicate_parameter"),
        refused("response-many-parameters", many_parameters(), "callback.malformed"),
        refused("response-too-long", AuthorizationEdit::set("code", &"A".repeat(40_000)), "callback.malformed"),
    ]
}

fn many_parameters() -> AuthorizationEdit {
    let append = (0..100).map(|number| (format!("p{number}"), "x".to_owned())).collect();
    AuthorizationEdit { append, ..AuthorizationEdit::default() }
}

async fn refused_before_any_call(edit: AuthorizationEdit, reason: &str) {
    let app = Setup::Entra.start().await;
    app.emulator.control().edit_authorization(None, edit);
    let refusal = Refusal::watch(&app).await;
    let answer = refusal.browser.sign_in(PERSON).await;
    assert_eq!(app.emulator.control().count(Endpoint::Token), 0, "no call with the code");
    refusal.assert(&answer, reason).await;
}

/// The same response a second time, after the first was taken, by another browser.
async fn replayed() {
    let app = Setup::Entra.start().await;
    let browser = app.browser();
    let response = browser.pick_only(&browser.begin("/auth/sign-in").await, PERSON).await;
    browser.deliver(response.clone()).await.assert_status(303);
    browser.get("/profile").await.assert_status(200);
    let refusal = Refusal::watch(&app).await;
    refusal.browser.begin("/auth/sign-in").await;
    let answer = refusal.browser.deliver(response).await;
    assert_eq!(app.emulator.control().count(Endpoint::Token), 1, "a code is redeemed once");
    refusal.assert(&answer, "callback.bad_state").await;
}

/// S-03: one's own state with the code that another browser's sign-in got.
async fn code_of_another_browser() {
    let app = Setup::Entra.start().await;
    let victim = app.browser();
    let response = victim.pick_only(&victim.begin("/auth/sign-in").await, "admin").await;
    let code = parameter(&response.location().expect("a redirect"), "code");
    app.emulator.control().edit_authorization(Some(1), AuthorizationEdit::set("code", &code));
    let refusal = Refusal::watch(&app).await;
    let answer = refusal.browser.sign_in(PERSON).await;
    refusal.assert(&answer, "provider.invalid_grant").await;
}

/// S-01: an attacker's response, delivered by the victim's browser.
async fn in_another_browser() {
    let app = Setup::Entra.start().await;
    let attacker = app.browser();
    let response = attacker.pick_only(&attacker.begin("/auth/sign-in").await, "member2").await;
    let refusal = Refusal::watch(&app).await;
    refusal.browser.begin("/auth/sign-in").await;
    let answer = refusal.browser.deliver(response).await;
    assert_eq!(app.emulator.control().count(Endpoint::Token), 0, "no call with the code");
    refusal.assert(&answer, "callback.bad_state").await;
}

async fn made_up_code() {
    let app: TestApp = Setup::Entra.start().await;
    app.emulator.control().edit_authorization(None, AuthorizationEdit::set("code", "made-up"));
    let refusal = Refusal::watch(&app).await;
    let answer = refusal.browser.sign_in(PERSON).await;
    refusal.assert(&answer, "provider.invalid_grant").await;
    signs_in(&app).await;
}

fn parameter(url: &url::Url, name: &str) -> String {
    url.query_pairs().find(|(found, _)| found == name).expect("the parameter").1.into_owned()
}
