//! Errors and outages: each error of Entra at the token endpoint and with the browser, and endpoints
//! that answer badly or not at all.

use entra_emulator::{Control, Endpoint, Fault};
use suite::{Refusal, TestApp};

use crate::case::{Case, case};
use crate::setup::{PERSON, signs_in};

/// E-30: AADSTS codes by what they mean for this application. They arrive where people are not
/// asked any more: at the token endpoint.
const BY_MEANING: [(&str, &[u32], &[u16]); 8] = [
    ("registration", &[50011, 700016, 90002, 50194, 70011, 28002, 650056, 65005], &[400]),
    ("credential", &[7000215, 7000222, 700027, 7000218, 700025], &[400]),
    ("consent", &[65001, 65004, 90094, 90095], &[400, 403]),
    (
        "second-factor",
        &[50076, 50079, 50074, 50078, 50072, 50158, 53000, 53001, 53002, 53003, 53004, 530032, 50131, 50097],
        &[400],
    ),
    ("revoked", &[50173, 70008, 700082, 70043, 70000, 50089], &[400]),
    ("code", &[54005, 501481], &[400]),
    ("account", &[50057, 50034, 51004, 50020, 16000, 90072, 50014, 50105, 50058], &[400, 403]),
    ("passing", &[90033, 90006, 90090, 90024, 50033, 50087, 90012], &[503]),
];

pub(crate) fn all() -> Vec<Case> {
    let mut all: Vec<Case> = BY_MEANING
        .iter()
        .map(|(meaning, codes, statuses)| case(&format!("error-{meaning}"), || each_error(codes, statuses)))
        .collect();
    all.push(case("error-throttled", || each_error(&[50196, 90055], &[400, 503])));
    all
}

/// None of them signs anybody in or stores anything, each is on record, and none is tried again.
async fn each_error(codes: &'static [u32], statuses: &'static [u16]) {
    let app = TestApp::start().await;
    let browser = app.browser();
    for (number, code) in codes.iter().enumerate() {
        assert!(Control::knows_aadsts(*code), "{code}");
        app.emulator.control().fault_next(Endpoint::Token, 1, Fault::aadsts(*code));
        let answer = browser.sign_in(PERSON).await;
        assert!(statuses.contains(&answer.status), "{code}: {}", answer.status);
        assert_eq!(answer.header("cache-control"), "no-store", "{code}");
        assert_eq!(browser.cookie("id"), None, "{code}");
        assert!(app.db_users("").await.is_empty(), "{code}");
        let events = app.db_events("sign_in.failed").await;
        assert_eq!(events.len(), number + 1, "{code}: one event each");
        assert!(events[0].detail.contains(r#""reason":"provider."#), "{code}: {}", events[0].detail);
        assert_eq!(app.emulator.control().count(Endpoint::Token), number as u64 + 1, "{code}: one call each");
    }
    signs_in(&app).await;
}

/// An application that waits two seconds for its provider and tries nothing again.
async fn impatient() -> TestApp {
    let app = TestApp::builder().setting("HTTP_TIMEOUT", "2s").setting("HTTP_RETRIES", "0").start().await;
    // Making the process's first key can take longer than that.
    assert!(!app.emulator.control().current_kid().is_empty(), "a key");
    app
}

/// A case in which an endpoint answers badly, so that the sign-in must be refused.
pub(super) fn serves(id: &str, endpoint: Endpoint, fault: Fault, reason: &'static str) -> Case {
    case(id, move || async move {
        let app = impatient().await;
        app.emulator.control().fault(endpoint, fault);
        let refusal = Refusal::watch(&app).await;
        let answer = refusal.browser.sign_in(PERSON).await;
        refusal.assert(&answer, reason).await;
    })
}

/// A case in which an endpoint answers badly, so that the sign-in is not begun.
pub(super) fn does_not_begin_when_served(id: &str, endpoint: Endpoint, fault: Fault, reason: &'static str) -> Case {
    case(id, move || async move {
        let app = impatient().await;
        app.emulator.control().fault(endpoint, fault);
        let refusal = Refusal::watch(&app).await;
        let page = refusal.browser.get("/auth/sign-in").await;
        let answer = refusal.browser.submit(&page.form("/auth/sign-in")).await;
        refusal.assert_not_begun(&answer, reason).await;
    })
}
