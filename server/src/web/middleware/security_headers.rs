//! The security headers of every response, and the nonce that lets our own scripts run.
//!
//! All values are made once; per response only the nonce is spliced in. Sources: OWASP Secure
//! Headers and Content Security Policy cheat sheets, OWASP ASVS 5.0 section 3.4, CSP Level 3.

use std::fmt;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{self, HeaderName};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra::crypto::{self, CryptoError};
use url::Url;

/// The one page that the provider may frame (OpenID Connect Front-Channel Logout 1.0, section 3).
pub const FRONT_CHANNEL_LOGOUT: &str = "/auth/front-channel-logout";

/// Where browsers report violations of the policy ([`crate::web::csp_reports`]).
pub const REPORTS: &str = "/csp-reports";

/// Two years, as the HSTS preload list asks for at least one.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");
const HSTS_WITH_SUBDOMAINS: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Where browsers tell of what the policy stopped (Reporting API). They heed it over https alone, and then ignore the
/// policy's `report-uri`; so over http, in development, that is all there is.
const REPORTING_ENDPOINTS: (HeaderName, HeaderValue) =
    (HeaderName::from_static("reporting-endpoints"), HeaderValue::from_static("csp=\"/csp-reports\""));
const DENY: HeaderValue = HeaderValue::from_static("DENY");

/// So many headers are set on a response, with the request id.
const HEADERS: usize = 11;

/// What is the same for every response.
static FIXED: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Nothing leaves to other sites, so no code or state either; our own forms keep their Origin and Referer.
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// The nonce of one response, 128 random bits in base64; an extension of every request.
///
/// A script that carries it may run. Empty when the system gave no randomness: then none may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nonce(pub String);

impl Nonce {
    /// Puts a new one into the request's extensions.
    pub(super) fn provide(request: &mut Request) -> Self {
        let nonce = Self::mint().unwrap_or_default();
        request.extensions_mut().insert(nonce.clone());
        nonce
    }

    fn mint() -> Result<Self, CryptoError> {
        crypto::random_bytes::<16>().map(|bytes| Self(URL_SAFE_NO_PAD.encode(bytes)))
    }
}

/// Says that the forms of a response may lead on to a provider that nobody here knows.
///
/// That is an organisation's own, to which Entra ID sends the browser at once when it is told the organisation
/// (`domain_hint`). Browsers hold redirects after a post to `form-action`, too; so that page's forms may lead to any
/// origin with the provider's scheme.
#[derive(Clone, Copy, Debug)]
pub struct FederatedForms;

/// What the headers depend on.
#[derive(Clone, Debug, Default)]
pub struct HeaderSettings {
    /// Whether people reach the application over https: then HSTS is sent.
    pub https: bool,
    /// Whether HSTS speaks of names below as well.
    pub hsts_include_subdomains: bool,
    /// Where forms may lead besides here. Browsers check it for redirects after a POST too, so
    /// the provider's origin belongs here. URLs, of which the origin counts, or CSP sources.
    pub form_action: Vec<String>,
    /// Who may frame the front-channel logout page: the provider. URLs or CSP sources.
    pub logout_frame_ancestors: Vec<String>,
    /// Where forms may lead, too, as soon as that is known.
    pub further_origins: Option<FurtherOrigins>,
}

/// Origins, separated by blanks, that come to be known while the server runs; `None` without any.
#[derive(Clone)]
pub struct FurtherOrigins(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl FurtherOrigins {
    /// Asked at every response, so it must be quick.
    pub fn new(ask: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }
}

impl fmt::Debug for FurtherOrigins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("FurtherOrigins").field(&(self.0)()).finish()
    }
}

/// The header values, ready to send.
#[derive(Debug)]
pub struct SecurityHeaders {
    hsts: Option<HeaderValue>,
    policy: PolicyTemplate,
    logout_policy: PolicyTemplate,
    further_origins: Option<FurtherOrigins>,
    /// Any origin with the provider's scheme, as a source.
    any_provider: &'static str,
}

impl SecurityHeaders {
    /// Makes the values. What is no source of a Content Security Policy is left out.
    #[must_use]
    pub fn new(settings: &HeaderSettings) -> Self {
        let form_action = sources("'self'", &settings.form_action);
        let framers = match settings.logout_frame_ancestors.as_slice() {
            [] => "'none'".to_owned(),
            framers => sources("", framers),
        };
        Self {
            hsts: settings.https.then_some(match settings.hsts_include_subdomains {
                true => HSTS_WITH_SUBDOMAINS,
                false => HSTS,
            }),
            policy: PolicyTemplate::new(settings.https, &form_action, "'none'"),
            logout_policy: PolicyTemplate::new(settings.https, &form_action, &framers),
            further_origins: settings.further_origins.clone(),
            any_provider: if settings.form_action.iter().any(|url| url.starts_with("http:")) {
                "http:"
            } else {
                "https:"
            },
        }
    }

