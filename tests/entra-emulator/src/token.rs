//! The token endpoint: authenticates the application and exchanges a grant for tokens.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use uuid::Uuid;

use crate::app::{AssertionContext, Credential, basic_credentials};
use crate::authorize::{missing, unknown_application};
use crate::call::Call;
use crate::errors::EntraError;
use crate::grants::{ChallengeMethod, Code, SignIn};
use crate::personas::Persona;
use crate::scopes::{Resource, Scopes};
use crate::state::{Authority, State, merged_claims};
use crate::sync::lock;
use crate::tokens::{self, Issue};

/// `grant_type` of on-behalf-of (RFC 7523 section 2.1, with Microsoft's `requested_token_use`).
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// Serves `POST /{tenant}/oauth2/v2.0/token`.
pub(crate) async fn token(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call::new(&uri, headers, &body);
    let exchange = Exchange { state: &state, call: &call, tenant: &tenant };
    let ids = state.ids(call.client_request_id());
    let mut response = match exchange.run() {
        Ok(body) => Json(body).into_response(),
        Err(error) => error.token_response(&ids),
    };
    ids.apply(&mut response);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store, no-cache"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// One request to the endpoint.
struct Exchange<'a> {
    state: &'a State,
    call: &'a Call,
    tenant: &'a str,
}

