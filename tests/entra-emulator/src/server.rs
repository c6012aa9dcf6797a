//! Listening: binds, serves HTTP/1.1, goes offline and comes back, stops.
//!
//! The accept loop is written out because faults need what a framework hides: a connection that
//! is closed without an answer.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::response::Response;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::options::Port;
use crate::state::State;
use crate::sync::lock;
use crate::{admin_consent, authorize, control, graph, logout, metadata, observe, pages, token};

/// How many ports after the preferred one are tried.
const PORTS_TRIED: u16 = 100;

/// Pause before a port that was taken is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Marks a response that must not be sent: the connection is closed instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HangUp;

/// Whether the emulator is reachable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Online,
    Offline,
    Stopped,
}

/// Binds the port that is asked for.
pub(crate) fn bind(address: IpAddr, port: Port) -> io::Result<StdListener> {
    let bind = |port: u16| StdListener::bind(SocketAddr::new(address, port));
    let listener = match port {
        Port::Any => bind(0),
        Port::Exact(port) => bind(port),
        Port::From(first) => {
            let mut candidates = first..=first.saturating_add(PORTS_TRIED);
            candidates.find_map(|port| bind(port).ok()).map_or_else(|| bind(0), Ok)
        }
    }?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Every route of the emulator.
pub(crate) fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(start_page))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(metadata::metadata))
        .route("/{tenant}/discovery/v2.0/keys", get(metadata::keys))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::authorize).post(authorize::authorize))
        .route("/{tenant}/oauth2/v2.0/token", axum::routing::post(token::token))
        .route("/{tenant}/oauth2/v2.0/logout", get(logout::logout).post(logout::logout))
        .route("/{tenant}/v2.0/adminconsent", get(admin_consent::admin_consent))
        .merge(graph::routes())
        .merge(control::http::routes())
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&state), observe::observe))
        .with_state(state)
}

/// Says what this is, to someone who opens the address in a browser.
async fn start_page(Shared(state): Shared<Arc<State>>) -> Response {
    let facts = [
        ("Authority", state.base_url.clone()),
        ("Graph", state.graph_url()),
        ("Tenant id", state.options.tenant_id.to_string()),
        ("Client id", state.options.client_id.clone()),
    ];
    let personas: Vec<_> = lock(&state.directory).personas().take(40).cloned().collect();
    pages::start(&facts, &personas)
}

/// Serves until `mode` says stop. Going offline closes the listener and all connections.
pub(crate) async fn serve(
    listener: StdListener,
    router: Router,
    mut mode: watch::Receiver<Mode>,
    reached: watch::Sender<Mode>,
) {
    let Ok(address) = listener.local_addr() else { return };
    let mut first = TcpListener::from_std(listener).ok();
    loop {
        let wanted = *mode.borrow_and_update();
        if wanted == Mode::Online {
            match listen(first.take(), address).await {
                Ok(listener) => {
                    reached.send_replace(wanted);
                    accept(listener, &router, &mut mode).await;
                }
                Err(error) => tracing::error!(%error, %address, "the emulator could not come back"),
            }
            continue;
        }
        first = None;
        reached.send_replace(wanted);
        if wanted == Mode::Stopped || mode.changed().await.is_err() {
            return;
        }
    }
}

/// The listener that was bound at the start, or a new one on the same address.
async fn listen(first: Option<TcpListener>, address: SocketAddr) -> io::Result<TcpListener> {
    let Some(listener) = first else {
        let bound = TcpListener::bind(address).await;
        if bound.is_err() {
            // Someone else has the port for now: do not spin while trying again.
            tokio::time::sleep(RETRY).await;
        }
        return bound;
    };
    Ok(listener)
}

/// Accepts connections until the mode changes; then listener and connections are dropped.
async fn accept(listener: TcpListener, router: &Router, mode: &mut watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, router.clone()));
                }
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = mode.changed() => return,
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone();
        async move {
            let response =
                router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never: Infallible| match never {});
            if response.extensions().get::<HangUp>().is_some() {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
            }
            Ok(response)
        }
    });
    // Errors here are the client's doing or a fault's: nothing to report.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
