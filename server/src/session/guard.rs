//! Pure path logic: who may see a path, and where a sign-in may lead back to.
//!
//! Both decide on the path that the router matches, never on a query, a forwarded header or a
//! user agent, and both take what is odd for the stricter of its meanings.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::paths::{CALLBACK, SIGNED_OUT};

/// Built-in routes that need no sign-in.
const PUBLIC: &[&str] = &[
    "/",
    "/auth/sign-in",
    CALLBACK,
    "/auth/sign-out",
    SIGNED_OUT,
    "/auth/front-channel-logout",
    "/auth/back-channel-logout",
    "/healthz",
    "/readyz",
    "/favicon.ico",
    "/theme",
    "/csp-reports",
    "/api/openapi.json",
];

/// Everything below it is the application's own style, the same for everyone.
const ASSETS: &str = "/assets";

/// Paths that are one role's alone, with everything below them, whatever the settings exempt. The first that fits counts.
const ROLES: &[(&str, &str)] = &[("/admin", "admin")];

/// The most characters of a path to return to; the longest that is surely kept in a URL within a URL.
const NEXT_LENGTH: usize = 2_000;

/// So often a path is decoded at most; nobody writes an escape of an escape of an escape.
const DECODINGS: usize = 4;

/// Who may see a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Whoever is signed in and holds this role.
    Role(&'static str),
}

/// Who may see `path`, the path of the request's URI as the router matches it, without its query.
///
/// `exempt` are paths that need no sign-in, with everything below them (`LOGIN_EXEMPT_PATHS`). A
/// path with `//`, dot segments, backslashes, escapes or another case is never more public than
/// the plain path it may stand for.
#[must_use]
pub fn access(path: &str, exempt: &[String]) -> Access {
    let meaning = meaning(path);
    let is_below = |base| is_below_ignoring_case(path, base) || is_below_ignoring_case(&meaning, base);
    if let Some((_, role)) = ROLES.iter().find(|(base, _)| is_below(base)) {
        Access::Role(role)
    } else if is_public(path) && is_public(&meaning) || is_exempt(path, exempt) && is_exempt(&meaning, exempt) {
        Access::Public
    } else {
        Access::SignedIn
    }
}

fn is_public(path: &str) -> bool {
    PUBLIC.contains(&path) || is_below(path, ASSETS)
}

fn is_exempt(path: &str, exempt: &[String]) -> bool {
    exempt.iter().any(|base| is_below(path, base))
}

