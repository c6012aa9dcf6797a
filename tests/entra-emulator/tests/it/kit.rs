//! A relying party in miniature: enough of a client to use every endpoint of the emulator.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra_emulator::{Emulator, Options};
use reqwest::{Client, Response, StatusCode, header, redirect};
use ring::digest;
use serde_json::Value;
use url::Url;

/// Where the application of these tests takes the answers; nobody listens there.
pub(crate) const REDIRECT_URI: &str = "http://localhost:3000/auth/callback";
/// The scopes of a usual sign-in.
pub(crate) const SCOPES: &str = "openid profile email offline_access User.Read";
/// A PKCE verifier; what matters is that the challenge fits.
pub(crate) const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0123";

/// An emulator and an application of it.
pub(crate) struct Kit {
    pub(crate) emulator: Emulator,
    pub(crate) http: Client,
}

/// Name and value pairs of a request.
pub(crate) type Parameters = Vec<(String, String)>;

/// Owned pairs from literals.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Parameters {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// The S256 challenge of a verifier.
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// Header and claims of a compact token, unverified.
pub(crate) fn decode(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"));
    let mut next = || serde_json::from_slice(&parts.next().expect("three parts")).expect("JSON");
    (next(), next())
}

impl Kit {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    #[expect(clippy::disallowed_methods, reason = "the emulator's tests know nothing of the server's HTTP client")]
    pub(crate) fn with(options: Options) -> Self {
        let http = Client::builder().redirect(redirect::Policy::none()).build().expect("a client");
        let emulator = Emulator::start(options).expect("a free port");
        Self { emulator, http }
    }

    pub(crate) fn tenant_url(&self, rest: &str) -> String {
        format!("{}/{}/{rest}", self.emulator.base_url(), self.emulator.tenant_id())
    }

    pub(crate) async fn get(&self, url: &str) -> Response {
        self.http.get(url).send().await.expect("an answer")
    }

    pub(crate) async fn get_json(&self, url: &str) -> Value {
        self.get(url).await.json().await.expect("JSON")
    }

    /// The parameters of a well-formed authorization request.
    pub(crate) fn request(&self) -> Parameters {
        pairs(&[
            ("client_id", self.emulator.client_id()),
            ("response_type", "code"),
            ("redirect_uri", REDIRECT_URI),
            ("scope", SCOPES),
            ("state", "the-state"),
            ("nonce", "the-nonce"),
            ("code_challenge", &challenge(VERIFIER)),
            ("code_challenge_method", "S256"),
        ])
    }

    /// The request with some parameters replaced, added, or (empty) removed.
    pub(crate) fn request_with(&self, changes: &[(&str, &str)]) -> Parameters {
        let mut parameters = self.request();
        for (name, value) in changes {
            parameters.retain(|(known, _)| known != name);
            if !value.is_empty() {
                parameters.push(((*name).to_owned(), (*value).to_owned()));
            }
        }
        parameters
    }

    pub(crate) fn authorize_url(&self, tenant: &str, parameters: &Parameters) -> String {
        let query = serde_urlencoded::to_string(parameters).expect("pairs");
        format!("{}/{tenant}/oauth2/v2.0/authorize?{query}", self.emulator.base_url())
    }

    /// GET at the first tenant's authorization endpoint, with the emulator's cookie if any.
    pub(crate) async fn authorize(&self, parameters: &Parameters, cookie: Option<&str>) -> Response {
        let url = self.authorize_url(&self.emulator.tenant_id().to_string(), parameters);
        let mut request = self.http.get(url);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.send().await.expect("an answer")
    }

    /// Submits a page's form with one of its buttons.
    pub(crate) async fn submit(&self, page: &str, button: (&str, &str), cookie: Option<&str>) -> Response {
        let (action, mut fields) = form(page);
        fields.push((button.0.to_owned(), button.1.to_owned()));
        let url = Url::parse(self.emulator.base_url()).and_then(|base| base.join(&action)).expect("an action");
        let mut request = self.http.post(url).form(&fields);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        request.send().await.expect("an answer")
    }

    /// Picks a persona on the account picker; returns the answer at the redirect URI.
    pub(crate) async fn pick(&self, persona: &str, parameters: &Parameters) -> Answer {
        let page = self.authorize(parameters, None).await;
        assert_eq!(page.status(), StatusCode::OK);
        let page = page.text().await.expect("a page");
        Answer::of(self.submit(&page, ("persona", persona), None).await)
    }

    /// A code for a persona.
    pub(crate) async fn code(&self, persona: &str) -> String {
        self.pick(persona, &self.request()).await.get("code").to_owned()
    }

