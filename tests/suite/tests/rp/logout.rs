//! Signing out: begun here, begun at the provider, in the browser's frames, and behind its back.

use entra_emulator::{Endpoint, Signing};
use serde_json::{Value, json};
use store::models::SessionRecord;
use suite::{Browser, Page, TestApp};

use crate::case::{Case, case};
use crate::setup::{Setup, UPN, signs_in};

pub(crate) fn all() -> Vec<Case> {
    let mut all = in_the_browser();
    all.extend(behind_its_back());
    all
}

fn in_the_browser() -> Vec<Case> {
    vec![
        case("oidcc-client-test-rp-init-logout", begun_here),
        case("oidcc-client-test-rp-init-logout-other-state", || returns_with("?state=another")),
        case("oidcc-client-test-rp-init-logout-no-state", || returns_with("")),
        case("oidcc-client-test-rp-frontchannel-rpinitlogout", frames_of_a_sign_out_begun_here),
        case("oidcc-client-test-rp-frontchannel-opinitlogout", frames_of_a_sign_out_begun_there),
    ]
}

/// Presses the button and goes to the provider: its answer.
async fn sign_out(browser: &Browser) -> Page {
    let profile = browser.get("/profile").await;
    let answer = browser.submit(&profile.form("/auth/sign-out")).await;
    answer.assert_status(303);
    let target = answer.location().expect("to the provider");
    browser.get(target.as_str()).await
}

async fn assert_signed_out(browser: &Browser) {
    browser.get("/profile").await.assert_status(303);
}

async fn begun_here() {
    let app = Setup::Generic.start().await;
    let browser = signs_in(&app).await;
    let back = sign_out(&browser).await;
    assert_signed_out(&browser).await;
    let request = app.emulator.control().requests_of(Endpoint::Logout).remove(0);
    let signed_out = format!("{}/auth/signed-out", app.origin());
    assert_eq!(request.parameter("post_logout_redirect_uri"), Some(signed_out.as_str()));
    assert!(request.parameter("id_token_hint").is_some(), "the provider is told which session");
    browser.follow(back).await.assert_status(200).assert_text("signed out");
}

/// The way back is a plain page: what state the provider makes up has no say.
async fn returns_with(query: &str) {
    let app = Setup::Generic.start().await;
    let browser = signs_in(&app).await;
    sign_out(&browser).await;
    let page = browser.get(&format!("/auth/signed-out{query}")).await;
    page.assert_status(200).assert_text("signed out");
    assert!(!page.body.contains("another"), "the state is not shown");
    assert_signed_out(&browser).await;
}

/// An application whose front-channel logout URL the provider knows; it sends `iss` and `sid`.
async fn with_frames() -> TestApp {
    let app = Setup::Generic.start().await;
    let url = format!("{}/auth/front-channel-logout", app.origin());
    app.emulator.control().set_front_channel_logout_urls(&[&url]);
    app.emulator.control().set_front_channel_iss(true);
    app
}

/// Loads the page's frames as a browser does that keeps third-party cookies back.
async fn load_frames(app: &TestApp, page: &Page) {
    let document = page.sources("iframe");
    assert_eq!(document.len(), 1, "one frame: {}", page.body);
    for frame in document {
        let answer = app.browser().get(&frame).await;
        answer.assert_status(200);
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

async fn frames_of_a_sign_out_begun_here() {
    let app = with_frames().await;
    let (browser, elsewhere) = (signs_in(&app).await, signs_in(&app).await);
    let page = sign_out(&browser).await;
    load_frames(&app, &page).await;
    assert_signed_out(&browser).await;
    elsewhere.get("/profile").await.assert_status(200);
}

async fn frames_of_a_sign_out_begun_there() {
    let app = with_frames().await;
    let (browser, elsewhere) = (signs_in(&app).await, signs_in(&app).await);
    let logout = format!("{}/{}/oauth2/v2.0/logout", app.emulator.base_url(), app.emulator.tenant_id());
    let page = browser.get(&logout).await;
    browser.get("/profile").await.assert_status(200);
    load_frames(&app, &page).await;
    assert_signed_out(&browser).await;
    elsewhere.get("/profile").await.assert_status(200);
}

/// Back-channel logout: `edit` is a merge patch of the logout token's claims.
fn behind_its_back() -> Vec<Case> {
    let refused = |fault: &str, edit: Value, signing| {
        let id = format!("oidcc-client-test-rp-backchannel-rpinitlogout-{fault}");
        case(&id, move || async move { logout_token(edit, signing, 400).await })
    };
    let other_event = json!({"events": {EVENT: null, "https://example.com/event": {}}});
    vec![
        case("oidcc-client-test-rp-backchannel-rpinitlogout", || logout_token(json!({}), Signing::Current, 200)),
        refused("alg-none", json!({}), Signing::None),
        refused("no-event", json!({"events": null}), Signing::Current),
        refused("with-nonce", json!({"nonce": "a-nonce"}), Signing::Current),
        refused("wrong-alg", json!({}), Signing::HmacWithClientSecret),
        refused("wrong-aud", json!({"aud": "another-client"}), Signing::Current),
        refused("wrong-event", other_event, Signing::Current),
        refused("wrong-iss", json!({"iss": "https://attacker.example"}), Signing::Current),
    ]
}

/// The member of `events` in a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Posts a logout token for the session's `sid`: `status` says whether the session ends by it.
async fn logout_token(edit: Value, signing: Signing, status: u16) {
    let app = Setup::Generic.start().await;
    let browser = signs_in(&app).await;
    let control = app.emulator.control();
    let mut claims = logout_claims(&app, &sid(&app).await);
    entra_emulator::merge_patch(&mut claims, &edit);
    let token = control.sign_jwt(json!({"typ": "logout+jwt"}), claims, signing);
    let answer = app.browser().post_raw("/auth/back-channel-logout", format!("logout_token={token}"), &[]).await;
    answer.assert_status(status);
    assert_eq!(answer.header("cache-control"), "no-store");
    browser.get("/profile").await.assert_status(if status == 200 { 303 } else { 200 });
}

/// The claims of a good logout token for this session of the provider.
pub(crate) fn logout_claims(app: &TestApp, sid: &str) -> Value {
    let now = app.emulator.control().now();
    json!({
        "iss": app.emulator.issuer(), "aud": app.emulator.client_id(), "iat": now, "exp": now + 120,
        "jti": "a-jti", "events": {EVENT: {}}, "sid": sid,
    })
}

/// The provider's id of the person's only session.
async fn sid(app: &TestApp) -> String {
    let user = app.db_user(UPN).await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let sessions = SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await;
    sessions.expect("sessions").remove(0).sid.expect("a sid")
}
