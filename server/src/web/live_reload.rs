//! Live reload, in debug builds with `LIVE_RELOAD`: pages follow their sources while somebody works on them.
//!
//! A script in each page holds a stream of server-sent events (HTML standard, section 9.2) open. Started again, the
//! server answers it as another one, and the page reloads; an edited style sheet is exchanged in place. No websocket to
//! another port and no inline script, as `cargo leptos watch` has them: the Content-Security-Policy stays as it is.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::Stream;
use futures_util::stream::unfold;
use store::models::new_id;
use tokio_util::sync::CancellationToken;

use crate::web::assets;

/// How often the style sheet is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// After this long a browser asks for a server that went away.
const RETRY: Duration = Duration::from_millis(300);

/// `app` with the script in each of its pages, and the two addresses that the script needs; the streams end with
/// `shutdown`. Goes around everything else, so that error pages reload as well.
pub fn around(app: Router, shutdown: CancellationToken) -> Router {
    let server = new_id();
    Router::new()
        .route("/dev/live-reload", get(async move || Sse::new(states(server, shutdown))))
        .route("/dev/live-reload.js", get(script))
        .merge(app.layer(from_fn(add_script)))
}

async fn script() -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("live_reload.js")).into_response()
}

/// What a page depends on, which start of the server and which style sheet: now, and after each change.
fn states(server: String, shutdown: CancellationToken) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(None, move |told| {
        let (server, shutdown) = (server.clone(), shutdown.clone());
        async move {
            let stylesheet = changed_stylesheet(told, &shutdown).await?;
            let state = serde_json::json!({ "server": server, "stylesheet": stylesheet });
            Some((Ok(Event::default().retry(RETRY).data(state.to_string())), Some(stylesheet)))
        }
    })
}

/// The style sheet's URL as soon as it is not `told`; `None` at the shutdown.
async fn changed_stylesheet(told: Option<String>, shutdown: &CancellationToken) -> Option<String> {
    loop {
        let now = assets::edited_stylesheet_url();
        if told.as_ref() != Some(&now) {
            return Some(now);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = shutdown.cancelled() => return None,
        }
    }
}

/// Puts the script into an HTML page whose policy has a nonce for it.
async fn add_script(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let Some(nonce) = nonce(&response) else { return response };
    let script = format!(r#"<script type="module" nonce="{nonce}" src="/dev/live-reload.js"></script>"#);
    let (mut parts, body) = response.into_parts();
    let Ok(page) = to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from([&page, script.as_bytes()].concat()))
}

fn nonce(response: &Response) -> Option<String> {
    let header = |name| response.headers().get(name)?.to_str().ok();
    header(CONTENT_TYPE)?.strip_prefix("text/html")?;
    let (_, rest) = header(CONTENT_SECURITY_POLICY)?.split_once("'nonce-")?;
    rest.split_once('\'').map(|(nonce, _)| nonce.to_owned())
}
