//! `LIVE_RELOAD`: pages learn of a server that was started again and of an edited style sheet.

use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_page_has_the_script_with_its_nonce_and_nothing_else_has() {
    let app = TestApp::builder().setting("LIVE_RELOAD", "true").start().await;
    let member = app.sign_in("member1").await;
    for (path, status) in [("/", 200), ("/profile", 200), ("/auth/signed-out", 200), ("/nowhere", 404)] {
        let page = member.get(path).await;
        page.assert_status(status);
        let (_, nonce) = page.header("content-security-policy").split_once("'nonce-").expect("a nonce");
        let nonce = nonce.split('\'').next().expect("its end");
        let script = format!(r#"<script type="module" nonce="{nonce}" src="/dev/live-reload.js"></script>"#);
        assert!(page.body.ends_with(&script), "{path}: {}", page.body);
    }
    let script = member.get("/dev/live-reload.js").await;
    assert!(script.header("content-type").starts_with("text/javascript") && script.body.contains("EventSource"));
    for path in ["/healthz", "/assets/style.css", "/dev/live-reload.js"] {
        assert!(!member.get(path).await.body.contains("<script"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_told_another_server_and_the_same_style_sheet_after_a_start() {
    let (first, again) = (told().await, told().await);
    assert_ne!(first["server"], again["server"]);
    assert_eq!(first["stylesheet"], again["stylesheet"]);
    assert!(first["stylesheet"].as_str().is_some_and(|url| url.starts_with("/assets/style.")), "{first}");
}

/// What a server says before it ends.
async fn told() -> serde_json::Value {
    let app = TestApp::builder().setting("LIVE_RELOAD", "true").start().await;
    app.state.shutdown.cancel();
    let events = app.ask("GET", "/dev/live-reload", &[], "").await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    let data = events.body.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(data.expect("an event")).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_there_is_none_of_it() {
    let app = TestApp::start().await;
    let page = app.browser().get("/auth/signed-out").await;
    assert!(!page.assert_status(200).body.contains("live-reload"));
    for path in ["/dev/live-reload", "/dev/live-reload.js"] {
        app.ask("GET", path, &[("accept", "text/html")], "").await.assert_status(303);
    }
}
