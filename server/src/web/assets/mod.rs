//! The static files: style sheet, favicon and `islands`, inside the binary. Mark and hue come from [`app::brand`].
//!
//! Their URLs carry a hash of their contents, so that browsers keep them for a year and still see
//! each change at once. A debug build reads the files from `style/` at each request, if the
//! folder is there, and has browsers ask each time: what is edited shows on reload.

mod islands;

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::LazyLock;

use app::brand;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use entra::crypto;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::AppError;
use crate::session::access::Everyone;
pub use crate::web::assets::islands::islands_url;

/// A hashed URL's contents never change.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// An unhashed or outdated name: during a roll-out, one instance is asked for the files of another.
const SHORTLY: HeaderValue = HeaderValue::from_static("public, max-age=60");
/// While the files are edited.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The parts of one static file.
struct Source {
    /// Name without hash: what comes before and after it.
    stem: &'static str,
    extension: &'static str,
    content_type: HeaderValue,
    /// Name in `style/` and contents of each part.
    parts: &'static [(&'static str, &'static str)],
    /// What the brand adds behind them.
    brand: fn() -> String,
}

impl Source {
    /// As it was when this was built.
    fn embedded(&self) -> String {
        let parts = self.parts.iter().map(|(_, contents)| *contents);
        parts.collect::<String>() + &(self.brand)()
    }

    /// As `style/` has it now; `None` in a release build or without the folder.
    fn edited(&self) -> Option<String> {
        if !cfg!(debug_assertions) {
            return None;
        }
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../style"));
        let parts = self.parts.iter().map(|(name, _)| std::fs::read_to_string(folder.join(name)).ok());
        Some(parts.collect::<Option<String>>()? + &(self.brand)())
    }
}

static STYLESHEET: Source = Source {
    stem: "style",
    extension: "css",
    content_type: HeaderValue::from_static("text/css; charset=utf-8"),
    parts: &[
        ("tokens.css", include_str!("../../../../style/tokens.css")),
        ("base.css", include_str!("../../../../style/base.css")),
        ("components.css", include_str!("../../../../style/components.css")),
        ("print.css", include_str!("../../../../style/print.css")),
    ],
    brand: || format!("@layer tokens {{\n  :root {{\n    --hue: {};\n  }}\n}}\n", brand::HUE),
};

static FAVICON: Source = Source {
    stem: "favicon",
    extension: "svg",
    content_type: HeaderValue::from_static("image/svg+xml"),
    parts: &[],
    brand: || {
        let (hue, mark) = (brand::HUE, brand::MARK);
        let frame = r#"xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32""#;
        format!("<svg {frame} fill=\"oklch(0.52 0.17 {hue})\">{mark}</svg>\n")
    },
};

static STYLESHEET_ASSET: LazyLock<Asset> = LazyLock::new(|| Asset::embedded(&STYLESHEET));
static FAVICON_ASSET: LazyLock<Asset> = LazyLock::new(|| Asset::embedded(&FAVICON));

/// A file, ready to send.
struct Asset {
    /// Name without hash: what comes before and after it.
    stem: &'static str,
    extension: &'static str,
    /// The path with the hash.
    url: String,
    content_type: HeaderValue,
    plain: Representation,
    gzip: Representation,
}

/// The bytes of one encoding, and their entity tag.
struct Representation {
    bytes: Bytes,
    etag: HeaderValue,
}

impl Representation {
    fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let etag = HeaderValue::try_from(format!("\"{}\"", hash(&bytes)));
        Self { bytes, etag: etag.unwrap_or(HeaderValue::from_static("W/\"0\"")) }
    }
}

impl Asset {
    fn embedded(source: &Source) -> Self {
        Self::of(source, source.embedded())
    }

    fn edited(source: &Source) -> Option<Self> {
        Some(Self::of(source, source.edited()?))
    }

    fn of(source: &Source, text: String) -> Self {
        Self::new(source.stem, source.extension, source.content_type.clone(), text.into_bytes())
    }

    fn new(stem: &'static str, extension: &'static str, content_type: HeaderValue, bytes: Vec<u8>) -> Self {
        let url = url(stem, extension, &bytes);
        let gzip = Representation::new(gzip(&bytes));
        Self { stem, extension, url, content_type, plain: Representation::new(bytes), gzip }
    }

