//! Incremental consent: a page asks for another permission when somebody wants what needs it.

use entra_emulator::{AuthorizationEdit, Endpoint};
use server::tokens::{RefreshOutcome, refresh_grant};
use suite::{Browser, Page, TestApp};

/// An application whose organisation has granted nothing beyond what is asked for, and member1's browser.
async fn without_grants() -> (TestApp, Browser) {
    let app = TestApp::start().await;
    app.emulator.control().set_granted_scopes(&[]);
    let browser = app.sign_in("member1").await;
    app.settle().await;
    (app, browser)
}

async fn scopes(app: &TestApp) -> String {
    app.db_grants(&app.db_user("member1@contoso.example").await).await.remove(0).scopes
}

/// The `scope` of the last request to `endpoint`.
fn asked(app: &TestApp, endpoint: Endpoint) -> String {
    let request = app.emulator.control().requests_of(endpoint).pop().expect("a request");
    request.parameter("scope").expect("scope").to_owned()
}

/// The button of the profile that asks for the permission to read the manager.
async fn ask(browser: &Browser) -> Page {
    let profile = browser.get("/profile").await;
    profile.assert_text("User.Read.All");
    let form = profile.form("/auth/sign-in");
    assert!(form.fields.contains(&("scope".to_owned(), "User.Read.All".to_owned())), "{:?}", form.fields);
    browser.submit(&form).await
}

/// Goes to the provider, where member1 agrees, and back.
async fn agree(browser: &Browser, to_provider: Page) -> Page {
    let at_provider = browser.get(to_provider.assert_status(303).location().expect("the provider").as_str()).await;
    browser.pick(&at_provider, "member1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_2_3_the_profile_asks_for_the_manager_only_when_somebody_wants_to_see_them() {
    let (app, browser) = without_grants().await;
    assert!(!asked(&app, Endpoint::Authorize).contains("User.Read.All"), "not at an ordinary sign-in");
    let to_provider = ask(&browser).await;
    let url = to_provider.location().expect("the provider");
    let hint = url.query_pairs().any(|(name, value)| name == "login_hint" && value.starts_with("O."));
    assert!(hint, "for the person who is signed in: {url}");
    let back = agree(&browser, to_provider).await;
    assert!(asked(&app, Endpoint::Authorize).ends_with(" User.Read.All"));
    assert_eq!(back.assert_status(303).location_path(), "/profile");
    let profile = browser.get("/profile").await;
    profile.assert_text("Manager").assert_text("IT Administrator");
    assert!(!profile.has_form("/auth/sign-in"), "it is no longer asked for");
    assert!(scopes(&app).await.contains("User.Read.All"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_outlives_refreshes_and_later_sign_ins_of_the_session() {
    let (app, browser) = without_grants().await;
    let to_provider = ask(&browser).await;
    agree(&browser, to_provider).await.assert_status(303);
    let grant = app.db_grants(&app.db_user("member1@contoso.example").await).await.remove(0);
    assert_eq!(refresh_grant(&app.state, grant).await.expect("no error"), RefreshOutcome::Refreshed);
    assert!(asked(&app, Endpoint::Token).contains("User.Read.All"));
    assert!(scopes(&app).await.contains("User.Read.All"));
    // As after a step-up: nobody asks for it again, and it is still there.
    browser.sign_in_at("/auth/sign-in?max_age=0", "member1").await.assert_status(303);
    assert!(scopes(&app).await.contains("User.Read.All"));
    assert_eq!(asked(&app, Endpoint::Authorize).matches("User.Read.All").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_declines_stays_signed_in_and_goes_on_without() {
    let (app, browser) = without_grants().await;
    let to_provider = ask(&browser).await;
    let decline = AuthorizationEdit::error("access_denied", "AADSTS65004: User declined to consent to access the app.");
    app.emulator.control().edit_authorization(Some(1), decline);
    let refused = agree(&browser, to_provider).await;
    refused.assert_status(403).assert_text("You declined the permissions").assert_text("Go on without");
    assert!(refused.links("main a").contains(&"/profile".to_owned()), "{:?}", refused.links("main a"));
    let retry = refused.form("/auth/sign-in");
    assert!(retry.fields.contains(&("scope".to_owned(), "User.Read.All".to_owned())), "trying again asks again");
    browser.get("/profile").await.assert_status(200).assert_text("User.Read.All");
    assert!(!scopes(&app).await.contains("User.Read.All"));
    let declined = AuthorizationEdit::error("access_denied", "AADSTS65004: x");
    app.emulator.control().edit_authorization(Some(1), declined);
    let stranger = app.browser().sign_in_at("/auth/sign-in?scope=User.Read.All", "member2").await;
    assert!(!stranger.assert_status(403).text().contains("Go on without"), "who is not signed in has nowhere to go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_to_agree_to_what_no_page_asks_for() {
    let (app, browser) = without_grants().await;
    for scope in ["Mail.ReadWrite", "User.Read.All Mail.Read", "https://evil.example/.default", "offline_access", ""] {
        let encoded: String = url::form_urlencoded::byte_serialize(scope.as_bytes()).collect();
        let page = browser.get(&format!("/auth/sign-in?scope={encoded}")).await;
        assert!(!page.form("/auth/sign-in").fields.iter().any(|(name, _)| name == "scope"), "{scope}");
        let csrf = page.form("/auth/sign-in").fields.into_iter().find(|(name, _)| name == "csrf");
        let mut fields = vec![("scope", scope)];
        fields.extend(csrf.as_ref().map(|(name, value)| (name.as_str(), value.as_str())));
        let to_provider = browser.post("/auth/sign-in", &fields).await;
        let url = to_provider.location().expect("the provider");
        let asked = url.query_pairs().find(|(name, _)| name == "scope").expect("scope").1.into_owned();
        assert_eq!(asked, "openid profile email offline_access User.Read", "{scope}");
    }
    let page = app.browser().get("/auth/sign-in?scope=user.read.all").await;
    page.assert_text("One more permission");
    let form = page.form("/auth/sign-in");
    assert!(form.fields.contains(&("scope".to_owned(), "User.Read.All".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_provider_is_never_asked_for_graphs_permissions() {
    let app = TestApp::builder().generic().start().await;
    let browser = app.sign_in("member1").await;
    assert!(!browser.get("/profile").await.has_form("/auth/sign-in"));
}
