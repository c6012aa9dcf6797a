//! The whole stack around a small router, asked as a client asks.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Form, Json, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use url::Url;

use crate::config::{PublicUrl, RateLimit};
use crate::error::AppError;
use crate::observe::client::ClientInfo;
use crate::observe::request_id::RequestId;
use crate::web::assets;
use crate::web::middleware::security_headers::Nonce;
use crate::web::middleware::{StackSettings, apply};

const CANARY: &str = "canary-8c1f";

fn settings(public_url: &str) -> StackSettings {
    StackSettings {
        public_url: PublicUrl::new(Url::parse(public_url).expect("a URL")),
        trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
        auth_rate_limit: None,
        hsts_include_subdomains: true,
        provider_urls: vec!["https://login.microsoftonline.com".to_owned()],
        further_origins: None,
    }
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { Html("home") }))
        .route("/cached", get(|| async { ([(header::CACHE_CONTROL, "private, max-age=5")], "x") }))
        .route("/redirect", get(|| async { Redirect::to("/") }))
        .route("/echo", get(echo))
        .route("/assets/{name}", get(assets::serve))
        .route("/auth/front-channel-logout", get(|| async { "" }))
        .route("/auth/sign-out", post(sign_out))
        .route("/auth/sign-in", get(|| async { Html("sign in") }).post(|| async { Redirect::to("/") }))
        .route("/form", post(|Form(fields): Form<Vec<(String, String)>>| async move { fields.len().to_string() }))
        .route("/json", post(|Json(number): Json<u8>| async move { number.to_string() }))
        .route("/fails/{how}", get(fails))
        .route("/api/v1/fails/{how}", get(fails))
        .route("/own-page", get(|| async { (StatusCode::FORBIDDEN, Html("our own")) }))
        .route("/probe", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "degraded") }))
}

async fn echo(
    Extension(id): Extension<RequestId>,
    Extension(client): Extension<ClientInfo>,
    Extension(nonce): Extension<Nonce>,
) -> String {
    format!("{} {} {}", id.0, client.address, nonce.0)
}

async fn sign_out() -> impl IntoResponse {
    ([(header::SET_COOKIE, "__Host-id=; Path=/; Max-Age=0")], Redirect::to("/auth/signed-out"))
}

async fn fails(axum::extract::Path(how): axum::extract::Path<String>) -> Result<(), AppError> {
    Err(match how.as_str() {
        "missing" => AppError::NotFound,
        "forbidden" => AppError::forbidden(CANARY),
        "bad" => AppError::bad_request("The date <b>is not</b> one."),
        "unauthorized" => AppError::Unauthorized,
        "busy" => AppError::TooManyRequests { retry_after: Duration::from_secs(7) },
        "down" => AppError::unavailable(CANARY),
        "panic" => panic!("{CANARY}"),
        _ => AppError::internal(CANARY),
    })
}

fn router() -> Router {
    apply(routes(), &settings("https://app.example.com"))
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }
}

async fn ask(router: &Router, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    let response = router.clone().oneshot(request).await.expect("a response");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() }
}

async fn fetch(uri: &str) -> Answer {
    ask(&router(), "GET", uri, &[], "").await
}

const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

#[tokio::test]
async fn h_08_every_response_has_the_headers() {
    let router = router();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let requests = [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/redirect", 303),
        ("GET", "/nowhere", 404),
        ("HEAD", "/nowhere", 404),
        ("GET", "/form", 405),
        ("POST", "/json", 415),
        ("POST", "/auth/sign-in", 303),
        ("DELETE", "/", 405),
        ("OPTIONS", "/", 405),
        ("GET", assets::stylesheet_url(), 200),
        ("GET", "/assets/nothing", 404),
        ("GET", "/fails/panic", 500),
        ("GET", "/fails/down", 503),
        ("GET", "/fails/forbidden", 403),
        ("GET", "/api/v1/fails/missing", 404),
        ("GET", "/own-page", 403),
    ];
    for (method, uri, status) in requests {
        let answer = ask(&router, method, uri, &[SAME_ORIGIN, form], "").await;
        assert_eq!(answer.status, status, "{method} {uri}");
        for (name, value) in [
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("server", ""),
        ] {
            assert_eq!(answer.header(name), value, "{method} {uri}");
        }
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'self'; script-src 'nonce-"), "{method} {uri}");
        assert!(policy.contains("frame-ancestors 'none'"), "{method} {uri}");
        assert!(answer.header("permissions-policy").contains("camera=()"), "{method} {uri}");
        assert_eq!(answer.header("x-request-id").len(), 36, "{method} {uri}");
        let is_static = uri.starts_with("/assets/style");
        assert_eq!(answer.header("cache-control") == "no-store", !is_static, "{method} {uri}");
    }
}

#[tokio::test]
async fn h_07_the_front_channel_logout_page_alone_may_be_framed() {
    let answer = fetch("/auth/front-channel-logout").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-security-policy").contains("frame-ancestors https://login.microsoftonline.com;"));
    assert_eq!((answer.header("x-frame-options"), answer.header("cache-control")), ("", "no-store"));
}