    /// Whether `name` is this file's, with whatever hash or none: `style.css`, `style.0123abcd.css`.
    fn is_named(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.stem).and_then(|rest| rest.strip_prefix('.'));
        match rest.and_then(|rest| rest.strip_suffix(self.extension)) {
            Some("") => true,
            Some(rest) => rest.strip_suffix('.').is_some_and(is_hash),
            None => false,
        }
    }

    /// For how long a client may keep what it gets under `name`.
    fn caching(&self, name: &str) -> HeaderValue {
        let is_current = self.url.strip_prefix("/assets/") == Some(name);
        if is_current { FOREVER } else { SHORTLY }
    }

    fn respond(&self, cache_control: HeaderValue, request: &HeaderMap) -> Response {
        let accepts_gzip = accepts_gzip(request);
        let chosen = if accepts_gzip { &self.gzip } else { &self.plain };
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, cache_control);
        headers.insert(ETAG, chosen.etag.clone());
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        if is_known(request, &chosen.etag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        if accepts_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        (headers, chosen.bytes.clone()).into_response()
    }
}

/// The URL path of the style sheet: `/assets/style.<hash>.css`.
#[must_use]
pub fn stylesheet_url() -> &'static str {
    &STYLESHEET_ASSET.url
}

/// The same of the style sheet as it is being edited; as it was built in a release build.
#[must_use]
pub fn edited_stylesheet_url() -> String {
    let url_of = |text: String| url(STYLESHEET.stem, STYLESHEET.extension, text.as_bytes());
    STYLESHEET.edited().map_or_else(|| stylesheet_url().to_owned(), url_of)
}

/// The URL path of the favicon: `/assets/favicon.<hash>.svg`.
#[must_use]
pub fn favicon_url() -> &'static str {
    &FAVICON_ASSET.url
}

/// `GET /assets/{name}`: a file by its hashed, outdated or plain name, gzipped if the client
/// takes that; 304 when it has the file; 404 for any other name.
pub async fn serve(_: Everyone, Path(name): Path<String>, headers: HeaderMap) -> Response {
    if STYLESHEET_ASSET.is_named(&name) {
        respond(&STYLESHEET, &STYLESHEET_ASSET, &name, &headers)
    } else if FAVICON_ASSET.is_named(&name) {
        respond(&FAVICON, &FAVICON_ASSET, &name, &headers)
    } else if let Some(asset) = islands::find(&name) {
        asset.respond(asset.caching(&name), &headers)
    } else {
        AppError::NotFound.into_response()
    }
}

/// `GET /favicon.ico`, which browsers ask for unasked: the SVG.
pub async fn favicon(_: Everyone, headers: HeaderMap) -> Response {
    respond(&FAVICON, &FAVICON_ASSET, "favicon.ico", &headers)
}

fn respond(source: &Source, embedded: &Asset, name: &str, request: &HeaderMap) -> Response {
    if let Some(edited) = Asset::edited(source) {
        return edited.respond(REVALIDATE, request);
    }
    embedded.respond(embedded.caching(name), request)
}

fn url(stem: &str, extension: &str, bytes: &[u8]) -> String {
    format!("/assets/{stem}.{}.{extension}", hash(bytes))
}

fn is_hash(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The first 64 bits of SHA-256, in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    let digest = crypto::digest(bytes);
    digest.iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail; were it to, the gzip stream would be short, not wrong.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Whether `Accept-Encoding` names gzip or `*`, and not with `q=0` (RFC 9110, section 12.5.3).
fn accepts_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut encodings = values.flat_map(|value| value.split(','));
    encodings.any(|encoding| {
        let (name, parameters) = encoding.split_once(';').unwrap_or((encoding, ""));
        let is_gzip = matches!(name.trim(), "gzip" | "x-gzip" | "*");
        let mut weights = parameters.split(';').filter_map(|parameter| parameter.trim().strip_prefix("q="));
        is_gzip && !weights.any(|weight| weight.parse() == Ok(0.0))
    })
}

