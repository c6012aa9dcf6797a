//! Other APIs on behalf of people: with the refresh token of their sign-in (E-33), and on behalf of callers of the API.

use entra_emulator::{Endpoint, Fault};
use server::tokens::{ResourceError, refresh_due, resource_token};
use store::models::User;
use suite::TestApp;

use crate::refreshing::signed_in;

/// The emulator knows one API besides Graph: this application's own, whose answers prove the token.
fn scope(app: &TestApp) -> String {
    format!("api://{}/access_as_user", app.emulator.client_id())
}

async fn token(app: &TestApp, user: &User) -> Result<String, ResourceError> {
    use secrecy::ExposeSecret as _;
    let token = resource_token(&app.state, user, "orders", &[&scope(app)]).await?;
    Ok(token.expose_secret().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn e_33_the_refresh_token_of_the_sign_in_brings_tokens_of_other_apis() {
    let (app, user) = signed_in().await;
    let calls = || app.emulator.control().count(Endpoint::Token);
    let before = calls();
    let first = token(&app, &user).await.expect("a token");
    app.browser().call("/api/v1/me", &first).await.assert_status(200);
    assert_eq!(token(&app, &user).await.expect("the same"), first, "it is kept");
    assert_eq!(calls(), before + 1);
    let grants = app.db_grants(&user).await;
    let resources: Vec<&str> = grants.iter().map(|grant| grant.resource.as_str()).collect();
    assert_eq!(resources, ["graph", "orders"]);

    // Both are refreshed in the background, one after the other: under strict rotation a refresh token used twice
    // would end the grant.
    app.advance(3600);
    app.emulator.control().advance_clock(3600);
    assert_eq!(refresh_due(&app.state).await.expect("no error"), 2);
    assert_eq!(calls(), before + 3);
    let second = token(&app, &user).await.expect("the renewed one");
    assert_ne!(first, second);
    app.browser().call("/api/v1/me", &second).await.assert_status(200);
    assert_eq!(calls(), before + 3, "nobody waited for it");
    assert!(app.db_grants(&user).await.iter().all(|grant| grant.state == "live"));

    let administrator = app.sign_in("admin").await;
    administrator.get("/admin/grants").await.assert_text("orders");
    let act = server::people::acts::Act::Disable { user_id: user.id.clone() };
    server::people::acts::run(&app.state, act, server::people::actor::By::command_line()).await.expect("disabled");
    assert!(matches!(token(&app, &user).await, Err(ResourceError::NeedsSignIn)));
    assert!(app.db_grants(&user).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn e_33_many_who_ask_at_once_share_one_call() {
    let (app, user) = signed_in().await;
    let before = app.emulator.control().count(Endpoint::Token);
    let tokens = futures_util::future::join_all((0..20).map(|_| token(&app, &user))).await;
    let tokens: Vec<String> = tokens.into_iter().map(|token| token.expect("a token")).collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(app.emulator.control().count(Endpoint::Token), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_33_what_another_api_lacks_does_not_cost_the_grant_of_the_sign_in() {
    let (app, user) = signed_in().await;
    let control = app.emulator.control();
    control.fault_next(Endpoint::Token, 1, Fault::aadsts(65001));
    assert!(matches!(token(&app, &user).await, Err(ResourceError::InteractionRequired { .. })), "no consent");
    let unknown = resource_token(&app.state, &user, "unknown", &["api://unknown/x"]).await;
    assert!(matches!(unknown, Err(ResourceError::Refused(_))), "{unknown:?}");
    control.fault_next(Endpoint::Token, 1, Fault::retry_after(429, "30"));
    assert!(matches!(token(&app, &user).await, Err(ResourceError::Unavailable)));
    let calls = control.count(Endpoint::Token);
    assert!(
        matches!(token(&app, &user).await, Err(ResourceError::Unavailable)),
        "nobody calls before the time is over"
    );
    assert_eq!(control.count(Endpoint::Token), calls);
    app.advance(30);
    token(&app, &user).await.expect("a token");
    assert_eq!(app.db_grants(&user).await[0].state, "live");

    control.revoke("member1");
    app.advance(3600);
    control.advance_clock(3600);
    assert!(matches!(token(&app, &user).await, Err(ResourceError::NeedsSignIn)));
    assert_eq!(app.db_events("grant.revoked").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_reads_graph_on_behalf_of_its_caller() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.sign_in("admin").await;
    let program = app.browser();
    let presented = app.member_token("member1").await;
    let calls = app.emulator.control().count(Endpoint::Token);
    let answer = program.call("/api/v1/me/manager", &presented).await;
    let name = app.emulator.control().persona("admin").expect("a persona").name;
    assert_eq!(answer.assert_status(200).json()["manager"]["name"], name);
    program.call("/api/v1/me/manager", &presented).await.assert_status(200);
    assert_eq!(app.emulator.control().count(Endpoint::Token), calls + 1, "the exchanged token is kept");
    let answer = program.call("/api/v1/me/manager", &app.member_token("admin").await).await;
    assert!(answer.assert_status(200).json()["manager"].is_null());
    program.call("/api/v1/me/manager", &app.program_token().await).await.assert_status(403);

    let other = app.member_token("member1").await;
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::aadsts(50076));
    let answer = program.call("/api/v1/me/manager", &other).await;
    let challenge = answer.assert_status(401).header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_claims\""), "{challenge}");
    app.emulator.control().set_granted_scopes(&[]);
    program.call("/api/v1/me/manager", &app.member_token("member1").await).await.assert_status(403);
    let another = app.member_token("member1").await;
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::respond(503, ""));
    program.call("/api/v1/me/manager", &another).await.assert_status(503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_exchange_is_not_tried_again_for_a_minute() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let (program, presented) = (app.browser(), app.member_token("member1").await);
    let control = app.emulator.control();
    let ask = async |status| program.call("/api/v1/me/manager", &presented).await.assert_status(status).headers.clone();
    control.fault(Endpoint::Token, Fault::aadsts(50076));
    let calls = control.count(Endpoint::Token);
    let challenge = ask(401).await["www-authenticate"].clone();
    for _ in 0..20 {
        assert_eq!(ask(401).await["www-authenticate"], challenge, "with the same challenge");
    }
    assert_eq!(control.count(Endpoint::Token), calls + 1);
    app.advance(60);
    ask(401).await;
    assert_eq!(control.count(Endpoint::Token), calls + 2);
    // An outage is no answer: it may be over at the next call.
    app.advance(60);
    control.clear_faults();
    control.fault_next(Endpoint::Token, 1, Fault::respond(503, ""));
    ask(503).await;
    ask(200).await;
}