#[tokio::test]
async fn h_06_the_handler_has_the_nonce_of_the_header_and_each_response_its_own() {
    let [one, other] = [fetch("/echo").await, fetch("/echo").await];
    let nonce = one.body.rsplit(' ').next().expect("a nonce");
    assert!(one.header("content-security-policy").contains(&format!("'nonce-{nonce}'")));
    assert!(!other.body.ends_with(nonce));
}

#[tokio::test]
async fn h_08_http_on_loopback_has_no_hsts() {
    let router = apply(routes(), &settings("http://localhost:3000"));
    assert_eq!(ask(&router, "GET", "/", &[], "").await.header("strict-transport-security"), "");
}

#[tokio::test]
async fn a_response_keeps_its_own_caching() {
    assert_eq!(fetch("/cached").await.header("cache-control"), "private, max-age=5");
}

#[tokio::test]
async fn the_handler_has_the_id_of_the_header_and_the_client() {
    let answer = fetch("/echo").await;
    let expected = format!("{} 127.0.0.1 ", answer.header("x-request-id"));
    assert!(answer.body.starts_with(&expected), "{}", answer.body);
}

#[tokio::test]
async fn s_11_a_trusted_proxy_names_client_and_request() {
    let mut request = Request::builder()
        .uri("/echo")
        .header("x-forwarded-for", "192.0.2.1")
        .header("x-request-id", "proxy-12345")
        .body(Body::empty())
        .expect("a request");
    let peer: SocketAddr = "10.0.0.1:5000".parse().expect("an address");
    request.extensions_mut().insert(ConnectInfo(peer));
    let response = router().oneshot(request).await.expect("a response");
    assert_eq!(response.headers()["x-request-id"], "proxy-12345");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(body.starts_with(b"proxy-12345 192.0.2.1 "));
}

#[tokio::test]
async fn h_10_a_form_from_elsewhere_is_refused_with_a_page() {
    let router = router();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let cases: [(&[(&str, &str)], u16); 5] = [
        (&[form, SAME_ORIGIN], 200),
        (&[form, ("origin", "https://app.example.com")], 200),
        (&[form, ("origin", "https://evil.example")], 403),
        (&[form, ("sec-fetch-site", "same-site"), ("origin", "https://app.example.com")], 403),
        (&[form], 403),
    ];
    for (headers, status) in cases {
        let answer = ask(&router, "POST", "/form", headers, "a=1&b=2").await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.body.contains("did not come from a page of this application"), status == 403, "{headers:?}");
    }
}