/// Whether `path` is `base` or lies below it, compared by whole segments.
fn is_below(path: &str, base: &str) -> bool {
    let base = base.trim_end_matches('/');
    let rest = path.strip_prefix(base).filter(|_| !base.is_empty());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_below_ignoring_case(path: &str, base: &str) -> bool {
    let start = path.get(..base.len()).unwrap_or_default();
    let rest = path.get(base.len()..).unwrap_or_default();
    start.eq_ignore_ascii_case(base) && (rest.is_empty() || rest.starts_with('/'))
}

/// The plain path that a careless reader could take `path` for: escapes decoded, backslashes as
/// slashes, parameters and control characters dropped, empty and dot segments resolved. Empty
/// when it is escaped too often to tell.
fn meaning(path: &str) -> Cow<'_, str> {
    if is_plain(path) {
        return Cow::Borrowed(path);
    }
    let Some(decoded) = decoded(path) else {
        return Cow::Borrowed("");
    };
    let decoded = decoded.replace('\\', "/").replace(char::is_control, "");
    let mut segments = Vec::new();
    for segment in decoded.split('/') {
        match segment.split(';').next().unwrap_or_default() {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    Cow::Owned(format!("/{}", segments.join("/")))
}

/// Whether there is one way to read `path`: plain characters and no empty or dot segment.
fn is_plain(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path == "/" || path.bytes().all(is_plain) && !path.split('/').skip(1).any(is_empty_or_dots)
}

fn is_empty_or_dots(segment: &str) -> bool {
    matches!(segment, "" | "." | "..")
}

/// `path` with its escapes decoded, also those that only decoding brings to light; `None` when
/// there are still some after so many rounds.
fn decoded(path: &str) -> Option<Cow<'_, str>> {
    let mut text = Cow::Borrowed(path);
    for _ in 0..=DECODINGS {
        let once = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if once == text {
            return Some(text);
        }
        text = Cow::Owned(once);
    }
    None
}

/// Where to go after signing in: `next` if it is a path (and query) of this application, else `/`.
///
/// Whatever some browser or proxy could read as another host is dropped: a
/// backslash, two slashes in front, dot segments, control characters, also behind escapes. So is
/// what is not ASCII, longer than 2,000 characters, or leads back into signing in.
#[must_use]
pub fn safe_next(next: Option<&str>) -> String {
    next.filter(|next| is_safe_next(next)).unwrap_or("/").to_owned()
}

fn is_safe_next(next: &str) -> bool {
    let is_url_text = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    next.len() <= NEXT_LENGTH && next.bytes().all(is_url_text) && is_own_path(path_of(next))
}

fn path_of(next: &str) -> &str {
    next.split(['?', '#']).next().unwrap_or_default()
}

fn is_own_path(path: &str) -> bool {
    let Some(decoded) = decoded(path) else { return false };
    let is_odd = |character: char| character.is_control() || character == '\\';
    path.starts_with('/')
        && !decoded.starts_with("//")
        && !decoded.contains(is_odd)
        && !decoded.split('/').any(|segment| matches!(segment, "." | ".."))
        && !is_below_ignoring_case(&decoded, "/auth")
}

#[cfg(test)]
mod tests {
    use super::Access::{Public, Role, SignedIn};
    use super::*;

    const ADMINS: Access = Role("admin");

    fn exempt() -> Vec<String> {
        ["/public", "/docs/api", "/.well-known/security.txt"].map(str::to_owned).to_vec()
    }

    fn check(table: &[(&str, Access)]) {
        for (path, expected) in table {
            assert_eq!(access(path, &exempt()), *expected, "{path}");
        }
    }

    #[test]
    fn the_built_in_routes_have_their_access() {
        for path in PUBLIC {
            assert_eq!(access(path, &[]), Public, "{path}");
        }
        check(&[
            ("/assets/style.0123.css", Public),
            ("/profile", SignedIn),
            ("/profile/photo", SignedIn),
            ("/api/v1/me", SignedIn),
            ("/nowhere", SignedIn),
            ("/admin", ADMINS),
            ("/admin/users/1/disable", ADMINS),
            ("/admin/users.csv", ADMINS),
            ("/administration", SignedIn),
        ]);
    }

    #[test]
    fn exempt_paths_are_matched_on_whole_segments() {
        check(&[
            ("/public", Public),
            ("/public/", Public),
            ("/public/a/b", Public),
            ("/public/a%20b", Public),
            ("/.well-known/security.txt", Public),
            ("/docs/api/v1", Public),
            ("/publicity", SignedIn),
            ("/public.txt", SignedIn),
            ("/docs", SignedIn),
            ("/docs/apis", SignedIn),
        ]);
    }

    #[test]
    fn what_must_not_be_exempt_is_not() {
        for exempt in [["/admin"], ["/admin/users"], ["/"], [""]] {
            let exempt = exempt.map(str::to_owned);
            assert_eq!(access("/admin/users", &exempt), ADMINS, "{exempt:?}");
            assert_eq!(access("/profile", &exempt), SignedIn, "{exempt:?}");
        }
    }

    #[test]
    fn k_16_an_odd_path_is_never_more_public_than_its_plain_form() {
        check(&[
            // To an administrator's page, by whatever way.
            ("/public/../admin", ADMINS),
            ("/public/./../admin/", ADMINS),
            ("/public/%2e%2e/admin", ADMINS),
            ("/public/%2E%2E/admin", ADMINS),
            ("/public%2f..%2fadmin", ADMINS),
            ("/public/..%2fadmin", ADMINS),
            ("/public/..%5cadmin", ADMINS),
            ("/public/..\\admin", ADMINS),
            ("/public/%252e%252e/admin", ADMINS),
            ("/public/..;/admin", ADMINS),
            ("/assets/../admin", ADMINS),
            ("/assets/%2e%2e%2fadmin", ADMINS),
            ("//admin", ADMINS),
            ("///admin///users", ADMINS),
            ("/./admin", ADMINS),
            ("/ADMIN", ADMINS),
            ("/Admin/users", ADMINS),
            ("/%61dmin", ADMINS),
            ("/%41dmin", ADMINS),
            ("/%2561dmin", ADMINS),
            ("/admin/", ADMINS),
            ("/admin%2fusers", ADMINS),
            ("/admin%00", ADMINS),
            ("/admin;x=/public", ADMINS),
            ("/admin/../public", ADMINS),
            ("\\admin", ADMINS),
            // To a page that needs a sign-in.
            ("/public/../profile", SignedIn),
            ("/public/%2e%2e/profile", SignedIn),
            ("/public/..%2fprofile", SignedIn),
            ("/public/..%5Cprofile", SignedIn),
            ("/public/%2525252e%2525252e/profile", SignedIn),
            ("/public/%252525252e%252525252e/profile", SignedIn),
            ("/public/%25252525252525252e%25252525252525252e/profile", SignedIn),
            ("/assets/../profile", SignedIn),
            ("/assets/..%2f..%2fprofile", SignedIn),
            ("/profile/../public", SignedIn),
            ("/healthz/../profile", SignedIn),
            ("/profile?x=/public", SignedIn),
            ("/profile#/public", SignedIn),
            // Public pages written oddly: nobody needs them so.
            ("//public", SignedIn),
            ("/PUBLIC", SignedIn),
            ("/%70ublic", SignedIn),
            ("/public%2f", SignedIn),
            ("/public;x", SignedIn),
            ("//auth/sign-in", SignedIn),
            ("/auth/sign-in/", SignedIn),
            ("/auth//sign-in", SignedIn),
            ("/AUTH/sign-in", SignedIn),
            ("/auth/sign%2din", SignedIn),
            ("/healthz/", SignedIn),
            ("/readyz%00", SignedIn),
            ("/ASSETS/x", SignedIn),
            ("", SignedIn),
            ("*", SignedIn),
            ("/é", SignedIn),
        ]);
    }

    #[test]
    fn k_02_what_may_lead_elsewhere_leads_home() {
        let long = format!("/{}", "x".repeat(2_000));
        let bad = [
            "",
            " ",
            "profile",
            "evil.example",
            "https://evil.example",
            "http:evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "HTTPS://evil.example",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "\\\\evil.example",
            "/\\/evil.example",
            "/\\\\evil.example",
            "/\t/evil.example",
            "/\t\\evil.example",
            "/\n/evil.example",
            "/\r/evil.example",
            "\t//evil.example",
            " //evil.example",
            "/ /evil.example",
            "/\u{b}/evil.example",
            "/\0/evil.example",
            "/%09/evil.example",
            "/%0a/evil.example",
            "/%0d%0aLocation:%20https://evil.example",
            "/%00/evil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/%255cevil.example",
            "/%2525252525255cevil.example",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%252fevil.example",
            "/%2509/evil.example",
            "/./\\evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/%2e/%2fevil.example",
            "/%2e%2e//evil.example",
            "/a/..//evil.example",
            "/a/%2e%2e//evil.example",
            "/a\r\nSet-Cookie:x=y",
            "/\u{2215}evil.example",
            "/\u{ff0f}evil.example",
            "/é",
            "/%c2%85/x",
            "/a?b=\\c",
            "/a?b=c\r\nd",
            "?next=/x",
            "#x",
            "@evil.example",
            ":80",
            "/auth",
            "/auth/",
            "/auth/sign-in",
            "/auth/sign-in?next=/auth/sign-in",
            "/auth/callback?code=x",
            "/AUTH/sign-out",
            "/%61uth/sign-in",
            "/auth?x",
            long.as_str(),
        ];
        for next in bad {
            assert_eq!(safe_next(Some(next)), "/", "{next:?}");
        }
        assert!(bad.len() > 40);
        assert_eq!(safe_next(None), "/");
    }

    #[test]
    fn k_02_paths_of_this_application_are_kept() {
        let long = format!("/{}", "x".repeat(1_999));
        for next in [
            "/",
            "/profile",
            "/admin/users?q=o%27neil&sort=upn&after=a%2Fb%3D%3D",
            "/admin/audit?from=2026-11-24T00%3A00%3A00Z#top",
            "/@evil.example",
            "/search?q=https://evil.example//x",
            "/search?q=line%0Abreak%5C",
            "/a//b",
            "/.well-known/x",
            "/%C3%A9",
            "/authors",
            long.as_str(),
        ] {
            assert_eq!(safe_next(Some(next)), next);
        }
    }

    /// What a browser makes of it (WHATWG URL) stays on the origin, whatever the text was.
    #[test]
    fn k_02_what_is_kept_resolves_to_this_origin() {
        let base = url::Url::parse("https://app.example.com/auth/callback").expect("a URL");
        let pieces =
            ["/", "\\", "%2f", "%5C", "..", ".", "\t", "%09", "evil.example", "@", ":", "https:", "?", "#", "a"];
        for (a, b, c) in triples(&pieces) {
            for next in [format!("/{a}{b}{c}"), format!("{a}{b}{c}evil.example")] {
                let resolved = base.join(&safe_next(Some(&next))).expect("a URL");
                assert_eq!(resolved.origin(), base.origin(), "{next:?}");
            }
        }
    }

    fn triples<'a>(pieces: &'a [&'a str]) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        let pairs = pieces.iter().flat_map(move |a| pieces.iter().map(move |b| (*a, *b)));
        pairs.flat_map(move |(a, b)| pieces.iter().map(move |c| (a, b, *c)))
    }
}
