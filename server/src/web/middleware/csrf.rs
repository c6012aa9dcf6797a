//! Refuses unsafe requests that do not come from a page of this application.
//!
//! Nothing below checks it again: neither axum nor Leptos server functions do.
//! Browsers tell where a request comes from (Fetch Metadata, `Sec-Fetch-Site`; older ones by
//! `Origin`, Fetch section 3.1), and no page can forge either. `same-site` is not trusted: a
//! neighbouring subdomain is somebody else. Whoever sends neither header is refused.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method};

use crate::error::AppError;
use crate::web::middleware::security_headers::REPORTS;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// What the provider posts itself: the callback is protected by its state, the logout token by its signature. And what
/// browsers post by themselves, which changes nothing.
const EXEMPT: [&str; 3] = ["/auth/callback", "/auth/back-channel-logout", REPORTS];

/// Lets the request pass if [`check`] does; `own_origin` is that of `PUBLIC_URL`.
///
/// # Errors
/// [`AppError::CrossSite`].
pub(super) fn admit(request: &Request, own_origin: &str) -> Result<(), AppError> {
    check(request.method(), request.uri().path(), request.headers(), own_origin)
        .map_err(|detail| AppError::CrossSite { detail })
}

/// Whether a request may change something, judged by where it comes from.
///
/// `own_origin` is what a browser sends as `Origin` from our pages: `https://app.example.com`.
///
/// # Errors
/// Why not, for the log.
pub fn check(method: &Method, path: &str, headers: &HeaderMap, own_origin: &str) -> Result<(), &'static str> {
    if is_safe(method) || is_exempt(method, path) || is_bearer_alone(headers) {
        return Ok(());
    }
    match single(headers, &SEC_FETCH_SITE)? {
        Some("same-origin") => Ok(()),
        Some("none") => check_user_initiated(headers),
        Some(_) => Err("Sec-Fetch-Site names another site"),
        None => check_origin(headers, own_origin),
    }
}

/// Methods that change nothing (RFC 9110 section 9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

fn is_exempt(method: &Method, path: &str) -> bool {
    method == Method::POST && EXEMPT.contains(&path)
}

/// A client of the API: its token is not sent by a browser on its own, as a cookie is.
fn is_bearer_alone(headers: &HeaderMap) -> bool {
    let scheme = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().get(..7));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer ")) && !headers.contains_key(COOKIE)
}

/// `Sec-Fetch-Site: none` is the person's own doing, such as reloading a page that was posted to:
/// always a navigation.
fn check_user_initiated(headers: &HeaderMap) -> Result<(), &'static str> {
    match single(headers, &SEC_FETCH_MODE)? {
        None | Some("navigate") => Ok(()),
        Some(_) => Err("Sec-Fetch-Site is none, but it is no navigation"),
    }
}

fn check_origin(headers: &HeaderMap, own_origin: &str) -> Result<(), &'static str> {
    match single(headers, &ORIGIN)? {
        Some(origin) if origin == own_origin => Ok(()),
        Some(_) => Err("Origin is not that of PUBLIC_URL"),
        None => Err("neither Sec-Fetch-Site nor Origin is there"),
    }
}

/// The value of a header that may occur once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap_or_default());
    match values.next() {
        Some(_) => Err("Sec-Fetch-Site, Sec-Fetch-Mode or Origin occurs twice"),
        None => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::CONTENT_TYPE;

    use super::*;

    const OURS: &str = "https://app.example.com";

    fn allowed(method: &Method, path: &str, given: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        check(method, path, &headers, OURS).is_ok()
    }

    const SITES: [Option<&str>; 7] =
        [None, Some("same-origin"), Some("same-site"), Some("cross-site"), Some("none"), Some("Same-Origin"), Some("")];

    const ORIGINS: [Option<&str>; 9] = [
        None,
        Some(OURS),
        Some("null"),
        Some("https://evil.example"),
        Some("https://app.example.com.evil.example"),
        Some("https://x.app.example.com"),
        Some("http://app.example.com"),
        Some("https://app.example.com:8443"),
        Some("https://app.example.com/"),
    ];

    /// What an unsafe request with these headers deserves.
    fn deserves(site: Option<&str>, origin: Option<&str>) -> bool {
        match site {
            Some(site) => site == "same-origin" || site == "none",
            None => origin == Some(OURS),
        }
    }

    #[test]
    fn h_10_matrix_of_site_origin_method_and_content_type() {
        let unsafe_methods = ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "post"];
        let types = ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "application/json"];
        for (site, origin) in SITES.iter().flat_map(|site| ORIGINS.map(|origin| (*site, origin))) {
            let mut headers: Vec<(&str, &str)> = vec![("cookie", "__Host-id=1")];
            headers.extend(site.map(|site| ("sec-fetch-site", site)));
            headers.extend(origin.map(|origin| ("origin", origin)));
            for (method, content_type) in unsafe_methods.iter().flat_map(|method| types.map(|kind| (*method, kind))) {
                let method = Method::from_bytes(method.as_bytes()).expect("a method");
                let headers = [headers.as_slice(), &[(CONTENT_TYPE.as_str(), content_type)]].concat();
                let is_allowed = allowed(&method, "/admin/users/1/disable", headers.as_slice());
                assert_eq!(is_allowed, deserves(site, origin), "{method} {site:?} {origin:?} {content_type}");
            }
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                assert!(allowed(&method, "/admin", &headers), "{method} {site:?} {origin:?}");
            }
        }
    }

    #[test]
    fn h_10_none_is_for_navigations() {
        let none = ("sec-fetch-site", "none");
        for (mode, is_allowed) in [("navigate", true), ("cors", false), ("no-cors", false), ("websocket", false)] {
            let headers = [none, ("sec-fetch-mode", mode)];
            assert_eq!(allowed(&Method::POST, "/profile", &headers), is_allowed, "{mode}");
        }
    }

    #[test]
    fn h_10_a_header_given_twice_is_refused() {
        let twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
        assert!(!allowed(&Method::POST, "/profile", &twice));
        let twice = [("origin", OURS), ("origin", "https://evil.example")];
        assert!(!allowed(&Method::POST, "/profile", &twice));
    }

    #[test]
    fn h_10_only_what_the_provider_posts_is_exempt() {
        let cross_site = [("sec-fetch-site", "cross-site"), ("origin", "https://login.example")];
        for (method, path, is_allowed) in [
            ("POST", "/auth/callback", true),
            ("POST", "/auth/back-channel-logout", true),
            ("PUT", "/auth/callback", false),
            ("POST", "/auth/callback/", false),
            ("POST", "//auth/callback", false),
            ("POST", "/auth/callback/../sign-out", false),
            ("POST", "/auth/sign-out", false),
            ("POST", "/auth/sign-in", false),
            ("POST", "/theme", false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            assert_eq!(allowed(&method, path, &cross_site), is_allowed, "{method} {path}");
        }
    }

    #[test]
    fn h_10_a_bearer_token_counts_where_no_cookie_is() {
        let bearer = ("authorization", "Bearer abc");
        assert!(allowed(&Method::POST, "/api/v1/users", &[bearer]));
        assert!(allowed(&Method::POST, "/api/v1/users", &[("authorization", "bearer abc")]));
        assert!(!allowed(&Method::POST, "/api/v1/users", &[bearer, ("cookie", "__Host-id=1")]));
        assert!(!allowed(&Method::POST, "/api/v1/users", &[("authorization", "Basic abc")]));
        assert!(!allowed(&Method::POST, "/api/v1/users", &[("authorization", "Bearer")]));
    }
}