impl Exchange<'_> {
    fn run(&self) -> Result<Value, EntraError> {
        let authority = self.state.authority(self.tenant)?;
        let grant_type = self.required("grant_type")?;
        if let Some(name) = self.call.repeated() {
            return Err(
                EntraError::new(9002313).detail(format!("Invalid request. The parameter '{name}' is duplicated."))
            );
        }
        self.authenticate(authority)?;
        match grant_type {
            "authorization_code" => self.redeem_code(),
            "refresh_token" => self.refresh(authority),
            "client_credentials" => self.client_credentials(authority),
            JWT_BEARER => self.on_behalf_of(),
            other => {
                Err(EntraError::new(70003).detail(format!("The app requested an unsupported grant type '{other}'.")))
            }
        }
    }

    fn required(&self, name: &str) -> Result<&str, EntraError> {
        self.call.get(name).ok_or_else(|| missing(name))
    }

    /// Checks the application's id and credential, in the body or by HTTP Basic.
    fn authenticate(&self, authority: Authority) -> Result<(), EntraError> {
        let basic = self.call.header("authorization").and_then(basic_credentials);
        let client_id = match &basic {
            Some((id, _)) => id.as_str(),
            None => self.required("client_id")?,
        };
        if client_id != self.state.options.client_id {
            return Err(unknown_application(client_id, self.tenant));
        }
        let credential = match (&basic, self.call.get("client_secret"), self.call.get("client_assertion")) {
            (Some((_, secret)), _, _) => Credential::Secret(secret),
            (None, Some(secret), _) => Credential::Secret(secret),
            (None, None, Some(assertion)) => Credential::Assertion(assertion),
            (None, None, None) => Credential::Absent,
        };
        let audiences = self.audiences(authority);
        let context = AssertionContext { client_id, audiences: &audiences, now: self.state.clock.unix() };
        lock(&self.state.app).authenticate(&credential, self.call.get("client_assertion_type"), &context)
    }

    /// The audiences of a client assertion that Entra takes: token endpoint and issuer.
    fn audiences(&self, authority: Authority) -> Vec<String> {
        let base = &self.state.base_url;
        let names = [self.tenant.to_owned(), authority.to_string()];
        let of = |name: &String| [format!("{base}/{name}/oauth2/v2.0/token"), format!("{base}/{name}/v2.0")];
        names.iter().flat_map(of).collect()
    }

    fn redeem_code(&self) -> Result<Value, EntraError> {
        let text = self.required("code")?;
        let redirect_uri = self.required("redirect_uri")?;
        let code = lock(&self.state.grants).code(text, self.state.clock.unix()).map_err(EntraError::new)?;
        if code.tenant != self.tenant {
            return Err(EntraError::new(700005));
        }
        if code.redirect_uri != redirect_uri {
            return Err(EntraError::new(500112));
        }
        check_verifier(&code, self.call.get("code_verifier"))?;
        let scopes = self.narrowed(&code.scopes)?;
        let persona = self.persona(code.sign_in.persona)?;
        let family = {
            let mut grants = lock(&self.state.grants);
            if !grants.redeem(text) {
                return Err(EntraError::new(54005));
            }
            grants.new_family()
        };
        Ok(self.issue(&persona, &code.sign_in, &scopes, code.nonce.as_deref(), family))
    }

    fn refresh(&self, authority: Authority) -> Result<Value, EntraError> {
        let text = self.required("refresh_token")?;
        let rotation = lock(&self.state.settings).refresh_rotation;
        let refresh = lock(&self.state.grants).refresh(text, rotation, self.state.clock.unix());
        let refresh = refresh.map_err(EntraError::new)?;
        let persona = self.persona(refresh.sign_in.persona)?;
        if !authority.admits(persona.tenant_id) {
            return Err(EntraError::new(700005));
        }
        check_refresh(&persona, &refresh.sign_in)?;
        if let Some(claims) = self.state.interactive_challenge_for(&refresh.sign_in) {
            return Err(EntraError::new(50076).claims(claims));
        }
        let scopes = self.narrowed(&refresh.scopes)?;
        lock(&self.state.grants).use_refresh(text, rotation).map_err(EntraError::new)?;
        let mut sign_in = refresh.sign_in;
        if let Some(claims) = self.call.get("claims") {
            sign_in.claims = Some(merged_claims(sign_in.claims.as_deref(), claims));
        }
        Ok(self.issue(&persona, &sign_in, &scopes, None, refresh.family))
    }

    /// The scopes of this request: those asked for now, else those of the grant.
    fn narrowed(&self, granted: &Scopes) -> Result<Scopes, EntraError> {
        let scopes = match self.call.get("scope") {
            None => granted.clone(),
            Some(scope) => self.parse_scopes(scope)?.with_openid_of(granted),
        };
        if self.call.get("scope").is_some() && scopes.names_several_resources() {
            return Err(EntraError::new(28000));
        }
        Ok(scopes)
    }

    fn parse_scopes(&self, scope: &str) -> Result<Scopes, EntraError> {
        Scopes::parse(scope, &self.state.options.client_id, &self.state.graph_url())
    }

    fn persona(&self, oid: Uuid) -> Result<Arc<Persona>, EntraError> {
        lock(&self.state.directory).by_oid(oid).ok_or_else(|| EntraError::new(50034))
    }

    fn issue(&self, persona: &Persona, sign_in: &SignIn, scopes: &Scopes, nonce: Option<&str>, family: u64) -> Value {
        let issue = Issue { persona, sign_in, scopes, nonce, family };
        tokens::response(self.state, &issue)
    }

    /// Tokens for the application itself (RFC 6749 section 4.4), for `<resource>/.default` alone.
    fn client_credentials(&self, authority: Authority) -> Result<Value, EntraError> {
        let Authority::Tenant(tenant_id) = authority else {
            return Err(EntraError::new(90002).detail(
                "Specified tenant identifier is neither a valid DNS name, nor a valid external domain: client credentials need a tenant of their own.",
            ));
        };
        let scopes = self.parse_scopes(self.required("scope")?)?;
        if !scopes.is_default() {
            return Err(EntraError::new(70011).detail(
                "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid: client credentials need '<resource>/.default'.",
            ));
        }
        Ok(tokens::app_only_response(self.state, tenant_id, scopes.resource()))
    }

    /// Exchanges an access token for the application's API for one of another resource
    /// (Microsoft: on-behalf-of flow).
    fn on_behalf_of(&self) -> Result<Value, EntraError> {
        let assertion = self.required("assertion")?;
        if self.required("requested_token_use")? != "on_behalf_of" {
            return Err(EntraError::new(90023).detail("Unsupported 'requested_token_use' value."));
        }
        let now = self.state.clock.unix();
        let access = lock(&self.state.grants).access(assertion);
        let access = access.filter(|access| access.resource == Resource::Own && access.expires > now);
        let sign_in = access.and_then(|access| access.sign_in).ok_or_else(|| EntraError::new(70000))?;
        let scopes = self.parse_scopes(self.required("scope")?)?;
        let persona = self.persona(sign_in.persona)?;
        check_refresh(&persona, &sign_in)?;
        let family = lock(&self.state.grants).new_family();
        Ok(self.issue(&persona, &sign_in, &scopes, None, family))
    }
}

/// Whether the persona may have tokens without being asked.
fn check_refresh(persona: &Persona, sign_in: &SignIn) -> Result<(), EntraError> {
    if let Some(code) = persona.refresh_refused_with() {
        return Err(EntraError::new(code));
    }
    if persona.mfa && !sign_in.stepped_up {
        return Err(EntraError::second_factor());
    }
    Ok(())
}

/// Checks the PKCE verifier (RFC 7636 section 4.6).
fn check_verifier(code: &Code, verifier: Option<&str>) -> Result<(), EntraError> {
    let fits = match (&code.challenge, verifier) {
        (None, None) => true,
        (Some((challenge, method)), Some(verifier)) => {
            (43..=128).contains(&verifier.len()) && *challenge == derived(verifier, *method)
        }
        _ => false,
    };
    if fits { Ok(()) } else { Err(EntraError::new(501481)) }
}

fn derived(verifier: &str, method: ChallengeMethod) -> String {
    match method {
        ChallengeMethod::Plain => verifier.to_owned(),
        ChallengeMethod::S256 => {
            URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()))
        }
    }
}
