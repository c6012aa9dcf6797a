//! The middleware around every route.
//!
//! From the outside in; a request passes downwards, its response upwards:
//!
//! 1. [`request_id`] names the request, finds out who sends it, and logs it. Outermost, so that
//!    whatever is refused further in has an id and a line in the log.
//! 2. [`security_headers`] mints the nonce and sets the headers of every response, errors too.
//! 3. [`session_cookie`] completes the session layer's cookies.
//! 4. [`error_page`] renders errors and panics of all that follows.
//! 5. [`rate_limit`], if configured, counts requests on `/auth/*`. Before the next one, so that
//!    refused requests count.
//! 6. [`csrf`] refuses unsafe requests from other sites.
//! 7. The body limit: forms are small.
//!
//! [`apply`] adds these; they need no state of the application. What needs it is already on the
//! router then, further in: the session, the current user, and the [`guard`] of the routes.
//!
//! They are layers of the router, thus run after routing, and for the fallback too.

pub mod client;
pub mod csrf;
pub mod error_page;
pub mod guard;
pub mod rate_limit;
pub mod request_id;
pub mod security_headers;
pub mod session_cookie;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use ipnet::IpNet;
use tower::ServiceBuilder;
use tower::util::option_layer;

use self::client::TrustedProxies;
use self::rate_limit::AuthLimiter;
use self::security_headers::{HeaderSettings, SecurityHeaders};
use crate::config::{PublicUrl, RateLimit};

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
    /// The provider's URLs: forms may lead there, and it may frame the front-channel logout page.
    pub provider_urls: Vec<String>,
}

/// Puts the stack around `router`; see the module for its order.
pub fn apply(router: Router, settings: &StackSettings) -> Router {
    let https = settings.public_url.is_https();
    let proxies = TrustedProxies::new(settings.trusted_proxies.clone());
    let headers = SecurityHeaders::new(&HeaderSettings {
        https,
        form_action: settings.provider_urls.clone(),
        logout_frame_ancestors: settings.provider_urls.clone(),
    });
    let limiter = settings.auth_rate_limit.map(AuthLimiter::new);
    let origin: Arc<str> = settings.public_url.origin().into();
    router.layer(
        ServiceBuilder::new()
            .layer(from_fn_with_state(proxies, request_id::identify))
            .layer(from_fn_with_state(headers, security_headers::protect))
            .map_response(move |mut response: Response| {
                session_cookie::complete(response.headers_mut(), https);
                response
            })
            .layer(from_fn(error_page::render))
            .layer(option_layer(limiter.map(|limiter| from_fn_with_state(limiter, rate_limit::limit))))
            .layer(from_fn_with_state(origin, csrf::refuse_cross_site))
            .layer(DefaultBodyLimit::max(BODY_LIMIT)),
    )
}
