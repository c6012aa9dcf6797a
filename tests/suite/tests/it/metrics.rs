//! Metrics: all that the dashboard asks for is there, on a listener of its own, without anybody's data.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use entra_emulator::{Endpoint, Fault};
use server::tokens::refresh_grant;
use suite::TestApp;
use tower::ServiceExt as _;

const DASHBOARD: &str = include_str!("../../../../docs/grafana/dashboard.json");

async fn scrape(app: &TestApp) -> String {
    let request = Request::get("/metrics").body(Body::empty()).expect("a request");
    let Ok(answer) = server::web::monitoring::routes(app.state.clone()).oneshot(request).await;
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    String::from_utf8(body.to_vec()).expect("a text")
}

/// The names in a query of Prometheus that are no function, keyword or label.
fn names(query: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut depth = 0;
    for word in query.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_') {
        let (name, end) = word.split_at(word.len() - usize::from(!word.ends_with(|last: char| last.is_alphanumeric())));
        let is_metric = name.contains('_') && !matches!(name, "histogram_quantile" | "__rate_interval");
        let is_plain = matches!(name, "grants" | "sessions");
        if depth == 0 && (is_metric || is_plain) {
            names.insert(name.to_owned());
        }
        depth += i32::from(end == "{") - i32::from(end == "}");
    }
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_dashboard_is_exported_and_tells_nothing_of_anybody() {
    server::observe::metrics::start().expect("the first recorder");
    let app = TestApp::start().await;
    server::jobs::start(&app.state);
    app.sign_in("member1").await.get("/profile?secret=canary").await.assert_status(200);
    app.browser().get("/no-such-page-canary").await.assert_status(303);
    app.browser().get("/auth/callback?code=canary&state=canary").await.assert_status(400);
    let user = app.db_user("member1@contoso.example").await;
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::respond(503, ""));
    refresh_grant(&app.state, app.db_grants(&user).await.remove(0)).await.expect("no error");
    while app.state.jobs.list().iter().any(|job| job.runs == 0) {
        tokio::task::yield_now().await;
    }
    let text = scrape(&app).await;

    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let asked: BTreeSet<String> = targets.flat_map(|target| names(target["expr"].as_str().expect("a query"))).collect();
    assert!(asked.len() >= 14, "{asked:?}");
    for name in &asked {
        let is_there = |line: &str| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "));
        assert!(text.lines().any(is_there), "{name} is not exported:\n{text}");
    }

    for line in [
        "http_server_request_duration_seconds_count{method=\"GET\",route=\"/profile\",status=\"200\"}",
        "http_server_request_duration_seconds_count{method=\"GET\",route=\"none\",status=\"303\"}",
        "sign_ins_total{outcome=\"signed_in\"}",
        "sign_ins_total{outcome=\"callback.bad_state\"}",
        "token_refreshes_total{outcome=\"retrying\"}",
        "grants{state=\"live\"}",
        "job_runs_total{job=\"refresh\"}",
        "http_client_request_duration_seconds_count{host=\"localhost\",status=\"503\"}",
    ] {
        assert!(text.contains(line), "{line} is missing:\n{text}");
    }
    for canary in ["canary", "member1", user.id.as_str(), "contoso"] {
        assert!(!text.contains(canary), "{canary} is in the metrics");
    }
    app.sign_in("admin").await.get("/metrics").await.assert_status(404);
}
