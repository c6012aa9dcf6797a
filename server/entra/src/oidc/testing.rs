//! A provider for tests: it answers from a script, signs with real keys and counts what it is asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use http::{Request, Response, StatusCode};
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use url::Url;
use url::form_urlencoded;

use super::transport::Transport;
use super::{BeginOptions, Begun, CallbackParams, OidcClient, OidcError, SignIn};
use crate::clock::Clock;
use crate::config::{ClientCredential, ProviderConfig, ProviderKind, ResponseMode, Tenant};
use crate::http::{HttpError, HttpErrorKind};

pub(crate) const TENANT: &str = "11111111-2222-4333-8444-555555555555";
pub(crate) const OTHER_TENANT: &str = "99999999-2222-4333-8444-555555555555";
pub(crate) const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
pub(crate) const OID: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
pub(crate) const CLIENT_ID: &str = "0f0f0f0f-1111-4222-8333-444444444444";
pub(crate) const AUTHORITY: &str = "https://login.example";
pub(crate) const GENERIC_ISSUER: &str = "https://op.example/realm";
pub(crate) const REDIRECT: &str = "https://app.example/auth/callback";
pub(crate) const ACCESS_TOKEN: &str = "opaque-access.token~with+odd/characters=";

/// Keys are made once for all tests: making them is slow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    A,
    B,
    /// 1,024 bits.
    Small,
}

impl Key {
    pub(crate) fn private(self) -> &'static RsaPrivateKey {
        static KEYS: [OnceLock<RsaPrivateKey>; 3] = [const { OnceLock::new() }; 3];
        let bits = if self == Self::Small { 1024 } else { 2048 };
        KEYS[self as usize].get_or_init(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits).expect("a key"))
    }

    pub(crate) fn id(self) -> &'static str {
        ["key-a", "key-b", "key-small"][self as usize]
    }

    /// The RS256 signature.
    pub(crate) fn sign(self, message: &[u8]) -> Vec<u8> {
        let digest = crate::crypto::digest(message);
        self.private().sign(Pkcs1v15Sign::new::<rsa::sha2::Sha256>(), &digest).expect("signs")
    }

    /// As Entra publishes keys: without `alg`.
    pub(crate) fn jwk(self) -> Value {
        let public = self.private().to_public_key();
        json!({
            "kty": "RSA",
            "use": "sig",
            "kid": self.id(),
            "n": URL_SAFE_NO_PAD.encode(public.n().to_bytes_be()),
            "e": URL_SAFE_NO_PAD.encode(public.e().to_bytes_be()),
        })
    }
}

/// A token to be signed; tests edit it first.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
    pub(crate) key: Key,
    /// Replaces the claims' text: for what `claims` cannot hold, such as a member twice.
    pub(crate) raw_claims: Option<String>,
    /// Changes the finished text.
    pub(crate) tamper: fn(String) -> String,
}

impl Token {
    pub(crate) fn set(&mut self, claim: &str, value: impl Into<Value>) {
        self.claims.insert(claim.to_owned(), value.into());
    }

    pub(crate) fn remove(&mut self, claim: &str) {
        self.claims.remove(claim).expect("a claim to remove");
    }

    pub(crate) fn sign(&self) -> String {
        let claims = self.raw_claims.clone().unwrap_or_else(|| Value::Object(self.claims.clone()).to_string());
        let header = Value::Object(self.header.clone()).to_string();
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.key.sign(input.as_bytes());
        (self.tamper)(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// One answer of the script.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    is_lost: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json", body.to_string())
    }

    pub(crate) fn bytes(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type", kind.to_owned())];
        Self { status, headers, body: body.into(), is_lost: false }
    }

    /// No response at all.
    pub(crate) fn lost() -> Self {
        Self { is_lost: true, ..Self::bytes(500, "text/plain", "") }
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn response(&self) -> Result<Response<Vec<u8>>, HttpError> {
        if self.is_lost {
            return Err(no_response());
        }
        let mut response = Response::builder().status(StatusCode::from_u16(self.status).expect("a status"));
        for (name, value) in &self.headers {
            response = response.header(*name, value);
        }
        Ok(response.body(self.body.clone()).expect("a response"))
    }
}

/// Some error of the HTTP client.
fn no_response() -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, true, "")
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) url: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) form: HashMap<String, String>,
}

/// Answers by the end of the path: the newest answer for it, again and again.
#[derive(Default)]
pub(crate) struct Script {
    answers: Mutex<HashMap<String, Answer>>,
    received: Mutex<Vec<Received>>,
}