#[tokio::test]
async fn l_17_the_removal_cookie_is_complete() {
    let answer = ask(&router(), "POST", "/auth/sign-out", &[SAME_ORIGIN], "").await;
    assert_eq!(answer.header("set-cookie"), "__Host-id=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
}

#[tokio::test]
async fn errors_are_pages_for_people_and_problems_for_programs() {
    for (how, status, title) in [
        ("missing", 404, "Not Found"),
        ("forbidden", 403, "Forbidden"),
        ("bad", 400, "Bad Request"),
        ("unauthorized", 401, "Unauthorized"),
        ("busy", 429, "Too Many Requests"),
        ("down", 503, "Service Unavailable"),
        ("inside", 500, "Internal Server Error"),
        ("panic", 500, "Internal Server Error"),
    ] {
        let page = ask(&router(), "GET", &format!("/fails/{how}"), &[("accept", "text/html,*/*;q=0.8")], "").await;
        assert_eq!((page.status, page.header("content-type")), (status, "text/html; charset=utf-8"), "{how}");
        assert!(page.body.contains(page.header("x-request-id")), "{how}: {}", page.body);
        assert!(page.body.contains(assets::stylesheet_url()), "{how}");
        assert!(!page.body.contains(CANARY), "{how}");
        assert_eq!(page.header("content-length"), page.body.len().to_string(), "{how}");
        let by_accept = ask(&router(), "GET", &format!("/fails/{how}"), &[("accept", "application/json")], "").await;
        let by_path = ask(&router(), "GET", &format!("/api/v1/fails/{how}"), &[("accept", "text/html")], "").await;
        for problem in [by_accept, by_path] {
            assert_eq!((problem.status, problem.header("content-type")), (status, "application/problem+json"), "{how}");
            let json: serde_json::Value = serde_json::from_str(&problem.body).expect("JSON");
            assert_eq!(
                (json["status"].as_u64(), json["title"].as_str()),
                (Some(u64::from(status)), Some(title)),
                "{how}"
            );
            assert_eq!(json["request_id"], problem.header("x-request-id"), "{how}");
            assert!(json["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{how}");
            assert!(!problem.body.contains(CANARY), "{how}");
        }
    }
}

#[tokio::test]
async fn errors_keep_the_headers_that_tell_what_to_do() {
    assert_eq!(fetch("/fails/busy").await.header("retry-after"), "7");
    assert_eq!(fetch("/fails/down").await.header("retry-after"), "10");
    assert_eq!(fetch("/fails/unauthorized").await.header("www-authenticate"), "Bearer");
    assert_eq!(ask(&router(), "DELETE", "/", &[SAME_ORIGIN], "").await.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn the_message_of_a_bad_request_is_shown_escaped() {
    let page = fetch("/fails/bad").await.body;
    assert!(page.contains("The date &#60;b&#62;is not&#60;/b&#62; one."), "{page}");
}

#[tokio::test]
async fn what_axum_refuses_becomes_a_page() {
    let router = router();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let json = ("content-type", "application/json");
    for (uri, content_type, body, status) in [
        ("/form", json, "{}".to_owned(), 415),
        ("/form", form, "x".repeat(super::BODY_LIMIT + 1), 413),
        ("/json", json, "nonsense".to_owned(), 400),
        ("/json", json, "300".to_owned(), 422),
        ("/nowhere", form, String::new(), 404),
        ("/own-page", form, String::new(), 405),
    ] {
        let answer = ask(&router, "POST", uri, &[SAME_ORIGIN, content_type], &body).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "text/html; charset=utf-8"), "{uri}");
        assert!(answer.body.contains("<h1"), "{uri}");
        assert!(!answer.body.contains("deserialize") && !answer.body.contains("Content-Type"), "{uri}");
    }
    let fits = ask(&router, "POST", "/form", &[SAME_ORIGIN, form], &"x".repeat(super::BODY_LIMIT)).await;
    assert_eq!(fits.status, 200);
}

#[tokio::test]
async fn pages_that_a_handler_made_pass_through() {
    assert_eq!(fetch("/own-page").await.body, "our own");
    assert_eq!(fetch("/probe").await.body, "degraded");
}

#[tokio::test]
async fn f_37_a_panic_is_a_page_and_counted() {
    let before = crate::observe::panics::count();
    assert_eq!(fetch("/fails/panic").await.status, 500);
    assert!(crate::observe::panics::count() > before);
}

#[tokio::test]
async fn auth_rate_limit_counts_what_is_refused_too_and_nothing_else() {
    let limit = RateLimit { count: 3, per: Duration::from_secs(3_600) };
    let router =
        apply(routes(), &StackSettings { auth_rate_limit: Some(limit), ..settings("https://app.example.com") });
    for (method, uri, status) in [
        ("GET", "/", 200),
        ("GET", "/auth/sign-in", 200),
        ("POST", "/auth/sign-in", 403),
        ("GET", "/auth/nowhere", 404),
        ("GET", "/auth/sign-in", 429),
        ("GET", "/", 200),
    ] {
        let answer = ask(&router, method, uri, &[], "").await;
        assert_eq!(answer.status, status, "{method} {uri}");
        if status == 429 {
            assert_eq!(answer.header("retry-after"), "1200");
            assert!(answer.body.contains("Too many requests"));
        }
    }
}

/// The log of requests to the stack, as JSON lines.
mod log {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    async fn lines(uri: &str, headers: &[(&str, &str)]) -> (Answer, Vec<serde_json::Value>) {
        // Parallel tests without a subscriber would switch a span off for the whole process: whoever meets it first
        // decides. A subscriber for everybody keeps all of them on.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let guard = tracing::subscriber::set_default(subscriber);
        let answer = ask(&router(), "GET", uri, headers, "").await;
        drop(guard);
        let text = String::from_utf8(memory.0.lock().expect("no panic").clone()).expect("text");
        (answer, text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
    }

    #[tokio::test]
    async fn v_16_2_a_request_is_one_line_without_its_secrets() {
        let headers = [("cookie", CANARY), ("authorization", CANARY), ("referer", CANARY), ("x-request-id", CANARY)];
        let (answer, lines) = lines(&format!("/auth/sign-in?code={CANARY}&state={CANARY}"), &headers).await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        let fields = &lines[0]["fields"];
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(fields["request_id"], answer.header("x-request-id"));
        assert_eq!(fields["method"], "GET");
        assert_eq!(fields["path"], "/auth/sign-in");
        assert_eq!(fields["status"], 200);
        assert_eq!(fields["client"], "127.0.0.1");
        assert!(fields["duration_us"].is_u64());
        assert!(!lines[0].to_string().contains(CANARY));
    }

    #[tokio::test]
    async fn static_files_are_not_logged() {
        let (answer, lines) = lines(assets::favicon_url(), &[]).await;
        assert_eq!((answer.status, lines.len()), (200, 0));
    }

    #[tokio::test]
    async fn f_37_an_inside_is_in_the_log_with_the_request_id() {
        for how in ["panic", "inside"] {
            let (answer, lines) = lines(&format!("/fails/{how}"), &[]).await;
            let error = lines.iter().find(|line| line["level"] == "ERROR").expect("an error");
            assert!(error["fields"]["error"].as_str().is_some_and(|text| text.contains(CANARY)), "{error}");
            assert_eq!(error["span"]["request_id"], answer.header("x-request-id"));
        }
    }
}