    /// The form of a code's redemption, with the client secret in the body.
    pub(crate) fn redemption(&self, code: &str) -> Parameters {
        pairs(&[
            ("grant_type", "authorization_code"),
            ("client_id", self.emulator.client_id()),
            ("client_secret", self.emulator.client_secret()),
            ("code", code),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
        ])
    }

    /// The form of a refresh.
    pub(crate) fn refresh(&self, token: &str) -> Parameters {
        pairs(&[
            ("grant_type", "refresh_token"),
            ("client_id", self.emulator.client_id()),
            ("client_secret", self.emulator.client_secret()),
            ("refresh_token", token),
        ])
    }

    /// POST at the first tenant's token endpoint: status and JSON.
    pub(crate) async fn token(&self, form: &Parameters) -> (StatusCode, Value) {
        let request = self.http.post(self.tenant_url("oauth2/v2.0/token")).form(form);
        let response = request.send().await.expect("an answer");
        let status = response.status();
        (status, response.json().await.expect("JSON"))
    }

    /// A complete sign-in: the token response.
    pub(crate) async fn sign_in(&self, persona: &str) -> Value {
        let code = self.code(persona).await;
        let (status, body) = self.token(&self.redemption(&code)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// A complete sign-in with other parameters than the usual ones.
    pub(crate) async fn sign_in_with(&self, persona: &str, changes: &[(&str, &str)]) -> Value {
        let answer = self.pick(persona, &self.request_with(changes)).await;
        let (status, body) = self.token(&self.redemption(answer.get("code"))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// GET at Graph with a bearer token.
    pub(crate) async fn graph(&self, path: &str, token: &str) -> Response {
        let url = format!("{}{path}", self.emulator.graph_url());
        self.http.get(url).bearer_auth(token).send().await.expect("an answer")
    }
}

/// A text member.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

/// Asserts an error of the token endpoint: `error` and the AADSTS code in all its places.
pub(crate) fn assert_error(body: &Value, error: &str, code: u32) {
    assert_eq!(body["error"], error, "{body}");
    assert_eq!(body["error_codes"], serde_json::json!([code]), "{body}");
    let description = text(body, "error_description");
    assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
    for part in [" Trace ID: ", " Correlation ID: ", " Timestamp: "] {
        assert!(description.contains(part), "{description}");
    }
    for member in ["timestamp", "trace_id", "correlation_id"] {
        assert!(body[member].is_string(), "{member} in {body}");
    }
}

/// What came back to the redirect URI.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) parameters: HashMap<String, String>,
    pub(crate) url: String,
    /// The emulator's cookie, as it is to be sent.
    pub(crate) cookie: Option<String>,
}

impl Answer {
    /// Of a redirect by query or fragment.
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::FOUND, "a redirect");
        let url = response.headers()[header::LOCATION].to_str().expect("text").to_owned();
        let parameters = url.split_once(['?', '#']).expect("parameters").1;
        Self { parameters: serde_urlencoded::from_str(parameters).expect("pairs"), cookie: cookie_of(&response), url }
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.parameters.get(name).unwrap_or_else(|| panic!("{name} in {:?}", self.parameters))
    }
}

/// The emulator's session cookie that a response sets.
pub(crate) fn cookie_of(response: &Response) -> Option<String> {
    let set = response.headers().get(header::SET_COOKIE)?.to_str().ok()?;
    set.split(';').next().map(str::to_owned)
}

/// Action and hidden fields of a page's first form.
pub(crate) fn form(page: &str) -> (String, Parameters) {
    let start = page.find("<form").expect("a form");
    let form = &page[start..page[start..].find("</form>").expect("an end") + start];
    let fields = form.split("<input type=\"hidden\"").skip(1);
    let fields = fields.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect();
    (attribute(form, "action"), fields)
}

fn attribute(tag: &str, name: &str) -> String {
    let (_, rest) = tag.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("{name} in {tag}"));
    unescape(rest.split('"').next().expect("a value"))
}

fn unescape(text: &str) -> String {
    let replaced = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    replaced.replace("&#39;", "'").replace("&amp;", "&")
}

/// Whether a key of the key set verifies the RS256 token; the key is found by `kid`.
pub(crate) fn is_signed_by(token: &str, key_set: &Value) -> bool {
    let (header, _) = decode(token);
    let keys = key_set["keys"].as_array().expect("keys");
    let Some(key) = keys.iter().find(|key| key["kid"] == header["kid"]) else { return false };
    let number = |name: &str| URL_SAFE_NO_PAD.decode(text(key, name)).expect("base64url");
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let public = ring::signature::RsaPublicKeyComponents { n: number("n"), e: number("e") };
    public.verify(&ring::signature::RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_ok()
}

impl Kit {
    /// The first tenant's key set.
    pub(crate) async fn key_set(&self) -> Value {
        self.get_json(&self.tenant_url("discovery/v2.0/keys")).await
    }
}