impl Script {
    pub(crate) fn answer(&self, path_end: &str, answer: Answer) {
        self.answers.lock().expect("unpoisoned").insert(path_end.to_owned(), answer);
    }

    /// How many requests went to paths that end so.
    pub(crate) fn count(&self, path_end: &str) -> usize {
        self.all(path_end).len()
    }

    pub(crate) fn all(&self, path_end: &str) -> Vec<Received> {
        let fits = |received: &&Received| path_of(&received.url).ends_with(path_end);
        self.received.lock().expect("unpoisoned").iter().filter(fits).cloned().collect()
    }

    pub(crate) fn last(&self, path_end: &str) -> Received {
        self.all(path_end).pop().expect("a request")
    }

    fn serve(&self, request: &Request<Vec<u8>>) -> Result<Response<Vec<u8>>, HttpError> {
        let url = request.uri().to_string();
        let form = form_urlencoded::parse(request.body()).into_owned().collect();
        let received = Received { url: url.clone(), headers: request.headers().clone(), form };
        self.received.lock().expect("unpoisoned").push(received);
        let answers = self.answers.lock().expect("unpoisoned");
        let fitting = answers.iter().filter(|(end, _)| path_of(&url).ends_with(end.as_str()));
        let best = fitting.max_by_key(|(end, _)| end.len());
        best.map_or_else(
            || Answer::bytes(404, "text/plain", "no such page").response(),
            |(_, answer)| answer.response(),
        )
    }
}

fn path_of(url: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    url.path().to_owned()
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, HttpError> {
        // Lets other tasks run, as a real call would.
        tokio::task::yield_now().await;
        let response = self.serve(&request)?;
        match response.body().len() > limit {
            true => Err(HttpError::new(HttpErrorKind::TooLarge, true, "")),
            false => Ok(response),
        }
    }

    async fn send_idempotent(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, HttpError> {
        self.send(request, limit).await
    }
}

/// A relying party, its provider and its clock.
pub(crate) struct Bench {
    pub(crate) client: OidcClient,
    pub(crate) script: Arc<Script>,
    pub(crate) clock: Clock,
    pub(crate) config: ProviderConfig,
}

pub(crate) fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a date")
}

pub(crate) fn entra(tenant: Tenant) -> ProviderConfig {
    ProviderConfig {
        kind: ProviderKind::Entra { authority: AUTHORITY.to_owned(), tenant },
        client_id: CLIENT_ID.to_owned(),
        credential: ClientCredential::Secret(SecretString::from("s+e/c %r&e=t")),
        scopes: scopes("openid profile email offline_access User.Read"),
        response_mode: ResponseMode::Query,
        clock_leeway: Duration::from_secs(120),
    }
}

pub(crate) fn single() -> Tenant {
    Tenant::Single(TENANT.to_owned())
}

pub(crate) fn multi(allowed: &[&str]) -> Tenant {
    let allowed = allowed.iter().map(|tenant| (*tenant).to_owned()).collect();
    Tenant::Multi { endpoint: "organizations".to_owned(), allowed }
}

pub(crate) fn generic() -> ProviderConfig {
    let kind = ProviderKind::Generic { issuer: GENERIC_ISSUER.to_owned() };
    let scopes = scopes("openid profile email offline_access");
    ProviderConfig { kind, scopes, ..entra(single()) }
}

pub(crate) fn scopes(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The metadata document that fits `config`.
pub(crate) fn document(config: &ProviderConfig) -> Value {
    let (issuer, base) = match &config.kind {
        ProviderKind::Generic { issuer } => (issuer.clone(), issuer.clone()),
        ProviderKind::Entra { tenant: Tenant::Single(tenant), .. } => {
            (format!("{AUTHORITY}/{tenant}/v2.0"), format!("{AUTHORITY}/{tenant}"))
        }
        ProviderKind::Entra { tenant: Tenant::Multi { endpoint, .. }, .. } => {
            (format!("{AUTHORITY}/{{tenantid}}/v2.0"), format!("{AUTHORITY}/{endpoint}"))
        }
    };
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
        "userinfo_endpoint": format!("{base}/userinfo"),
        "end_session_endpoint": format!("{base}/logout"),
        "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
    })
}

impl Bench {
    pub(crate) fn new(config: ProviderConfig) -> Self {
        let script = Arc::new(Script::default());
        let clock = Clock::manual(start());
        let transport: Arc<dyn Transport> = Arc::<Script>::clone(&script);
        let client = OidcClient::with_transport(config.clone(), transport, clock.clone());
        let bench = Self { client, script, clock, config };
        bench.set_metadata(&document(&bench.config));
        bench.set_keys(&[Key::A.jwk()]);
        bench
    }