    /// Sets every header on a response to `path`; only a `Cache-Control` of its own is kept.
    pub(super) fn apply(&self, response: &mut Response, nonce: &Nonce, may_be_framed: bool) {
        let leads_anywhere = response.extensions().get::<FederatedForms>().is_some();
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        for (name, value) in &FIXED {
            headers.insert(name, value.clone());
        }
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
        headers.remove(header::SERVER);
        if let Some(hsts) = &self.hsts {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
            headers.insert(REPORTING_ENDPOINTS.0, REPORTING_ENDPOINTS.1);
        }
        let policy = if may_be_framed {
            headers.remove(header::X_FRAME_OPTIONS);
            &self.logout_policy
        } else {
            headers.insert(header::X_FRAME_OPTIONS, DENY);
            &self.policy
        };
        let further = match leads_anywhere {
            true => Some(self.any_provider.to_owned()),
            false => self.further_origins.as_ref().and_then(|further| (further.0)()),
        };
        headers.insert(header::CONTENT_SECURITY_POLICY, policy.with(nonce, further.as_deref()));
    }
}

/// A Content Security Policy, cut where the nonce goes.
#[derive(Debug)]
struct PolicyTemplate {
    before: &'static str,
    after: String,
}

impl PolicyTemplate {
    fn new(https: bool, form_action: &str, frame_ancestors: &str) -> Self {
        let report_to = if https { " report-to csp;" } else { "" };
        let after = format!(
            "' 'strict-dynamic' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; object-src 'none'; \
             base-uri 'none'; frame-ancestors {frame_ancestors}; report-uri {REPORTS};{report_to} form-action {form_action}"
        );
        Self { before: "default-src 'self'; script-src 'nonce-", after }
    }

    /// `form-action` comes last, so that what it lets in further can follow.
    fn with(&self, nonce: &Nonce, further_form_action: Option<&str>) -> HeaderValue {
        let further = further_form_action.unwrap_or_default();
        let blank = if further.is_empty() { "" } else { " " };
        let policy = [self.before, &nonce.0, &self.after, blank, further].concat();
        // Its parts are plain ASCII, so this never falls back; were it to, nothing may load.
        HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
    }
}

/// `first` and the sources among `given`, separated by spaces.
fn sources(first: &str, given: &[String]) -> String {
    let mut list = first.to_owned();
    for source in given.iter().filter_map(|text| source(text)) {
        if !list.is_empty() {
            list.push(' ');
        }
        list.push_str(&source);
    }
    list
}

/// The origin of a URL, or a source that is none, such as `https:`.
fn source(text: &str) -> Option<String> {
    match Url::parse(text) {
        Ok(url) if url.has_host() => Some(url.origin().ascii_serialization()),
        _ => {
            let is_source = |byte: u8| byte.is_ascii_graphic() && byte != b';' && byte != b',';
            (!text.is_empty() && text.bytes().all(is_source)).then(|| text.to_owned())
        }
    }
}

