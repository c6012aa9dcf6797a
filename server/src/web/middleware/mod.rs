//! The middleware around every route.
//!
//! `surround` is the whole stack, from the outside in; a request passes downwards, its response
//! upwards. [`apply`] puts it around the router. It needs no state of the application; what does
//! is further in: the session, the current user, and the [guard](crate::session::guard) of the routes.
//!
//! It is one layer of the router, so it runs after routing, and for the fallback too. One function
//! instead of a layer for each piece, since each layer costs boxes and clones at every request.

pub mod csrf;
pub mod error_page;
pub mod rate_limit;
pub mod security_headers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use ipnet::IpNet;
use tracing::Instrument as _;

use crate::config::{PublicUrl, RateLimit};
use crate::error::AppError;
use crate::observe::client::TrustedProxies;
use crate::observe::request_id::Journal;
use crate::session::session_cookie;
use crate::web::middleware::error_page::Reader;
use crate::web::middleware::rate_limit::{AuthLimiter, Limiter, client, counts_when_refused};
pub use crate::web::middleware::security_headers::FurtherOrigins;
use crate::web::middleware::security_headers::{HeaderSettings, Nonce, SecurityHeaders};

/// The most bytes of a request body that a handler reads; more is 413.
pub const BODY_LIMIT: usize = 64 * 1024;

/// What the stack depends on.
#[derive(Clone, Debug)]
pub struct StackSettings {
    /// `PUBLIC_URL`: decides about HSTS, `Secure`, and which `Origin` is ours.
    pub public_url: PublicUrl,
    /// `TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<IpNet>,
    /// `AUTH_RATE_LIMIT`; `None` is off.
    pub auth_rate_limit: Option<RateLimit>,
    /// `HSTS_INCLUDE_SUBDOMAINS`.
    pub hsts_include_subdomains: bool,
    /// The provider's URLs: forms may lead there, and it may frame the front-channel logout page.
    pub provider_urls: Vec<String>,
    /// Where forms may lead, too, as soon as the provider's metadata says so.
    pub further_origins: Option<FurtherOrigins>,
}

/// Puts the stack around `router`.
pub fn apply(router: Router, settings: &StackSettings) -> Router {
    router.layer(from_fn_with_state(Arc::new(Stack::new(settings)), surround))
}

/// What the stack knows, made once.
struct Stack {
    https: bool,
    origin: String,
    proxies: TrustedProxies,
    headers: SecurityHeaders,
    limiter: Option<AuthLimiter>,
}

impl Stack {
    fn new(settings: &StackSettings) -> Self {
        let https = settings.public_url.is_https();
        Self {
            https,
            origin: settings.public_url.origin(),
            proxies: TrustedProxies::new(settings.trusted_proxies.clone()),
            headers: SecurityHeaders::new(&HeaderSettings {
                https,
                hsts_include_subdomains: settings.hsts_include_subdomains,
                form_action: settings.provider_urls.clone(),
                logout_frame_ancestors: settings.provider_urls.clone(),
                further_origins: settings.further_origins.clone(),
            }),
            limiter: settings.auth_rate_limit.map(Limiter::new),
        }
    }

    /// Whether the request may go on at all. The limit comes first, so that refused requests count.
    fn admit(&self, request: &Request) -> Result<(), AppError> {
        if let Some(limiter) = &self.limiter {
            limiter.admit(request)?;
        }
        csrf::admit(request, &self.origin)
    }

    /// The answer of all that is further in, or of [`Stack::admit`]; errors and panics as pages.
    async fn answer(&self, request: Request, next: Next) -> Response {
        let reader = Reader::of(&request);
        let counted = client(&request).filter(|_| counts_when_refused(&request));
        let response = match self.admit(&request) {
            Ok(()) => error_page::catch_panic(next.run(request)).await,
            Err(refusal) => refusal.into_response(),
        };
        let counted = counted.filter(|_| response.status().is_client_error());
        let response = match self.limiter.as_ref().zip(counted).map(|(limiter, client)| limiter.check(&client)) {
            Some(Err(refusal)) => refusal.into_response(),
            _ => response,
        };
        reader.page(response)
    }
}

async fn surround(State(stack): State<Arc<Stack>>, mut request: Request, next: Next) -> Response {
    // Names the request and finds out who sends it. Outermost, so that whatever is refused further
    // in has an id and a line in the log.
    let journal = Journal::begin(&mut request, &stack.proxies);
    // Lets the scripts of the page run, and no others.
    let nonce = Nonce::provide(&mut request);
    let may_be_framed = security_headers::may_be_framed(&request);
    // Forms are small.
    DefaultBodyLimit::max(BODY_LIMIT).apply(&mut request);
    let mut response = stack.answer(request, next).instrument(journal.span()).await;
    session_cookie::complete(response.headers_mut(), stack.https);
    stack.headers.apply(&mut response, &nonce, may_be_framed);
    journal.end(&mut response);
    response
}
