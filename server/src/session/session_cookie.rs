//! Completes the session cookie where tower-sessions leaves attributes out.
//!
//! tower-sessions 0.15 removes the cookie with one that has neither `Secure` nor `HttpOnly` nor
//! `SameSite`. A browser refuses a `__Host-` cookie without `Secure` and `Path=/` (RFC 6265bis
//! section 4.1.3.2), so the old one would stay.

use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue};

/// The session cookie's name: `__Host-id`, or `id` where `PUBLIC_URL` is http on loopback.
#[must_use]
pub fn name(https: bool) -> &'static str {
    if https { "__Host-id" } else { "id" }
}

/// Adds what the session cookie lacks to each `Set-Cookie` of its name.
pub fn complete(headers: &mut HeaderMap, https: bool) {
    if !headers.contains_key(SET_COOKIE) {
        return;
    }
    let cookies = headers.iter_mut().filter(|(name, _)| **name == SET_COOKIE);
    for (_, cookie) in cookies {
        if let Some(completed) = completed(cookie, https) {
            *cookie = completed;
        }
    }
}

/// The cookie with all its attributes; `None` if it has them or is another one.
fn completed(cookie: &HeaderValue, https: bool) -> Option<HeaderValue> {
    let text = cookie.to_str().ok()?;
    let (given_name, _) = text.split_once('=')?;
    let required: &[&str] =
        if https { &["Path=/", "HttpOnly", "SameSite=Lax", "Secure"] } else { &["Path=/", "HttpOnly", "SameSite=Lax"] };
    let missing = required.iter().filter(|attribute| !has(text, attribute));
    let missing: Vec<&str> = missing.copied().collect();
    if given_name.trim() != name(https) || missing.is_empty() {
        return None;
    }
    HeaderValue::try_from(format!("{text}; {}", missing.join("; "))).ok()
}

/// Whether a cookie has an attribute of this name, with whatever value.
fn has(cookie: &str, attribute: &str) -> bool {
    let name = |text: &str| text.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
    cookie.split(';').skip(1).any(|given| name(given) == name(attribute))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete_one(cookie: &'static str, https: bool) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(SET_COOKIE, HeaderValue::from_static(cookie));
        complete(&mut headers, https);
        headers[SET_COOKIE].to_str().expect("text").to_owned()
    }

    #[test]
    fn l_17_the_removal_cookie_gets_what_it_lacks() {
        let removal = "__Host-id=; Path=/; Max-Age=0; Expires=Mon, 24 Nov 2025 23:00:00 GMT";
        assert_eq!(complete_one(removal, true), format!("{removal}; HttpOnly; SameSite=Lax; Secure"));
        assert_eq!(complete_one("id=; Max-Age=0", false), "id=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn h_01_complete_and_foreign_cookies_stay_as_they_are() {
        for cookie in [
            "__Host-id=abc; HttpOnly; SameSite=Lax; Secure; Path=/",
            "__Host-id=abc; httponly; samesite=Strict; secure; path=/",
            "__Host-login-1=abc; Path=/",
            "theme=dark",
            "id=abc",
            "__Host-idx=abc",
            "nonsense",
        ] {
            assert_eq!(complete_one(cookie, true), cookie);
        }
    }

    #[test]
    fn l_17_each_of_several_cookies_is_looked_at() {
        let mut headers = HeaderMap::new();
        for cookie in ["theme=dark", "id=; Path=/; Max-Age=0", "login=x"] {
            headers.append(SET_COOKIE, HeaderValue::from_static(cookie));
        }
        complete(&mut headers, false);
        let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["theme=dark", "id=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax", "login=x"]);
    }
}