/// Whether the answer to `request` is for a frame of the provider's.
pub(super) fn may_be_framed(request: &Request) -> bool {
    request.uri().path() == FRONT_CHANNEL_LOGOUT
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::*;

    fn headers(settings: &HeaderSettings, may_be_framed: bool) -> HeaderMap {
        let mut response = Response::default();
        let nonce = Nonce("abc".to_owned());
        SecurityHeaders::new(settings).apply(&mut response, &nonce, may_be_framed);
        response.into_parts().0.headers
    }

    fn entra() -> HeaderSettings {
        let provider = vec!["https://login.microsoftonline.com/tenant".to_owned()];
        HeaderSettings {
            https: true,
            hsts_include_subdomains: false,
            form_action: provider.clone(),
            logout_frame_ancestors: provider,
            further_origins: None,
        }
    }

    fn policy(headers: &HeaderMap) -> &str {
        headers[header::CONTENT_SECURITY_POLICY].to_str().expect("text")
    }

    #[test]
    fn h_06_the_policy_lets_nothing_run_without_the_nonce() {
        assert_eq!(
            policy(&headers(&entra(), false)),
            "default-src 'self'; script-src 'nonce-abc' 'strict-dynamic' 'wasm-unsafe-eval'; style-src 'self'; \
             img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; \
             report-uri /csp-reports; report-to csp; form-action 'self' https://login.microsoftonline.com"
        );
    }

    #[test]
    fn h_06_a_setting_cannot_smuggle_in_a_directive() {
        for odd in ["https://x.example; script-src *", "'self'; script-src *", "a b", "", "ü", "x,y"] {
            let settings = HeaderSettings { form_action: vec![odd.to_owned()], ..HeaderSettings::default() };
            let headers = headers(&settings, false);
            let policy = policy(&headers);
            assert_eq!(policy.matches("script-src").count(), 1, "{odd}: {policy}");
            assert!(policy.is_ascii() && !policy.contains('*'), "{odd}: {policy}");
        }
    }

    #[test]
    fn h_06_forms_may_lead_to_what_comes_to_be_known() {
        for (further, end) in [
            (None, "form-action 'self' https://login.microsoftonline.com"),
            (
                Some("https://a.example https://b.example"),
                "form-action 'self' https://login.microsoftonline.com https://a.example https://b.example",
            ),
        ] {
            let further_origins = Some(FurtherOrigins::new(move || further.map(str::to_owned)));
            let headers = headers(&HeaderSettings { further_origins, ..entra() }, false);
            assert!(policy(&headers).ends_with(end), "{}", policy(&headers));
        }
    }

    #[test]
    fn h_06_a_page_that_names_an_organisation_lets_its_forms_lead_to_the_provider_of_that() {
        let emulator = HeaderSettings { form_action: vec!["http://localhost:3001".to_owned()], ..entra() };
        for (settings, end) in [
            (entra(), "form-action 'self' https://login.microsoftonline.com https:"),
            (emulator, "form-action 'self' http://localhost:3001 http:"),
        ] {
            let mut response = Response::default();
            response.extensions_mut().insert(FederatedForms);
            SecurityHeaders::new(&settings).apply(&mut response, &Nonce::default(), false);
            assert!(policy(response.headers()).ends_with(end), "{}", policy(response.headers()));
        }
    }

    #[test]
    fn h_06_a_source_that_is_no_url_is_kept() {
        let settings = HeaderSettings { form_action: vec!["https:".to_owned()], ..HeaderSettings::default() };
        assert!(policy(&headers(&settings, false)).ends_with("form-action 'self' https:"));
    }

    #[test]
    fn h_07_the_provider_alone_may_frame_the_logout_page() {
        let framed = headers(&entra(), true);
        assert!(policy(&framed).contains("; frame-ancestors https://login.microsoftonline.com;"));
        assert!(!framed.contains_key(header::X_FRAME_OPTIONS));
        let nobody = headers(&HeaderSettings::default(), true);
        assert!(policy(&nobody).contains("; frame-ancestors 'none';"));
    }

    #[test]
    fn h_08_hsts_is_for_https_alone() {
        let hsts = header::STRICT_TRANSPORT_SECURITY;
        let with_subdomains = HeaderSettings { hsts_include_subdomains: true, ..entra() };
        assert_eq!(headers(&with_subdomains, false)[&hsts], "max-age=63072000; includeSubDomains");
        assert_eq!(headers(&entra(), false)[&hsts], "max-age=63072000");
        assert!(!headers(&HeaderSettings::default(), false).contains_key(&hsts));
    }

    #[test]
    fn h_08_what_a_handler_set_gives_way_but_for_its_caching() {
        let mut response = Response::default();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("unsafe-url"));
        headers.insert(header::SERVER, HeaderValue::from_static("axum/0.8"));
        SecurityHeaders::new(&entra()).apply(&mut response, &Nonce::default(), false);
        let headers = response.headers();
        assert_eq!(headers[header::CACHE_CONTROL], "private, max-age=60");
        assert_eq!(headers.get_all(header::REFERRER_POLICY).iter().collect::<Vec<_>>(), ["same-origin"]);
        assert!(!headers.contains_key(header::SERVER));
    }

    #[test]
    fn h_06_nonces_have_128_bits_and_differ() {
        let [one, other] = [(); 2].map(|()| Nonce::mint().expect("randomness").0);
        assert_ne!(one, other);
        assert_eq!(URL_SAFE_NO_PAD.decode(one).expect("base64").len(), 16);
    }
}
