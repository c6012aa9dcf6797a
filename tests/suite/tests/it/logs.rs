//! The log: one line of JSON an event, who did what and when, and nothing in it that a stranger wrote by themselves.

use entra_emulator::{Endpoint, Fault, TokenEdit};
use serde_json::{Value, json};
use suite::{LogMark, TestApp};

/// Begins a line of its own where control characters are not escaped.
const FORGED: &str = "x\r\n{\"level\":\"FORGED\",\"message\":\"a second line\"}\u{1b}[31m\u{85}\u{2028}";

/// The lines since `mark`: each must be JSON.
fn lines(mark: LogMark) -> Vec<Value> {
    let log = mark.since();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The line of the request to `path`, which no other test asks for.
fn request_line(mark: LogMark, path: &str) -> Value {
    let found = lines(mark).into_iter().find(|line| line["fields"]["path"] == path);
    found.unwrap_or_else(|| panic!("no line for {path}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_2_1_a_line_says_when_where_who_and_what() {
    let mark = LogMark::here();
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let id = app.db_user("member1@contoso.example").await.id;
    let answer = member.get("/nowhere/v-16-2-1?secret=canary").await;
    let line = request_line(mark, "/nowhere/v-16-2-1");
    let fields = &line["fields"];
    assert_eq!(fields["user"], id, "who");
    assert_eq!((&fields["method"], &fields["status"]), (&json!("GET"), &json!(404)), "what");
    assert_eq!(fields["client"], "127.0.0.1", "where");
    assert_eq!(fields["request_id"], answer.header("x-request-id"));
    // V-16.2.2: in UTC, to the microsecond.
    let at = line["timestamp"].as_str().expect("a time");
    assert!(at.ends_with('Z') && at.len() >= "2026-11-24T00:00:00.000000Z".len(), "{at}");
    assert!(!mark.since().contains("secret=canary"));

    app.browser().get("/nowhere/v-16-2-1-anonymous").await.assert_status(303);
    let line = request_line(mark, "/nowhere/v-16-2-1-anonymous");
    assert_eq!(line["fields"].get("user"), None, "nobody");
    let token = app.member_token("member1").await;
    app.browser().call("/api/v1/me/v-16-2-1", &token).await.assert_status(404);
    assert_eq!(request_line(mark, "/api/v1/me/v-16-2-1")["fields"]["user"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_3_2_who_was_turned_away_from_what_is_in_the_log() {
    let mark = LogMark::here();
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let id = app.db_user("member1@contoso.example").await.id;
    member.get("/admin/v-16-3-2").await.assert_status(403);
    let line = request_line(mark, "/admin/v-16-3-2");
    assert_eq!((&line["fields"]["status"], &line["fields"]["user"]), (&json!(403), &json!(id)));
    // V-16.3.3: an attempt to get round a check is a warning with its reason.
    let answer = member.post_raw("/theme", "theme=dark".to_owned(), &[("origin", "https://evil.example")]).await;
    let request_id = answer.assert_status(403).header("x-request-id").to_owned();
    let warned =
        lines(mark).into_iter().find(|line| line["level"] == "WARN" && line["span"]["request_id"] == request_id);
    let text = warned.expect("a warning")["fields"]["error"].to_string();
    assert!(text.contains("cross-site request refused"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_3_1_sign_ins_are_recorded_with_their_methods_or_their_reason() {
    let app = TestApp::start().await;
    app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(json!({"amr": ["pwd", "mfa"]})));
    app.sign_in("member1").await;
    let event = app.db_events("sign_in.succeeded").await.remove(0);
    let detail: Value = serde_json::from_str(&event.detail).expect("JSON");
    assert_eq!(detail["methods"], "pwd mfa");
    assert!(event.actor_id.is_some() && event.address == "127.0.0.1" && !event.request_id.is_empty());
    let browser = app.browser();
    browser.begin("/auth/sign-in").await;
    browser.get("/auth/callback?error=access_denied&state=x").await.assert_status(400);
    let event = app.db_events("sign_in.failed").await.remove(0);
    assert!(event.detail.contains("\"reason\":"), "{}", event.detail);
    assert!(event.address == "127.0.0.1" && !event.request_id.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_4_1_nobody_writes_a_line_of_their_own() {
    let mark = LogMark::here();
    let app = TestApp::start().await;
    let encoded: String = url::form_urlencoded::byte_serialize(FORGED.as_bytes()).collect();
    let names = json!({"upn": FORGED, "name": FORGED, "preferred_username": FORGED, "amr": [FORGED]});
    app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(names));
    let member = app.sign_in("member1").await;
    member.get(&format!("/nowhere/{encoded}?q={encoded}")).await;
    member.get(&format!("/auth/sign-in?login_hint={encoded}&next={encoded}&iss={encoded}")).await;
    member.get(&format!("/auth/front-channel-logout?iss={encoded}&sid={encoded}")).await;
    member.get_with("/", &[("x-request-id", "x\t{FORGED}"), ("user-agent", "x\t{FORGED}")]).await;
    let browser = app.browser();
    app.emulator.control().fault_next(
        Endpoint::Token,
        1,
        Fault::respond(400, &json!({"error": FORGED, "error_description": FORGED}).to_string()),
    );
    let at_provider = browser.begin("/auth/sign-in").await;
    assert!(browser.pick(&at_provider, "member2").await.status >= 400);
    browser.get(&format!("/auth/callback?error={encoded}&error_description={encoded}&state=x")).await;
    app.browser().call("/api/v1/me", "a.b.c").await.assert_status(401);
    let forged = json!("FORGED");
    let all = lines(mark);
    assert!(all.len() > 8, "{}", all.len());
    assert!(all.iter().all(|line| line["level"] != forged));
    // The audit log is rows; its export is the one place where a text could break out.
    let admin = app.sign_in("admin").await;
    let file = admin.get("/admin/audit.csv").await;
    let mut reader = csv::Reader::from_reader(file.assert_status(200).body.as_bytes());
    let columns = reader.headers().expect("a head").len();
    assert!(reader.records().all(|row| row.expect("a record").len() == columns));
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_3_4_what_fails_behind_is_in_the_log_without_secrets() {
    let mark = LogMark::here();
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.settle().await;
    app.emulator.control().fault(Endpoint::Keys, Fault::respond(500, "canary-16-3-4"));
    app.emulator.control().fault(Endpoint::Metadata, Fault::respond(500, "canary-16-3-4"));
    app.advance(3601);
    let _ = app.state.oidc.warm_up().await;
    mark.assert_has("a fetch from the provider failed");
    app.state.db.close();
    app.browser().get("/readyz").await.assert_status(503);
    mark.assert_has("the database does not answer");
    mark.assert_no_token();
}
