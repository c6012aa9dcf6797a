//! An Entra tenant inside the process: it signs whatever a target makes up, without a network.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use entra::clock::Clock;
use entra::config::{ClientCredential, ProviderConfig, ProviderKind, ResponseMode, Tenant};
use entra::http::HttpError;
use entra::oidc::transport::Transport;
use entra::oidc::{BeginOptions, Begun, CallbackParams, OidcClient, OidcError, SignIn};
use http::{Request, Response};
use rsa::traits::PublicKeyParts as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

/// The tenant, lower-case GUID.
pub const TENANT: &str = "11111111-2222-4333-8444-555555555555";
const CLIENT_ID: &str = "0f0f0f0f-1111-4222-8333-444444444444";
const AUTHORITY: &str = "https://login.example";
const KEY_ID: &str = "the-key";

/// A relying party and its provider, whose clock stands still.
pub struct Provider {
    /// The relying party under attack.
    pub client: OidcClient,
    /// Runs its futures.
    pub runtime: Runtime,
    clock: Clock,
    answers: Arc<Answers>,
}

/// The one process-wide key: making one is slow.
fn key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("a key"))
}

/// What the provider answers: metadata, keys, and the token response of the moment.
#[derive(Default)]
struct Answers {
    token_response: Mutex<String>,
}

#[async_trait]
impl Transport for Answers {
    async fn send(&self, request: Request<Vec<u8>>, _limit: usize) -> Result<Response<Vec<u8>>, HttpError> {
        let body = match request.uri().path() {
            path if path.ends_with("/openid-configuration") => metadata().to_string(),
            path if path.ends_with("/keys") => json!({ "keys": [public_key()] }).to_string(),
            _ => self.token_response.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        let response = Response::builder().header("content-type", "application/json");
        Ok(response.body(body.into_bytes()).expect("a response"))
    }

    async fn send_idempotent(&self, request: Request<Vec<u8>>, limit: usize) -> Result<Response<Vec<u8>>, HttpError> {
        self.send(request, limit).await
    }
}

fn metadata() -> Value {
    let base = format!("{AUTHORITY}/{TENANT}");
    json!({
        "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/keys"),
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

fn public_key() -> Value {
    let public = key().to_public_key();
    let number = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    json!({ "kty": "RSA", "use": "sig", "kid": KEY_ID, "n": number(public.n()), "e": number(public.e()) })
}

impl Default for Provider {
    fn default() -> Self {
        let config = ProviderConfig {
            kind: ProviderKind::Entra { authority: AUTHORITY.to_owned(), tenant: Tenant::Single(TENANT.to_owned()) },
            client_id: CLIENT_ID.to_owned(),
            credential: ClientCredential::Secret(SecretString::from("not-used")),
            scopes: vec!["openid".to_owned()],
            response_mode: ResponseMode::Query,
            clock_leeway: Duration::from_secs(120),
        };
        let answers = Arc::new(Answers::default());
        let clock = Clock::manual(DateTime::from_timestamp(1_790_000_000, 0).expect("a date"));
        let transport: Arc<dyn Transport> = Arc::<Answers>::clone(&answers);
        let client = OidcClient::with_transport(config, transport, clock.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Self { client, runtime, clock, answers }
    }
}

impl Provider {
    /// Begins a sign-in.
    pub fn begin(&self) -> Begun {
        let options = BeginOptions::new("https://app.example/auth/callback");
        self.runtime.block_on(self.client.begin(options)).expect("begins")
    }

    /// Finishes `begun` at a provider that answers with `id_token`.
    ///
    /// # Errors
    /// Why the relying party refuses it.
    pub fn finish(&self, begun: Begun, id_token: &str) -> Result<SignIn, OidcError> {
        let response = json!({ "token_type": "Bearer", "access_token": "opaque", "id_token": id_token });
        *self.answers.token_response.lock().unwrap_or_else(PoisonError::into_inner) = response.to_string();
        let callback = CallbackParams::parse(&format!("code=c&state={}", begun.transaction.state()))?;
        self.runtime.block_on(self.client.finish(begun.transaction, callback))
    }

    /// The claims of a good ID token for `begun`.
    #[must_use]
    pub fn good_claims(&self, begun: &Begun) -> Map<String, Value> {
        let now = self.clock.now().timestamp();
        let nonce = begun.url.query_pairs().find(|(name, _)| name == "nonce").map(|(_, nonce)| nonce.into_owned());
        let claims = json!({
            "iss": format!("{AUTHORITY}/{TENANT}/v2.0"),
            "aud": CLIENT_ID,
            "tid": TENANT,
            "oid": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
            "sub": "pairwise",
            "nonce": nonce,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "preferred_username": "ada@contoso.example",
        });
        claims.as_object().expect("an object").clone()
    }

    /// `claims` in a token with the provider's true signature.
    #[must_use]
    pub fn sign(&self, claims: &Map<String, Value>) -> String {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": KEY_ID }).to_string();
        let claims = Value::Object(claims.clone()).to_string();
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let digest = entra::crypto::digest(input.as_bytes());
        let signature = key().sign(Pkcs1v15Sign::new::<rsa::sha2::Sha256>(), &digest).expect("signs");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