/// Whether `If-None-Match` names `etag` or anything, compared weakly (RFC 9110 section 13.1.2).
fn is_known(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else { return false };
    let values = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use http_body_util::BodyExt as _;

    use super::*;

    fn headers(given: &[(axum::http::HeaderName, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).expect("a value"))).collect()
    }

    async fn body(response: Response) -> Vec<u8> {
        response.into_body().collect().await.expect("a body").to_bytes().to_vec()
    }

    #[tokio::test]
    async fn gzip_holds_the_same_bytes() {
        let plain = body(STYLESHEET_ASSET.respond(FOREVER, &headers(&[]))).await;
        let response = STYLESHEET_ASSET.respond(FOREVER, &headers(&[(ACCEPT_ENCODING, "br, gzip;q=0.8")]));
        assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
        assert_eq!(response.headers()[VARY], "accept-encoding");
        let packed = body(response).await;
        let mut unpacked = Vec::new();
        GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).expect("gzip");
        assert!(!plain.is_empty() && packed.len() < plain.len());
        assert_eq!(unpacked, plain);
    }

    #[test]
    fn gzip_is_only_for_those_who_take_it() {
        for (accept, taken) in [
            ("gzip", true),
            ("deflate, gzip, br", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("br", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(&headers(&[(ACCEPT_ENCODING, accept)])), taken, "{accept}");
        }
    }

    #[test]
    fn a_known_file_is_not_sent_again() {
        for encoding in ["gzip", "identity"] {
            let first = STYLESHEET_ASSET.respond(FOREVER, &headers(&[(ACCEPT_ENCODING, encoding)]));
            let etag = first.headers()[ETAG].to_str().expect("text");
            for tags in [etag.to_owned(), format!("\"other\", W/{etag}"), "*".to_owned()] {
                let request = headers(&[(ACCEPT_ENCODING, encoding), (IF_NONE_MATCH, &tags)]);
                let again = STYLESHEET_ASSET.respond(FOREVER, &request);
                assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{tags}");
                assert_eq!(again.headers()[ETAG], etag);
                assert_eq!(again.headers()[CACHE_CONTROL], FOREVER);
            }
            let request = headers(&[(ACCEPT_ENCODING, encoding), (IF_NONE_MATCH, "\"other\"")]);
            assert_eq!(STYLESHEET_ASSET.respond(FOREVER, &request).status(), StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn files_have_names_with_any_hash_or_none() {
        let hashed = stylesheet_url().strip_prefix("/assets/").expect("below /assets");
        for (name, content_type) in [
            (hashed, "text/css; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("style.0123456789abcdef.css", "text/css; charset=utf-8"),
            ("favicon.svg", "image/svg+xml"),
        ] {
            let response = serve(Everyone(None), Path(name.to_owned()), HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            assert_eq!(response.headers()[CONTENT_TYPE], content_type, "{name}");
        }
        for name in
            ["", "style", "stylecss", "style..css", "style.x.css", "tokens.css", "..", "../../Cargo.toml", "styles.css"]
        {
            let response = serve(Everyone(None), Path(name.to_owned()), HeaderMap::new()).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{name}");
        }
    }

    #[tokio::test]
    async fn the_brand_is_in_both_files() {
        let text = async |asset: &Asset| body(asset.respond(FOREVER, &headers(&[]))).await;
        let (style, favicon) = (text(&STYLESHEET_ASSET).await, text(&FAVICON_ASSET).await);
        let (style, favicon) = (String::from_utf8_lossy(&style), String::from_utf8_lossy(&favicon));
        assert!(style.contains(&format!("--hue: {};", brand::HUE)));
        assert!(favicon.contains(brand::MARK) && favicon.contains(&format!(" {})", brand::HUE)), "{favicon}");
    }

    #[test]
    fn only_the_current_name_is_kept_for_long() {
        let embedded = Asset::of(&STYLESHEET, "a{}".to_owned());
        assert!(embedded.url.starts_with("/assets/style.") && embedded.url.ends_with(".css"));
        assert_ne!(embedded.url, Asset::of(&STYLESHEET, "b{}".to_owned()).url);
        let hashed = embedded.url.strip_prefix("/assets/").expect("below /assets");
        assert_eq!(embedded.caching(hashed), FOREVER);
        assert_eq!(embedded.caching("style.css"), SHORTLY);
        assert_eq!(embedded.caching("style.0123456789abcdef.css"), SHORTLY);
    }
}
