//! Microsoft Graph on behalf of a person: renewal of tokens, claims challenges, and pages meanwhile.

use entra::graph::GraphError;
use entra_emulator::{Endpoint, Fault};
use serde_json::{Value, json};
use server::tokens::user_graph::UserGraph;
use server::tokens::{RefreshOutcome, refresh_due, refresh_grant};
use store::models::{Grant, User};
use suite::{Browser, TestApp};

const CHALLENGE: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;

/// An application in which `member1` has signed in, with their browser, once the data of the sign-in is fetched.
async fn signed_in(settings: &[(&str, &str)]) -> (TestApp, Browser, User) {
    let mut builder = TestApp::builder();
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    let app = builder.start().await;
    let browser = app.sign_in("member1").await;
    app.settle().await;
    let user = app.db_user("member1@contoso.example").await;
    (app, browser, user)
}

async fn graph(app: &TestApp, user: &User) -> UserGraph {
    UserGraph::open(&app.state, user).await.expect("no error").expect("a live grant")
}

async fn grant(app: &TestApp, user: &User) -> Grant {
    app.db_grants(user).await.remove(0)
}

fn counts(app: &TestApp) -> (u64, u64) {
    let control = app.emulator.control();
    (control.count(Endpoint::Token), control.count(Endpoint::Me))
}

