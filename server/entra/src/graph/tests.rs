//! The Graph client against a scripted Graph: docs/requirements.tsv G-01 to G-10, E-39.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::Duration;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{GraphClient, GraphError, Group};
use crate::clock::Clock;
use crate::oidc::testing::{Answer, OID, Script, start};
use crate::oidc::transport::Transport;

const GRAPH: &str = "https://graph.example";

struct Bench {
    graph: GraphClient,
    script: Arc<Script>,
    clock: Clock,
    token: SecretString,
}

impl Bench {
    fn new() -> Self {
        let script = Arc::new(Script::default());
        let clock = Clock::manual(start());
        let transport: Arc<dyn Transport> = Arc::<Script>::clone(&script);
        let graph = GraphClient::with_transport(GRAPH.parse().expect("a URL"), transport, clock.clone());
        Self { graph, script, clock, token: SecretString::from("graph-token") }
    }

    async fn me(&self) -> Result<super::Me, GraphError> {
        self.graph.me(&self.token, OID).await
    }
}

fn ada() -> Value {
    json!({
        "@odata.context": "x",
        "id": OID,
        "displayName": "Ada Lovelace",
        "jobTitle": null,
        "department": "Analysis",
        "businessPhones": ["+41 1"],
    })
}

#[tokio::test]
async fn g_03_me_is_read_and_must_be_the_person_who_signed_in() {
    let bench = Bench::new();
    bench.script.answer("/v1.0/me", Answer::json(200, &ada()));
    let me = bench.me().await.expect("a person");
    assert_eq!(me.display_name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(me.job_title, None);
    assert_eq!(me.business_phones, ["+41 1"]);
    let other = bench.graph.me(&bench.token, "00000000-0000-4000-8000-000000000000").await;
    assert_eq!(other.expect_err("another person").reason(), "graph.unexpected");
}

#[tokio::test]
async fn g_09_and_s_08_the_token_is_in_the_header_and_each_call_has_an_id() {
    let bench = Bench::new();
    bench.script.answer("/v1.0/me", Answer::json(200, &ada()));
    bench.me().await.expect("a person");
    bench.me().await.expect("a person");
    let calls = bench.script.all("/me");
    assert_eq!(calls[0].headers["authorization"], "Bearer graph-token");
    assert!(calls[0].url.starts_with("https://graph.example/v1.0/me?$select=id,"), "{}", calls[0].url);
    assert!(calls.iter().all(|call| !call.url.contains("graph-token")));
    assert_ne!(calls[0].headers["client-request-id"], calls[1].headers["client-request-id"]);
}

#[tokio::test]
async fn g_04_photos_are_images_that_browsers_show_safely() {
    let png = b"\x89PNG\r\n\x1a\n rest".to_vec();
    let large = [&b"\xff\xd8\xff"[..], &vec![0; 5 * 1024 * 1024]].concat();
    let cases: [(Answer, Result<Option<&str>, &str>); 9] = [
        (Answer::bytes(200, "image/jpeg", png), Ok(Some("image/png"))),
        (Answer::bytes(200, "text/html", b"\xff\xd8\xff\xe0".to_vec()), Ok(Some("image/jpeg"))),
        (Answer::bytes(200, "image/gif", "GIF89a..."), Ok(Some("image/gif"))),
        (Answer::bytes(200, "image/webp", "RIFF....WEBPVP8 "), Ok(Some("image/webp"))),
        (Answer::bytes(404, "application/json", "{}"), Ok(None)),
        (Answer::bytes(200, "image/svg+xml", "<svg onload=alert(1)>"), Err("graph.unexpected")),
        (Answer::bytes(200, "image/png", "<html>"), Err("graph.unexpected")),
        (Answer::bytes(200, "image/png", ""), Err("graph.unexpected")),
        (Answer::bytes(200, "image/jpeg", large), Err("graph.unexpected")),
    ];
    for (answer, expected) in cases {
        let bench = Bench::new();
        bench.script.answer("/me/photo/$value", answer);
        let outcome = bench.graph.photo(&bench.token).await;
        let outcome = outcome.map(|photo| photo.map(|photo| photo.content_type)).map_err(|error| error.reason());
        assert_eq!(outcome, expected);
    }
}

#[tokio::test]
async fn the_manager_may_be_absent() {
    let bench = Bench::new();
    bench.script.answer("/me/manager", Answer::json(404, &json!({ "error": { "code": "Request_ResourceNotFound" } })));
    assert_eq!(bench.graph.manager(&bench.token).await, Ok(None));
    bench.script.answer("/me/manager", Answer::json(200, &json!({ "id": "m", "displayName": "Boss" })));
    let manager = bench.graph.manager(&bench.token).await.expect("an answer").expect("a manager");
    assert_eq!(manager.display_name.as_deref(), Some("Boss"));
    bench.script.answer("/me/manager", Answer::json(403, &json!({})));
    assert_eq!(bench.graph.manager(&bench.token).await, Err(GraphError::Forbidden));
}

fn page(ids: &[&str], next: Option<&str>) -> Answer {
    let groups: Vec<Value> = ids
        .iter()
        .map(|id| json!({ "@odata.type": "#microsoft.graph.group", "id": id, "displayName": format!("Group {id}") }))
        .collect();
    let mut body = json!({ "value": groups });
    if let Some(next) = next {
        body["@odata.nextLink"] = json!(next);
    }
    Answer::json(200, &body)
}

#[tokio::test]
async fn g_05_all_pages_are_read_and_only_groups_count() {
    let bench = Bench::new();
    bench
        .script
        .answer("/me/transitiveMemberOf", page(&["G1"], Some("https://graph.example/v1.0/page/2?$skiptoken=x")));
    bench.script.answer("/page/2", page(&["g2"], Some("https://graph.example/v1.0/page/3")));
    let last = json!({ "value": [
        { "@odata.type": "#microsoft.graph.directoryRole", "id": "role" },
        { "@odata.type": "#microsoft.graph.group", "id": "g3", "displayName": null },
    ] });
    bench.script.answer("/page/3", Answer::json(200, &last));
    let groups = bench.graph.transitive_member_of(&bench.token).await.expect("groups");
    let ids: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
    assert_eq!(ids, ["g1", "g2", "g3"]);
    assert_eq!(groups[2], Group { id: "g3".to_owned(), display_name: None });
    assert!(bench.script.last("/page/2").url.ends_with("?$skiptoken=x"), "opaque, sent as it came");
}

#[tokio::test]
async fn g_05_and_g_10_a_next_page_elsewhere_is_refused_and_gets_no_token() {
    for link in [
        "https://evil.example/v1.0/page",
        "http://graph.example/v1.0/page",
        "https://graph.example:444/page",
        "https://graph.example@evil.example/page",
        "https://user@graph.example/page",
        "/v1.0/page",
        "not a url",
    ] {
        let bench = Bench::new();
        bench.script.answer("/me/transitiveMemberOf", page(&["g1"], Some(link)));
        let error = bench.graph.transitive_member_of(&bench.token).await.expect_err("refused");
        assert_eq!(error.reason(), "graph.unexpected", "{link}");
        assert_eq!(bench.script.count(""), 1, "{link}");
    }
}

#[tokio::test]
async fn g_05_half_a_list_is_an_error_and_an_endless_one_ends() {
    let bench = Bench::new();
    bench.script.answer("/me/transitiveMemberOf", page(&["g1"], Some("https://graph.example/v1.0/page/2")));
    bench.script.answer("/page/2", Answer::bytes(500, "text/plain", "x"));
    assert_eq!(bench.graph.transitive_member_of(&bench.token).await.expect_err("half").reason(), "graph.unavailable");
    bench.script.answer("/page/2", page(&["g"], Some("https://graph.example/v1.0/page/2")));
    assert_eq!(bench.graph.transitive_member_of(&bench.token).await.expect_err("endless").reason(), "graph.unexpected");
}

#[tokio::test]
async fn g_10_redirects_are_not_followed() {
    let bench = Bench::new();
    bench
        .script
        .answer("/v1.0/me", Answer::bytes(302, "text/html", "").with_header("location", "https://evil.example/"));
    assert_eq!(bench.me().await.expect_err("refused").reason(), "graph.unexpected");
    assert_eq!(bench.script.count(""), 1);
}

#[tokio::test]
async fn g_01_no_call_goes_out_while_graph_asks_to_wait() {
    for (value, seconds) in [("7", 7), ("1000000000", 3600)] {
        let bench = Bench::new();
        bench.script.answer("/v1.0/me", Answer::json(429, &json!({})).with_header("retry-after", value));
        assert_eq!(bench.me().await.expect_err("throttled").reason(), "graph.throttled");
        bench.script.answer("/v1.0/me", Answer::json(200, &ada()));
        bench.clock.advance(Duration::seconds(seconds - 1));
        let waiting = bench.graph.clone().me(&bench.token, OID).await;
        assert_eq!(waiting, Err(GraphError::Throttled { retry_after: std::time::Duration::from_secs(1) }));
        assert_eq!(bench.script.count(""), 1, "clones wait, too");
        bench.clock.advance(Duration::seconds(1));
        assert!(bench.me().await.is_ok());
    }
}

#[tokio::test]
async fn g_01_a_date_serves_as_well_and_without_either_the_wait_grows() {
    let bench = Bench::new();
    let date = (bench.clock.now() + Duration::seconds(30)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    bench.script.answer("/v1.0/me", Answer::json(429, &json!({})).with_header("retry-after", &date));
    assert_eq!(bench.me().await, Err(GraphError::Throttled { retry_after: std::time::Duration::from_secs(30) }));

    let bench = Bench::new();
    bench.script.answer("/v1.0/me", Answer::json(503, &json!({})));
    let mut before = std::time::Duration::ZERO;
    for _ in 0..4 {
        assert_eq!(bench.me().await.expect_err("down").reason(), "graph.unavailable");
        let Err(GraphError::Throttled { retry_after }) = bench.me().await else {
            panic!("a call went out");
        };
        assert!(retry_after > before, "{retry_after:?} after {before:?}");
        before = retry_after;
        bench.clock.advance(Duration::from_std(retry_after).expect("a time"));
    }
    assert_eq!(bench.script.count(""), 4);
}

#[tokio::test]
async fn e_39_and_t_05_a_401_is_never_repeated_and_its_challenge_is_read() {
    let challenge = r#"{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}"#;
    let header = |encoded: &str| {
        format!(r#"Bearer realm="", authorization_uri="https://x", error="insufficient_claims", claims="{encoded}""#)
    };
    let long = STANDARD.encode(format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000)));
    let cases = [
        (vec![header(&STANDARD.encode(challenge))], Some(challenge)),
        (vec![header(&URL_SAFE_NO_PAD.encode(challenge))], Some(challenge)),
        (vec!["Bearer realm=\"\"".to_owned(), header(&STANDARD.encode(challenge))], Some(challenge)),
        (vec![r#"Bearer error="invalid_token", claims="e30=""#.to_owned()], None),
        (vec![header("!!!")], None),
        (vec![header(&STANDARD.encode("[]"))], None),
        (vec![header(&STANDARD.encode(b"\xff\xfe"))], None),
        (vec![header(&long)], None),
        (vec!["error=\"insufficient_claims".to_owned()], None),
        (Vec::new(), None),
    ];
    for (headers, expected) in cases {
        let bench = Bench::new();
        let mut answer = Answer::json(401, &json!({}));
        for header in &headers {
            answer = answer.with_header("www-authenticate", header);
        }
        bench.script.answer("/v1.0/me", answer);
        let expected = GraphError::Unauthorized { claims: expected.map(str::to_owned) };
        assert_eq!(bench.me().await, Err(expected), "{headers:.80?}");
        assert_eq!(bench.script.count(""), 1);
    }
}

#[tokio::test]
async fn g_08_and_f_04_other_answers() {
    let cases = [
        (Answer::json(403, &json!({})), "graph.forbidden"),
        (Answer::bytes(200, "text/html", "<html>"), "graph.unexpected"),
        (Answer::bytes(200, "application/json", "{\"id\":"), "graph.unexpected"),
        (Answer::json(200, &json!({ "id": 7 })), "graph.unexpected"),
        (Answer::json(204, &json!({})), "graph.unexpected"),
        (Answer::bytes(502, "text/html", "x"), "graph.unavailable"),
        (Answer::lost(), "graph.unavailable"),
    ];
    for (answer, expected) in cases {
        let bench = Bench::new();
        bench.script.answer("/v1.0/me", answer);
        assert_eq!(bench.me().await.expect_err("fails").reason(), expected);
        assert_eq!(bench.script.count(""), 1);
    }
}

#[test]
fn g_01_an_answer_to_a_call_already_under_way_does_not_end_the_wait() {
    let clock = Clock::manual(start());
    let pacing = super::Pacing::new(clock.clone());
    let wait = std::time::Duration::from_secs(7);
    assert_eq!(pacing.pause(http::StatusCode::TOO_MANY_REQUESTS, Some(wait)).reason(), "graph.throttled");
    pacing.resume();
    assert_eq!(pacing.check(), Err(GraphError::Throttled { retry_after: wait }));
    clock.advance(Duration::seconds(7));
    pacing.resume();
    assert_eq!(pacing.check(), Ok(()));
}
