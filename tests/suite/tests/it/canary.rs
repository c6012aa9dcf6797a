//! What the log holds, and what it never does: `docs/security.md` lists it.

use entra_emulator::{Endpoint, Fault};
use server::tokens::refresh_grant;
use suite::{LogMark, TestApp};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test(flavor = "multi_thread")]
async fn v_16_2_5_a_whole_journey_leaves_no_secret_in_the_log() {
    let mark = LogMark::here();
    let app = TestApp::start().await;
    let mut secrets = vec![app.emulator.client_secret().to_owned(), app.settings()["TOKEN_ENCRYPTION_KEYS"].clone()];

    let browser = app.browser();
    let at_provider = browser.begin("/auth/sign-in").await;
    secrets.extend(browser.cookie_names().iter().filter_map(|name| browser.cookie(name)));
    let answer = browser.pick_only(&at_provider, "member1").await.location().expect("an authorization response");
    secrets.extend(answer.query_pairs().map(|(_, value)| value.into_owned()).filter(|value| value.len() > 20));
    browser.get(answer.as_str()).await.assert_status(303);
    secrets.push(browser.cookie("id").expect("a session"));
    // Once more, and one that is refused: errors quote nothing either.
    browser.get(answer.as_str()).await;
    app.browser().get(answer.as_str()).await.assert_status(400);

    let page = browser.get_with("/profile", &[("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-01"))]).await;
    let form = page.assert_status(200).form("/auth/sign-out");
    secrets.extend(form.fields.iter().filter(|(name, _)| name == "csrf").map(|(_, value)| value.clone()));
    app.settle().await;
    let user = app.db_user("member1@contoso.example").await;
    for fault in [Fault::respond(500, "{\"access_token\": \"EwB.leaked\"}"), Fault::aadsts(70000)] {
        app.emulator.control().fault_next(Endpoint::Token, 1, fault);
        refresh_grant(&app.state, app.db_grants(&user).await.remove(0)).await.expect("no error");
    }
    let presented = app.member_token("admin").await;
    app.browser().call("/api/v1/me", &presented).await;
    app.browser().call("/api/v1/me", &format!("{presented}x")).await.assert_status(401);
    secrets.push(presented);
    browser.submit(&form).await;

    mark.assert_no_token();
    let log = mark.since();
    for secret in &secrets {
        assert!(secret.len() >= 16, "too short to look for: {secret}");
        assert!(!log.contains(secret.as_str()), "a secret is in the log: {secret}");
    }
    assert!(log.lines().any(|line| line.contains(TRACE) && line.contains("request_id") && line.contains("/profile")));
}

#[tokio::test(flavor = "multi_thread")]
async fn g_09_a_call_that_graph_refused_is_logged_with_both_ids() {
    let mark = LogMark::here();
    let app = TestApp::start().await;
    app.emulator.control().fault_next(Endpoint::Me, 1, Fault::respond(500, ""));
    app.sign_in("member1").await.get("/profile").await.assert_status(200);
    let log = mark.since();
    let line = log.lines().find(|line| line.contains("Microsoft Graph did not answer")).expect("a line");
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let id = line["fields"]["client_request_id"].as_str().expect("ours").to_owned();
    assert!(line["fields"]["request_id"].is_string(), "and Graph's: {line}");
    let sent = app.emulator.control().requests_of(Endpoint::Me);
    assert!(sent.iter().any(|call| call.headers.contains(&("client-request-id".to_owned(), id.clone()))), "{id}");
}
