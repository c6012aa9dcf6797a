//! The tokens: ID tokens and access tokens with Entra's claims, and the token endpoint's success answer.
//!
//! Claims follow Microsoft's ID token and access token claims references; which of them are
//! "optional claims" at Entra (`acct`, `email`, `login_hint`, `sid`, `upn`, `given_name`,
//! `family_name`, `auth_time`, `groups`) is as if the registration asked for all.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::faults::TokenKind;
use crate::grants::{Access, SignIn};
use crate::jwt::{self, Draft, Signing, SigningContext};
use crate::personas::Persona;
use crate::random;
use crate::scopes::{Resource, Scopes};
use crate::state::{OverageForm, Settings, State};
use crate::sync::lock;

/// More groups than this do not fit into a JWT (Microsoft: group overage claim).
pub(crate) const GROUPS_LIMIT: usize = 200;

/// What tokens are issued for.
pub(crate) struct Issue<'a> {
    pub(crate) persona: &'a Persona,
    pub(crate) sign_in: &'a SignIn,
    pub(crate) scopes: &'a Scopes,
    pub(crate) nonce: Option<&'a str>,
    /// The family that the refresh token belongs to.
    pub(crate) family: u64,
}

/// The token endpoint's success answer (RFC 6749 section 5.1, OIDC Core 3.1.3.3).
pub(crate) fn response(state: &State, issue: &Issue<'_>) -> Value {
    let settings = state.settings();
    let lifetime = random::in_range(&settings.access_token_lifetime);
    let permissions = issue.scopes.token_permissions(&settings.granted_scopes);
    let mut body = Map::new();
    body.insert("token_type".to_owned(), "Bearer".into());
    body.insert("scope".to_owned(), response_scope(state, issue.scopes, &permissions).into());
    body.insert("expires_in".to_owned(), lifetime.into());
    body.insert("ext_expires_in".to_owned(), lifetime.into());
    let access = access_token(state, &settings, issue, permissions, lifetime);
    body.insert("access_token".to_owned(), access.into());
    if issue.scopes.has("offline_access") {
        let refresh = lock(&state.grants).issue_refresh(
            issue.sign_in.clone(),
            issue.scopes.clone(),
            issue.family,
            state.clock.unix(),
        );
        body.insert("refresh_token".to_owned(), refresh.into());
    }
    if issue.scopes.has("openid") {
        body.insert("id_token".to_owned(), id_token(state, &settings, issue).into());
    }
    Value::Object(body)
}

/// `scope` of the answer: own scopes by their full name, Graph's by the short one.
fn response_scope(state: &State, scopes: &Scopes, permissions: &[String]) -> String {
    let prefix = match scopes.resource() {
        Resource::Graph => String::new(),
        Resource::Own => format!("api://{}/", state.options.client_id),
    };
    let named: Vec<String> = permissions.iter().map(|permission| format!("{prefix}{permission}")).collect();
    named.join(" ")
}

fn access_token(
    state: &State,
    settings: &Settings,
    issue: &Issue<'_>,
    permissions: Vec<String>,
    lifetime: i64,
) -> String {
    let now = state.clock.unix();
    let resource = issue.scopes.resource();
    let token = match resource {
        Resource::Graph => opaque(),
        Resource::Own => {
            let mut claims = own_api_claims(state, settings, issue.persona.tenant_id, now + lifetime);
            add_delegated_claims(state, settings, &mut claims, issue, &permissions);
            sign(state, TokenKind::Access, Value::Object(claims))
        }
    };
    let access = Access {
        sign_in: Some(issue.sign_in.clone()),
        tenant_id: issue.persona.tenant_id,
        resource,
        permissions,
        expires: now + lifetime,
    };
    lock(&state.grants).keep_access(token.clone(), access, now);
    token
}

