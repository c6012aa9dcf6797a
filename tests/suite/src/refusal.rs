//! How to judge from outside that a sign-in was refused: six points, the same for every case.

use entra_emulator::{Endpoint, KeySetShape};

use crate::{Browser, LogMark, Page, TestApp};

/// A session id that an attacker planted, or one that is long gone.
const PLANTED: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// Who a good sign-in afterwards is.
const GOOD: &str = "member1";

/// Where tokens are used: nothing may be asked there with a token that was refused.
const TOKEN_USERS: [Endpoint; 7] = [
    Endpoint::Userinfo,
    Endpoint::Me,
    Endpoint::Photo,
    Endpoint::Manager,
    Endpoint::Groups,
    Endpoint::Users,
    Endpoint::ClaimSource,
];

/// A sign-in that must be refused, watched from before it begins.
///
/// ```text
/// let refusal = Refusal::watch(&app).await;
/// let answer = refusal.browser.sign_in("member1").await;
/// refusal.assert(&answer, "id_token.bad_iss").await;
/// ```
pub struct Refusal<'a> {
    /// The browser to sign in with: it holds a session id that is none.
    pub browser: Browser,
    app: &'a TestApp,
    rows: String,
    failures: usize,
    token_uses: u64,
    user_info_calls: u64,
    log: LogMark,
}

impl<'a> Refusal<'a> {
    /// Remembers how things stand before the sign-in.
    pub async fn watch(app: &'a TestApp) -> Self {
        app.settle().await;
        let browser = app.browser();
        browser.set_cookie("id", PLANTED);
        Self {
            browser,
            app,
            rows: rows(app).await,
            failures: failures(app).await.len(),
            token_uses: token_uses(app),
            user_info_calls: 0,
            log: LogMark::here(),
        }
    }

    /// For what is refused because of the user info response: the ID token was good, so it was asked for.
    #[must_use]
    pub fn after_user_info(mut self) -> Self {
        self.user_info_calls = 1;
        self
    }

    /// Judges `answer`, the callback's, and ends by clearing the emulator's faults and signing in
    /// well. `reason` is the code, or its beginning, in the audit event.
    ///
    /// # Panics
    /// When one of the six points does not hold.
    pub async fn assert(self, answer: &Page, reason: &str) {
        assert_is_refused(answer, if is_outage(reason) { &[503] } else { &[400, 403] });
        self.assert_no_session().await;
        self.app.settle().await;
        assert_eq!(token_uses(self.app), self.token_uses + self.user_info_calls, "{reason}: no token is used");
        assert_eq!(rows(self.app).await, self.rows, "{reason}: no user and no grant is made or changed");
        self.assert_recorded(reason).await;
        self.assert_good_sign_in().await;
    }

    /// Judges `answer`, that of the sign-in form: the browser is not sent to the provider at all.
    /// There is no audit event, as beginning a sign-in writes nothing; the log has the reason.
    ///
    /// # Panics
    /// When one of the points does not hold.
    pub async fn assert_not_begun(self, answer: &Page, reason: &str) {
        assert_is_refused(answer, &[400, 503]);
        assert_eq!(self.app.emulator.control().count(Endpoint::Authorize), 0, "{reason}: nobody is sent there");
        self.assert_no_session().await;
        assert_eq!(rows(self.app).await, self.rows, "{reason}: nothing is written");
        assert_eq!(failures(self.app).await.len(), self.failures, "{reason}: nothing is written");
        self.log.assert_has(reason);
        self.log.assert_no_token();
        self.assert_good_sign_in().await;
    }

    /// Point 2: no authenticated session, and the id at hand is not adopted.
    async fn assert_no_session(&self) {
        let profile = self.browser.get("/profile").await;
        profile.assert_status(303);
        assert!(profile.location_path().starts_with("/auth/sign-in"), "{}", profile.location_path());
        let id = self.browser.cookie("id");
        assert!(id.as_deref().is_none_or(|id| id == PLANTED), "the session is not upgraded");
    }

    /// Point 5: one audit event with a reason, no token text there or in the log.
    async fn assert_recorded(&self, reason: &str) {
        let events = failures(self.app).await;
        assert_eq!(events.len(), self.failures + 1, "{reason}: one event");
        let newest = events.first().expect("an event");
        assert!(newest.contains(&format!("\"reason\":\"{reason}")), "{reason}: {newest}");
        assert!(!crate::log::holds_token(newest), "{newest}");
        self.log.assert_no_token();
    }

    /// Point 6: a good sign-in right after works.
    async fn assert_good_sign_in(&self) {
        let control = self.app.emulator.control();
        control.clear_faults();
        control.set_key_set_shape(KeySetShape::default());
        control.set_clock_offset(0);
        // After a fetch that failed the provider is left alone for five seconds.
        self.app.advance(6);
        let browser = self.app.sign_in(GOOD).await;
        browser.get("/profile").await.assert_status(200);
    }
}

/// Reasons that are the provider's trouble: then the page says so, and that trying again helps.
fn is_outage(reason: &str) -> bool {
    reason.starts_with("keys.") || reason == "provider.unavailable"
}

/// Point 1: the status, our page, not kept.
#[track_caller]
fn assert_is_refused(answer: &Page, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status), "{}: {}", answer.status, answer.text());
    assert!(answer.header("content-type").starts_with("text/html"), "{:?}", answer.headers);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.assert_text("Request id");
    assert!(!crate::log::holds_token(&answer.body), "a token is on the page");
}

/// Every user and every grant, as text to compare.
async fn rows(app: &TestApp) -> String {
    let users = app.db_users("").await;
    let mut rows = String::new();
    for user in &users {
        rows += &format!("{user:?}\n{:?}\n", app.db_grants(user).await);
    }
    rows
}

/// The details of the failed sign-ins, newest first.
async fn failures(app: &TestApp) -> Vec<String> {
    app.db_events("sign_in.failed").await.into_iter().map(|event| event.detail).collect()
}

fn token_uses(app: &TestApp) -> u64 {
    TOKEN_USERS.iter().map(|endpoint| app.emulator.control().count(*endpoint)).sum()
}
