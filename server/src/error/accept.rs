//! Who reads an answer, a person with a browser or a program: the one place that looks at `Accept`.

use axum::http::HeaderValue;
use headers_accept::Accept;
use mediatype::names::{APPLICATION, CHARSET, HTML, JSON, TEXT};
use mediatype::values::UTF_8;
use mediatype::{MediaType, Name};

const TEXT_HTML: MediaType<'_> = MediaType::new(TEXT, HTML);

/// What there is to choose from; the first wins where the client has no preference.
static OFFERED: [MediaType<'_>; 4] = [
    TEXT_HTML,
    MediaType::new(APPLICATION, JSON),
    // JSON has no such parameter, and many a client names it all the same.
    MediaType::from_parts(APPLICATION, JSON, None, &[(CHARSET, UTF_8)]),
    MediaType::from_parts(APPLICATION, Name::new_unchecked("problem"), Some(JSON), &[]),
];

/// Whether a program asks: for a path of the API, or with an `Accept` (all its lines) that prefers JSON to HTML
/// (RFC 9110, section 12.5.1).
///
/// Whoever has no preference, takes neither, or sends what is no `Accept` gets what people get.
#[must_use]
pub fn is_program<'a>(path: &str, accept: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    path == "/api" || path.starts_with("/api/") || prefers_json(accept)
}

fn prefers_json<'a>(accept: impl IntoIterator<Item = &'a HeaderValue>) -> bool {
    // Several lines are one list (section 5.3), of which the library reads one; and it compares values with their case.
    let lines: Result<Vec<&str>, _> = accept.into_iter().map(HeaderValue::to_str).collect();
    let accept = lines.ok().and_then(|lines| lines.join(", ").to_ascii_uppercase().parse::<Accept>().ok());
    let chosen = accept.as_ref().and_then(|accept| accept.negotiate(&OFFERED));
    chosen.is_some_and(|chosen| *chosen != TEXT_HTML)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_asked_by_a_program(path: &str, lines: &[&[u8]]) -> bool {
        let lines: Vec<HeaderValue> =
            lines.iter().map(|line| HeaderValue::from_bytes(line).expect("a header's value")).collect();
        is_program(path, &lines)
    }

    #[test]
    fn a_program_is_who_wants_json_more_than_html() {
        for (accept, is_program) in [
            ("application/json", true),
            ("APPLICATION/JSON", true),
            ("application/problem+json", true),
            ("application/json; charset=utf-8", true),
            ("application/json, text/plain, */*", true),
            ("text/html;q=0.8, application/json", true),
            ("application/json, */*;q=0.5", true),
            ("text/html;q=0, */*", true),
            ("application/*", true),
            ("text/html, application/json", false),
            ("application/json;q=0.9, text/html", false),
            ("application/json;q=0", false),
            ("application/json;q=0.000, */*", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false),
            ("*/*", false),
            ("*/*;q=0", false),
            ("text/*", false),
            ("image/png", false),
            ("application/jsonp", false),
            ("text/json", false),
        ] {
            assert_eq!(is_asked_by_a_program("/profile", &[accept.as_bytes()]), is_program, "{accept}");
        }
        assert!(!is_asked_by_a_program("/profile", &[]));
    }

    #[test]
    fn several_lines_of_accept_are_one_list() {
        assert!(is_asked_by_a_program("/", &[b"text/html;q=0.5", b"application/json"]));
        assert!(is_asked_by_a_program("/", &[b"application/json", b"text/html;q=0.5"]));
        assert!(!is_asked_by_a_program("/", &[b"application/json;q=0.5", b"text/html"]));
    }

    #[test]
    fn what_is_no_accept_counts_for_nothing() {
        for malformed in [
            &b""[..],
            b",;,q=1",
            b"json",
            b"application/json, /",
            b"application/json\xff",
            b"application/\"json\"",
            b"application/json;q=\"",
        ] {
            assert!(!is_asked_by_a_program("/profile", &[malformed]), "{:?}", String::from_utf8_lossy(malformed));
        }
    }

    #[test]
    fn the_api_is_for_programs_whatever_they_accept() {
        for path in ["/api", "/api/", "/api/v1/me"] {
            assert!(is_asked_by_a_program(path, &[b"text/html"]), "{path}");
        }
        assert!(!is_asked_by_a_program("/apiary", &[b"text/html"]));
    }
}
