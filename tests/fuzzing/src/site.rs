//! The whole application in the process, called without a socket in between.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use http::{HeaderMap, Request, StatusCode};
use suite::TestApp;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// The router of an application with a database and an emulator of its own.
pub struct Site {
    /// The application.
    pub app: TestApp,
    /// Runs its futures.
    pub runtime: Runtime,
    router: Router,
}

/// What a request came to.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Default for Site {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let app = runtime.block_on(TestApp::start());
        let router = server::router::build(app.state.clone());
        Self { app, runtime, router }
    }
}

impl Site {
    /// Sends a request as a browser on this site does; `None` if it is none that HTTP can carry.
    pub fn send(&self, method: &str, target: &str, cookies: &[u8], form: &str) -> Option<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "localhost")
            .header("accept", "text/html")
            .header("origin", self.app.origin())
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", http::HeaderValue::from_bytes(cookies).ok()?)
            .extension(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000))))
            .body(Body::from(form.to_owned()))
            .ok()?;
        Some(self.runtime.block_on(async {
            let (parts, body) = self.router.clone().oneshot(request).await.expect("infallible").into_parts();
            let body = to_bytes(body, usize::MAX).await.expect("a body").to_vec();
            Answer { status: parts.status, headers: parts.headers, body }
        }))
    }
}