/// An access token of the application itself, for `resource` (RFC 6749 section 4.4).
pub(crate) fn app_only_response(state: &State, tenant_id: Uuid, resource: Resource) -> Value {
    let settings = state.settings();
    let now = state.clock.unix();
    let lifetime = random::in_range(&settings.access_token_lifetime);
    let permissions = match resource {
        Resource::Graph => settings.application_permissions.clone(),
        Resource::Own => settings.own_app_roles.clone(),
    };
    let token = match resource {
        Resource::Graph => opaque(),
        Resource::Own => {
            let mut claims = own_api_claims(state, &settings, tenant_id, now + lifetime);
            // The service principal: both claims hold its object id.
            let object_id = random::named_uuid(&state.options.client_id).to_string();
            claims.insert("oid".to_owned(), object_id.clone().into());
            claims.insert("sub".to_owned(), object_id.into());
            if !permissions.is_empty() {
                claims.insert("roles".to_owned(), permissions.clone().into());
            }
            claims.insert("idtyp".to_owned(), "app".into());
            sign(state, TokenKind::Access, Value::Object(claims))
        }
    };
    let access = Access { sign_in: None, tenant_id, resource, permissions, expires: now + lifetime };
    lock(&state.grants).keep_access(token.clone(), access, now);
    json!({ "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token })
}

/// An access token that only its resource can read, with every character that RFC 6750 section 2.1 allows.
fn opaque() -> String {
    format!("EwB.~_-+/{}", random::standard::<64>())
}

/// The claims that every access token for the application's own API has.
fn own_api_claims(state: &State, settings: &Settings, tenant_id: Uuid, expires: i64) -> Map<String, Value> {
    let client_id = &state.options.client_id;
    let now = state.clock.unix();
    let mut claims = Map::new();
    let version = settings.access_token_version;
    let (audience, issuer, client_claim, client_auth_claim) = if version == 1 {
        let issuer = format!("{}/{tenant_id}/", state.base_url);
        (format!("api://{client_id}"), issuer, "appid", "appidacr")
    } else {
        (client_id.clone(), state.issuer(tenant_id), "azp", "azpacr")
    };
    claims.insert("aud".to_owned(), audience.into());
    claims.insert("iss".to_owned(), issuer.into());
    claims.insert("iat".to_owned(), now.into());
    claims.insert("nbf".to_owned(), now.into());
    claims.insert("exp".to_owned(), expires.into());
    claims.insert(client_claim.to_owned(), client_id.clone().into());
    claims.insert(client_auth_claim.to_owned(), "1".into());
    claims.insert("tid".to_owned(), tenant_id.to_string().into());
    claims.insert("ver".to_owned(), format!("{version}.0").into());
    add_harmless_claims(&mut claims);
    claims
}

fn add_delegated_claims(
    state: &State,
    settings: &Settings,
    claims: &mut Map<String, Value>,
    issue: &Issue<'_>,
    permissions: &[String],
) {
    let persona = issue.persona;
    let name_claim = if settings.access_token_version == 1 { "unique_name" } else { "preferred_username" };
    claims.insert("scp".to_owned(), permissions.join(" ").into());
    claims.insert("sub".to_owned(), subject(state, persona).into());
    claims.insert("oid".to_owned(), persona.oid.to_string().into());
    claims.insert("name".to_owned(), persona.name.clone().into());
    claims.insert(name_claim.to_owned(), persona.upn.clone().into());
    claims.insert("sid".to_owned(), issue.sign_in.sid.to_string().into());
    if !persona.roles.is_empty() {
        claims.insert("roles".to_owned(), persona.roles.clone().into());
    }
}

/// Claims for Entra's own use, which applications must ignore.
fn add_harmless_claims(claims: &mut Map<String, Value>) {
    claims.insert("uti".to_owned(), random::url_safe::<16>().into());
    claims.insert("rh".to_owned(), format!("1.AXoA{}.", random::url_safe::<24>()).into());
    claims.insert("aio".to_owned(), random::url_safe::<32>().into());
}

fn id_token(state: &State, settings: &Settings, issue: &Issue<'_>) -> String {
    sign(state, TokenKind::Id, Value::Object(id_token_claims(state, settings, issue)))
}

fn id_token_claims(state: &State, settings: &Settings, issue: &Issue<'_>) -> Map<String, Value> {
    let Issue { persona, sign_in, .. } = issue;
    let now = state.clock.unix();
    let mut claims = Map::new();
    claims.insert("ver".to_owned(), "2.0".into());
    claims.insert("iss".to_owned(), state.issuer(persona.tenant_id).into());
    claims.insert("sub".to_owned(), subject(state, persona).into());
    claims.insert("aud".to_owned(), state.options.client_id.clone().into());
    claims.insert("exp".to_owned(), (now + settings.id_token_lifetime).into());
    claims.insert("iat".to_owned(), now.into());
    claims.insert("nbf".to_owned(), now.into());
    claims.insert("auth_time".to_owned(), sign_in.auth_time.into());
    claims.insert("tid".to_owned(), persona.tenant_id.to_string().into());
    claims.insert("sid".to_owned(), sign_in.sid.to_string().into());
    if let Some(nonce) = issue.nonce {
        claims.insert("nonce".to_owned(), nonce.into());
    }
    add_person_claims(&mut claims, issue);
    add_membership_claims(state, settings, &mut claims, persona);
    add_requested_claims(&mut claims, sign_in);
    add_harmless_claims(&mut claims);
    override_claims(&mut claims, &persona.extra_claims);
    claims
}

/// Claims about the person; `profile` and `email` decide which (Microsoft: ID token claims reference).
fn add_person_claims(claims: &mut Map<String, Value>, issue: &Issue<'_>) {
    let persona = issue.persona;
    if issue.scopes.has("profile") {
        let texts = [
            ("oid", persona.oid.to_string()),
            ("preferred_username", persona.upn.clone()),
            ("upn", persona.upn.clone()),
            ("name", persona.name.clone()),
            ("given_name", persona.given_name.clone()),
            ("family_name", persona.family_name.clone()),
            ("login_hint", login_hint(persona)),
        ];
        claims.extend(texts.map(|(name, text)| (name.to_owned(), text.into())));
    }
    if let Some(email) = persona.email.as_ref().filter(|_| issue.scopes.has("email")) {
        claims.insert("email".to_owned(), email.clone().into());
    }
    claims.insert("acct".to_owned(), u8::from(persona.guest).into());
    if let Some(idp) = &persona.identity_provider {
        claims.insert("idp".to_owned(), idp.clone().into());
    }
}

/// `roles`, and `groups` or their overage.
fn add_membership_claims(state: &State, settings: &Settings, claims: &mut Map<String, Value>, persona: &Persona) {
    if !persona.roles.is_empty() {
        claims.insert("roles".to_owned(), persona.roles.clone().into());
    }
    if persona.groups.len() > GROUPS_LIMIT {
        add_overage_claims(state, settings, claims, persona);
    } else if !persona.groups.is_empty() {
        let ids: Vec<String> = persona.groups.iter().map(|group| group.id.to_string()).collect();
        claims.insert("groups".to_owned(), ids.into());
    }
}

fn add_overage_claims(state: &State, settings: &Settings, claims: &mut Map<String, Value>, persona: &Persona) {
    match settings.overage {
        OverageForm::HasGroups => {
            claims.insert("hasgroups".to_owned(), true.into());
        }
        OverageForm::ClaimSources => {
            let (base, tid, oid) = (&state.base_url, persona.tenant_id, persona.oid);
            let endpoint = format!("{base}/_claim-source/{tid}/users/{oid}/getMemberObjects");
            claims.insert("_claim_names".to_owned(), json!({ "groups": "src1" }));
            claims.insert("_claim_sources".to_owned(), json!({ "src1": { "endpoint": endpoint } }));
        }
    }
}

/// `acrs`, if the request's `claims` asked for an authentication context and it was met.
fn add_requested_claims(claims: &mut Map<String, Value>, sign_in: &SignIn) {
    let requested: Option<Value> = sign_in.claims.as_ref().and_then(|claims| serde_json::from_str(claims).ok());
    let contexts = requested.as_ref().and_then(|claims| claims.pointer("/id_token/acrs"));
    let values = contexts.and_then(|acrs| match acrs.get("values") {
        Some(values) => Some(values.clone()),
        None => acrs.get("value").map(|value| json!([value])),
    });
    if let Some(values) = values {
        claims.insert("acrs".to_owned(), values);
    }
}

fn override_claims(claims: &mut Map<String, Value>, overrides: &Map<String, Value>) {
    for (name, value) in overrides {
        if value.is_null() {
            claims.remove(name);
        } else {
            claims.insert(name.clone(), value.clone());
        }
    }
}

/// Signs claims as a token of `kind`, with the edits that are due.
fn sign(state: &State, kind: TokenKind, claims: Value) -> String {
    let mut draft = Draft { header: json!({ "typ": "JWT" }), claims, raw_claims: None, signing: Signing::Current };
    let edits = state.faults.take_token_edits(kind);
    for edit in &edits {
        edit.apply(&mut draft);
    }
    let token = sign_draft(state, draft);
    edits.iter().fold(token, |token, edit| edit.finish(token))
}

/// Signs `draft` with this emulator's keys.
pub(crate) fn sign_draft(state: &State, draft: Draft) -> String {
    let context = SigningContext { keys: &state.keys, client_secret: &state.client_secret };
    jwt::sign(&context, draft)
}

/// The pairwise subject: another one for each application (OIDC Core section 8.1).
pub(crate) fn subject(state: &State, persona: &Persona) -> String {
    let text = format!("{}|{}|{}", state.options.client_id, persona.tenant_id, persona.oid);
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()))
}

/// The opaque `login_hint` claim, good for `login_hint` and `logout_hint`.
pub(crate) fn login_hint(persona: &Persona) -> String {
    format!("O.{}", URL_SAFE_NO_PAD.encode(persona.oid.as_bytes()))
}

/// The object id inside a `login_hint` claim.
pub(crate) fn oid_of_login_hint(hint: &str) -> Option<Uuid> {
    let bytes = URL_SAFE_NO_PAD.decode(hint.strip_prefix("O.")?).ok()?;
    Uuid::from_slice(&bytes).ok()
}