/// The `claims` of the last request to `endpoint`.
fn claims(app: &TestApp, endpoint: Endpoint) -> Value {
    let request = app.emulator.control().requests_of(endpoint).pop().expect("a request");
    serde_json::from_str(request.parameter("claims").expect("claims")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn e_39_the_client_says_everywhere_that_it_handles_challenges() {
    let (app, _browser, user) = signed_in(&[]).await;
    let cp1 = json!({ "access_token": { "xms_cc": { "values": ["cp1"] } } });
    assert_eq!(claims(&app, Endpoint::Authorize), cp1);
    assert_eq!(claims(&app, Endpoint::Token), cp1, "the code");
    refresh_grant(&app.state, grant(&app, &user).await).await.expect("no error");
    assert_eq!(claims(&app, Endpoint::Token), cp1, "the refresh token");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_39_and_t_05_a_challenge_is_met_by_one_silent_refresh() {
    let (app, _browser, user) = signed_in(&[]).await;
    app.emulator.control().require_claims("member1", Some(CHALLENGE));
    let (tokens, calls) = counts(&app);
    let graph = graph(&app, &user).await;
    let (me, photo) = tokio::join!(graph.me(), graph.photo());
    assert_eq!(me.expect("the person").id, user.subject);
    photo.expect("an answer");
    let sent = claims(&app, Endpoint::Token);
    assert_eq!(sent["access_token"]["nbf"]["value"], "1604106651");
    assert_eq!(sent["access_token"]["xms_cc"]["values"], json!(["cp1"]));
    assert_eq!(counts(&app), (tokens + 1, calls + 2), "one refresh for both calls");
    graph.me().await.expect("the new token is good");
    assert_eq!(counts(&app), (tokens + 1, calls + 3));
    let grant = grant(&app, &user).await;
    assert_eq!((grant.state.as_str(), grant.challenge.as_str()), ("live", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn e_39_and_e_40_a_challenge_that_a_refresh_cannot_meet_waits_for_the_next_sign_in() {
    let (app, browser, user) = signed_in(&[]).await;
    app.emulator.control().require_claims_interactively("member1", CHALLENGE);
    let (tokens, calls) = counts(&app);
    let refused = graph(&app, &user).await.me().await;
    assert_eq!(refused, Err(GraphError::Unauthorized { claims: Some(CHALLENGE.to_owned()) }));
    assert_eq!(counts(&app), (tokens + 1, calls + 1));
    let lapsed = grant(&app, &user).await;
    assert_eq!((lapsed.state.as_str(), lapsed.challenge.as_str()), ("needs_sign_in", CHALLENGE));
    assert_eq!(app.db_events("grant.needs_sign_in").await.len(), 1);

    app.advance(600);
    refresh_due(&app.state).await.expect("no error");
    assert!(UserGraph::open(&app.state, &user).await.expect("no error").is_none());
    let profile = browser.get("/profile").await;
    profile.assert_status(200).assert_text("needs you to sign in again");
    app.settle().await;
    assert_eq!(counts(&app), (tokens + 1, calls + 1), "nothing is tried before the sign-in");

    // The sign-in passes the challenge on, also after a first one that is given up.
    browser.begin("/auth/sign-in?next=/profile").await;
    let at_provider = browser.begin("/auth/sign-in?next=/profile").await;
    assert_eq!(claims(&app, Endpoint::Authorize)["access_token"]["nbf"]["value"], "1604106651");
    browser.pick(&at_provider, "member1").await.assert_status(303);
    app.settle().await;
    let renewed = grant(&app, &user).await;
    assert_eq!((renewed.state.as_str(), renewed.challenge.as_str()), ("live", ""));
    graph(&app, &user).await.me().await.expect("Graph takes the new token");
    refresh_grant(&app.state, renewed).await.expect("no error");
    graph(&app, &user).await.me().await.expect("and the refreshed one");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_39_graph_that_challenges_every_token_is_not_asked_a_third_time() {
    let (app, _browser, user) = signed_in(&[]).await;
    // base64 of {"access_token":{}}
    let challenge = r#"Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#;
    let headers = vec![("WWW-Authenticate".to_owned(), challenge.to_owned())];
    app.emulator.control().fault(Endpoint::Me, Fault::Respond { status: 401, headers, body: "{}".to_owned() });
    let (tokens, calls) = counts(&app);
    graph(&app, &user).await.me().await.expect_err("refused twice");
    assert_eq!(counts(&app), (tokens + 1, calls + 2));
    let lapsed = grant(&app, &user).await;
    assert_eq!((lapsed.state.as_str(), lapsed.challenge.as_str()), ("needs_sign_in", r#"{"access_token":{}}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn g_08_and_t_05_a_401_without_challenge_gets_one_refresh_and_no_more() {
    let (app, _browser, user) = signed_in(&[]).await;
    let (tokens, calls) = counts(&app);
    app.emulator.control().revoke_access_tokens("member1");
    let renewing = graph(&app, &user).await;
    renewing.me().await.expect("the refreshed token is good");
    renewing.me().await.expect("and kept");
    assert_eq!(counts(&app), (tokens + 1, calls + 3));

    app.emulator.control().fault(Endpoint::Me, Fault::respond(401, "{}"));
    let (tokens, calls) = counts(&app);
    let graph = graph(&app, &user).await;
    for further in [2, 3] {
        assert_eq!(graph.me().await, Err(GraphError::Unauthorized { claims: None }));
        assert_eq!(counts(&app), (tokens + 1, calls + further), "one refresh in all");
    }
    assert_eq!(grant(&app, &user).await.state, "live", "a 401 alone takes nothing away");
}

#[tokio::test(flavor = "multi_thread")]
async fn g_08_no_answer_is_repeated_that_is_no_401() {
    let (app, _browser, user) = signed_in(&[]).await;
    app.emulator.control().fault(Endpoint::Me, Fault::respond(403, "{}"));
    let (tokens, calls) = counts(&app);
    assert_eq!(graph(&app, &user).await.me().await, Err(GraphError::Forbidden));
    assert_eq!(counts(&app), (tokens, calls + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_access_token_is_refreshed_before_the_call() {
    let (app, _browser, user) = signed_in(&[]).await;
    app.advance(6000);
    app.emulator.control().advance_clock(6000);
    let (tokens, calls) = counts(&app);
    graph(&app, &user).await.me().await.expect("the person");
    assert_eq!(counts(&app), (tokens + 1, calls + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn g_01_a_page_shows_what_is_kept_while_graph_asks_to_wait() {
    let (app, browser, _user) = signed_in(&[("SESSION_IDLE_TIMEOUT", "8h")]).await;
    app.advance(3601);
    app.emulator.control().advance_clock(3601);
    let headers = vec![("Retry-After".to_owned(), "90".to_owned())];
    app.emulator.control().fault(Endpoint::Me, Fault::Respond { status: 429, headers, body: String::new() });
    let calls = app.emulator.control().count(Endpoint::Me);
    for _ in 0..3 {
        browser.get("/profile").await.assert_status(200).assert_text("Fetched");
        app.settle().await;
        assert_eq!(app.emulator.control().count(Endpoint::Me), calls + 1, "no call while Graph asks to wait");
        app.advance(29);
    }
    browser.get("/profile").await.assert_text("Microsoft Graph asked to slow down");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_40_conditional_access_on_refresh_costs_one_call_and_its_claims_wait_for_the_sign_in() {
    let (app, browser, user) = signed_in(&[]).await;
    app.emulator.control().change_persona("member1", |persona| persona.mfa = true);
    let (tokens, _) = counts(&app);
    let outcome = refresh_grant(&app.state, grant(&app, &user).await).await.expect("no error");
    assert_eq!(outcome, RefreshOutcome::NeedsSignIn);
    let lapsed = grant(&app, &user).await;
    assert!(lapsed.challenge.contains("capolids"), "{}", lapsed.challenge);
    for _ in 0..3 {
        app.advance(400);
        refresh_due(&app.state).await.expect("no error");
    }
    assert_eq!(counts(&app).0, tokens + 1, "one call, then none");
    browser.get("/profile").await.assert_status(200);
    browser.begin("/auth/sign-in").await;
    assert!(claims(&app, Endpoint::Authorize)["access_token"]["capolids"].is_object());
}