    pub(crate) fn entra() -> Self {
        Self::new(entra(single()))
    }

    /// Another relying party at the same provider: nothing cached.
    pub(crate) fn with_config(config: ProviderConfig) -> Self {
        Self::new(config)
    }

    pub(crate) fn set_metadata(&self, document: &Value) {
        self.script.answer("/.well-known/openid-configuration", Answer::json(200, document));
    }

    pub(crate) fn set_keys(&self, keys: &[Value]) {
        let keys: Vec<Value> = keys.iter().map(|key| self.with_issuer(key.clone())).collect();
        self.script.answer("/keys", Answer::json(200, &json!({ "keys": keys })));
    }

    /// Entra's shared endpoints publish for each key whose tokens it signs.
    fn with_issuer(&self, mut key: Value) -> Value {
        if let ProviderKind::Entra { tenant: Tenant::Multi { .. }, .. } = &self.config.kind
            && key.get("issuer").is_none()
        {
            key["issuer"] = json!(format!("{AUTHORITY}/{{tenantid}}/v2.0"));
        }
        key
    }

    /// A good ID token of this provider.
    pub(crate) fn token(&self) -> Token {
        let now = self.clock.now().timestamp();
        let mut claims = json!({
            "aud": CLIENT_ID,
            "sub": "pairwise-subject",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "name": "Ada Lovelace",
            "preferred_username": "ada@contoso.example",
            "email": "ada@contoso.example",
            "sid": "session-1",
        });
        match &self.config.kind {
            ProviderKind::Generic { issuer } => claims["iss"] = json!(issuer),
            ProviderKind::Entra { .. } => {
                claims["iss"] = json!(format!("{AUTHORITY}/{TENANT}/v2.0"));
                claims["tid"] = json!(TENANT);
                claims["oid"] = json!(OID);
                claims["login_hint"] = json!("opaque-hint");
                claims["ver"] = json!("2.0");
            }
        }
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": Key::A.id() });
        Token {
            header: header.as_object().expect("an object").clone(),
            claims: claims.as_object().expect("an object").clone(),
            key: Key::A,
            raw_claims: None,
            tamper: |text| text,
        }
    }

    /// A token response with this ID token.
    pub(crate) fn token_response(&self, id_token: &str) -> Value {
        json!({
            "token_type": "Bearer",
            "access_token": ACCESS_TOKEN,
            "refresh_token": "refresh-1",
            "id_token": id_token,
            "expires_in": 3599,
            "scope": "openid profile email User.Read",
        })
    }

    pub(crate) async fn begin(&self) -> Begun {
        self.client.begin(BeginOptions::new(REDIRECT)).await.expect("begins")
    }

    /// A whole sign-in with an ID token that `edit` has changed.
    pub(crate) async fn sign_in(&self, edit: impl FnOnce(&mut Token)) -> Result<SignIn, OidcError> {
        self.sign_in_with(BeginOptions::new(REDIRECT), edit).await
    }

    pub(crate) async fn sign_in_with(
        &self,
        options: BeginOptions,
        edit: impl FnOnce(&mut Token),
    ) -> Result<SignIn, OidcError> {
        let begun = self.client.begin(options).await?;
        let mut token = self.token();
        token.set("nonce", query(&begun.url)["nonce"].clone());
        edit(&mut token);
        let response = self.token_response(&token.sign());
        self.finish_with(begun, &Answer::json(200, &response)).await
    }

    /// Finishes `begun` with this answer of the token endpoint.
    pub(crate) async fn finish_with(&self, begun: Begun, answer: &Answer) -> Result<SignIn, OidcError> {
        self.script.answer("/token", answer.clone());
        let callback = good_callback(&begun);
        self.client.finish(begun.transaction, callback).await
    }

    /// The reason for which a sign-in with an edited token is refused.
    pub(crate) async fn refusal(&self, edit: impl FnOnce(&mut Token)) -> &'static str {
        match self.sign_in(edit).await {
            Ok(_) => "accepted",
            Err(error) => error.reason(),
        }
    }
}

pub(crate) fn good_callback(begun: &Begun) -> CallbackParams {
    let state = begun.transaction.state();
    CallbackParams::parse(&format!("code=the-code&state={state}&session_state=x")).expect("a callback")
}

pub(crate) fn query(url: &Url) -> HashMap<String, String> {
    url.query_pairs().into_owned().collect()
}
