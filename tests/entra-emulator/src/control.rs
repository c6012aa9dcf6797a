//! The control handle: what a test changes while the emulator runs.
//!
//! Everything here takes effect at once and for this emulator alone. The same over HTTP is in
//! [`http`], for tests that run in another process.

pub(crate) mod http;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::Secret;
use crate::endpoint::Endpoint;
use crate::errors;
use crate::faults::{AuthorizationEdit, Fault, JsonEdit, Times, TokenEdit, TokenKind};
use crate::grants::RefreshRotation;
use crate::jwt::{Draft, Signing};
use crate::keys::{ClientCertificate, KeySetShape, Rotation};
use crate::personas::{Group, Persona, Tenant};
use crate::recorder::Recorded;
use crate::state::{OverageForm, Settings, State, Turns};
use crate::sync::lock;
use crate::tokens;

/// The control handle of one emulator; clones control the same one.
#[derive(Clone)]
pub struct Control {
    state: Arc<State>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("base_url", &self.state.base_url).finish_non_exhaustive()
    }
}

/// Time.
impl Control {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Stops the emulator's clock at `time`, so that only [`Self::advance_clock`] and [`Self::set_clock_offset`] move it:
    /// what is issued then does not depend on how fast a machine is. A clock that has been stopped stays as it is.
    pub fn stop_clock(&self, time: DateTime<Utc>) {
        self.state.clock.stop(time);
    }

    /// Sets the emulator's clock to the system's, or to the time at which it was stopped, plus `seconds`.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.state.clock.set_offset(seconds);
    }

    /// Moves the emulator's clock by `seconds`; negative values move it back.
    pub fn advance_clock(&self, seconds: i64) {
        self.state.clock.advance(seconds);
    }

    /// The emulator's time in seconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.state.clock.unix()
    }
}

/// What was asked of the emulator.
impl Control {
    /// How many requests `endpoint` has had since the last [`Control::clear_records`].
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.state.recorder.count(endpoint)
    }

    /// The latest requests (up to 20,000), oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.recorder.records()
    }

    /// The latest requests of one endpoint, oldest first.
    #[must_use]
    pub fn requests_of(&self, endpoint: Endpoint) -> Vec<Recorded> {
        self.requests().into_iter().filter(|request| request.endpoint == endpoint).collect()
    }

    /// Forgets the requests and sets all counters to zero.
    pub fn clear_records(&self) {
        self.state.recorder.clear();
    }
}

/// Signing keys.
impl Control {
    /// Signs with a new key from now on.
    pub fn rotate_keys(&self, rotation: Rotation) {
        self.state.keys.rotate(rotation);
    }

    /// Rotates at the next signing: after the client has fetched the key set, if it does so first.
    pub fn rotate_keys_before_next_signing(&self, rotation: Rotation) {
        self.state.keys.rotate_before_next_signing(rotation);
    }

    /// Publishes `count` further keys that do not sign.
    pub fn add_keys(&self, count: usize) {
        self.state.keys.add(count);
    }

    /// Gives the published key set an odd shape; the default puts it right again.
    pub fn set_key_set_shape(&self, shape: KeySetShape) {
        self.state.keys.set_shape(shape);
    }

    /// The `kid` that signs now.
    #[must_use]
    pub fn current_kid(&self) -> String {
        self.state.keys.current().kid.clone()
    }

    /// Signs any header and claims with the emulator's keys: logout tokens, hostile tokens.
    ///
    /// `alg` and `kid` are filled in where the header lacks them; `null` members are left out.
    #[must_use]
    pub fn sign_jwt(&self, header: Value, claims: Value, signing: Signing) -> String {
        let draft = Draft { header, claims, raw_claims: None, signing };
        tokens::sign_draft(&self.state, draft)
    }
}

/// Tokens and grants.
impl Control {
    fn settings(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.state.settings));
    }

    /// Whether refresh tokens survive their use.
    pub fn set_refresh_rotation(&self, rotation: RefreshRotation) {
        self.settings(|settings| settings.refresh_rotation = rotation);
    }

    /// Lifetime of access tokens in seconds: one value of the range is drawn for each.
    pub fn set_access_token_lifetime(&self, seconds: RangeInclusive<i64>) {
        self.settings(|settings| settings.access_token_lifetime = seconds);
    }

    /// Lifetime of ID tokens in seconds.
    pub fn set_id_token_lifetime(&self, seconds: i64) {
        self.settings(|settings| settings.id_token_lifetime = seconds);
    }

    /// How more than 200 groups are told of.
    pub fn set_overage_form(&self, form: OverageForm) {
        self.settings(|settings| settings.overage = form);
    }

    /// Version (1 or 2) of access tokens for the application's own API.
    pub fn set_access_token_version(&self, version: u8) {
        self.settings(|settings| settings.access_token_version = version);
    }

    /// Delegated Graph permissions granted by an administrator, see [`crate::Options::granted_scopes`].
    pub fn set_granted_scopes(&self, scopes: &[&str]) {
        self.settings(|settings| settings.granted_scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect());
    }

    /// App roles of the application's own API that it holds itself, see [`crate::Options::own_app_roles`].
    pub fn set_own_app_roles(&self, roles: &[&str]) {
        self.settings(|settings| settings.own_app_roles = roles.iter().map(|role| (*role).to_owned()).collect());
    }

    /// Whether the application may be used through `/common` and `/organizations`.
    pub fn set_multi_tenant(&self, multi_tenant: bool) {
        self.settings(|settings| settings.multi_tenant = multi_tenant);
    }

    /// Whether front-channel logout calls carry `iss` beside `sid`. Entra's do not.
    pub fn set_front_channel_iss(&self, with_issuer: bool) {
        self.settings(|settings| settings.front_channel_iss = with_issuer);
    }

    /// Whether authorization responses carry `iss` and the metadata says so (RFC 9207). Entra's do not.
    pub fn set_response_iss(&self, with_issuer: bool) {
        self.settings(|settings| settings.response_iss = with_issuer);
    }

    /// Revokes a persona's refresh tokens (the next refresh answers AADSTS50173) and ends its
    /// sessions at the emulator. Returns whether there is such a persona.
    pub fn revoke(&self, persona: &str) -> bool {
        self.with_oid(persona, |oid| {
            lock(&self.state.grants).revoke(oid);
            lock(&self.state.sessions).end_all(oid);
        })
    }

    /// Takes a persona's access tokens back: Graph answers 401. Returns whether there is such a persona.
    pub fn revoke_access_tokens(&self, persona: &str) -> bool {
        self.with_oid(persona, |oid| lock(&self.state.grants).revoke_access(oid))
    }

    /// Lets Graph ask for `claims` (JSON) whenever the persona's token was issued without them
    /// (continuous access evaluation); `None` lifts it. Returns whether there is such a persona.
    pub fn require_claims(&self, persona: &str, claims: Option<&str>) -> bool {
        self.with_oid(persona, |oid| self.state.set_challenge(oid, claims.map(str::to_owned), false))
    }

    /// As [`Control::require_claims`], with claims that a refresh cannot meet (AADSTS50076 with the claims): only an
    /// authorization request that carries them does. Returns whether there is such a persona.
    pub fn require_claims_interactively(&self, persona: &str, claims: &str) -> bool {
        self.with_oid(persona, |oid| self.state.set_challenge(oid, Some(claims.to_owned()), true))
    }

    fn with_oid(&self, persona: &str, act: impl FnOnce(Uuid)) -> bool {
        let oid = self.persona(persona).map(|persona| persona.oid);
        oid.map(act).is_some()
    }

    /// How many codes, refresh tokens and access tokens are kept.
    #[must_use]
    pub fn grant_counts(&self) -> (usize, usize, usize) {
        lock(&self.state.grants).sizes()
    }
}

/// The application's registration.
impl Control {
    /// Adds a client secret beside the first one.
    pub fn add_client_secret(&self, secret: &str) {
        let value = secret.to_owned();
        lock(&self.state.app).secrets.push(Secret { value, expired: false });
    }

    /// Lets all client secrets so far expire (AADSTS7000222), or puts them right again.
    pub fn expire_client_secrets(&self, expired: bool) {
        for secret in &mut lock(&self.state.app).secrets {
            secret.expired = expired;
        }
    }

    /// Registers a certificate, or a bare public key, for `private_key_jwt`: PEM or DER.
    ///
    /// Assertions name it in their header by `x5t#S256`, `x5t` or `kid` (all thumbprints of what
    /// was given here). Returns the SHA-256 thumbprint in base64url, `None` without an RSA key.
    pub fn register_certificate(&self, pem_or_der: &[u8]) -> Option<String> {
        lock(&self.state.app).register_certificate(pem_or_der)
    }

    /// Makes a certificate for `private_key_jwt` and registers it: what an administrator does by
    /// hand. `None` if no key could be made.
    #[must_use]
    pub fn issue_client_certificate(&self) -> Option<ClientCertificate> {
        let issued = ClientCertificate::shared()?;
        self.register_certificate(issued.certificate.as_bytes())?;
        Some(issued)
    }

    /// Takes all certificates away.
    pub fn clear_certificates(&self) {
        lock(&self.state.app).clear_certificates();
    }

    /// Trusts `token` as a federated credential (workload identity).
    pub fn accept_federated_token(&self, token: &str) {
        lock(&self.state.app).accept_federated_token(token);
    }

    /// Takes all federated credentials away.
    pub fn clear_federated_tokens(&self) {
        lock(&self.state.app).clear_federated_tokens();
    }

    /// Registers the redirect URIs, in place of those before.
    pub fn set_redirect_uris(&self, uris: &[&str]) {
        lock(&self.state.app).redirect_uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
    }

    /// Registers the front-channel logout URLs, in place of those before.
    pub fn set_front_channel_logout_urls(&self, urls: &[&str]) {
        lock(&self.state.app).front_channel_logout_urls = urls.iter().map(|url| (*url).to_owned()).collect();
    }
}

/// Personas and tenants.
impl Control {
    /// The persona of that [`Persona::id`], unless it was deleted.
    #[must_use]
    pub fn persona(&self, id: &str) -> Option<Persona> {
        lock(&self.state.directory).by_id(id).map(|persona| persona.as_ref().clone())
    }

    /// The pairwise `sub` of a persona for the registered application.
    #[must_use]
    pub fn subject(&self, id: &str) -> Option<String> {
        let persona = lock(&self.state.directory).by_id(id)?;
        Some(tokens::subject(&self.state, &persona))
    }

    /// All personas, in the order in which they were added.
    #[must_use]
    pub fn personas(&self) -> Vec<Persona> {
        lock(&self.state.directory).personas().map(|persona| persona.as_ref().clone()).collect()
    }

    /// Adds a persona, or replaces the one with the same id. Delta queries tell of it.
    pub fn put_persona(&self, persona: Persona) {
        lock(&self.state.directory).put(persona);
    }

    /// Changes a persona in place. Returns whether there is such a persona.
    pub fn change_persona(&self, id: &str, change: impl FnOnce(&mut Persona)) -> bool {
        let mut directory = lock(&self.state.directory);
        let Some(known) = directory.by_id(id) else { return false };
        let mut persona = known.as_ref().clone();
        change(&mut persona);
        directory.put(persona);
        true
    }

    /// Deletes a persona: no sign-in, no refresh, `@removed` in delta queries. Returns whether there was one.
    pub fn delete_persona(&self, id: &str) -> bool {
        lock(&self.state.directory).delete(id)
    }

    /// Adds `count` members `user00001…` of the first tenant, for benches and lists.
    pub fn generate_personas(&self, count: usize) {
        let tenant_id = self.state.options.tenant_id;
        let mut directory = lock(&self.state.directory);
        for number in 1..=count {
            let id = format!("user{number:05}");
            let groups = vec![Group::named("All Employees")];
            let member = Persona::member(tenant_id, crate::DOMAIN, &id, "User", &format!("{number:05}"));
            directory.put(Persona { groups, ..member });
        }
    }

    /// Adds a tenant, or replaces the one with the same id.
    pub fn add_tenant(&self, tenant: Tenant) {
        lock(&self.state.directory).add_tenant(tenant);
    }

    /// All tenants.
    #[must_use]
    pub fn tenants(&self) -> Vec<Tenant> {
        lock(&self.state.directory).tenants().to_vec()
    }

    /// Signs these personas in without showing a page, in turn; none switches it off.
    ///
    /// A `login_hint` that fits a persona takes precedence. Every authorization request becomes a
    /// fresh sign-in, except with `prompt=none`.
    pub fn auto_sign_in(&self, ids: &[&str]) {
        self.take_turns(ids.iter().map(|id| (*id).to_owned()));
    }

    /// As [`Control::auto_sign_in`], for all personas whose id begins with `prefix`.
    pub fn auto_sign_in_all(&self, prefix: &str) {
        let ids: Vec<String> = {
            let directory = lock(&self.state.directory);
            directory.personas().map(|persona| persona.id.clone()).filter(|id| id.starts_with(prefix)).collect()
        };
        self.take_turns(ids);
    }

    fn take_turns(&self, ids: impl IntoIterator<Item = String>) {
        let turns = Turns::new(ids);
        self.settings(|settings| settings.auto_sign_in = turns);
    }

    /// Makes all delta links issued so far stale: the next use answers 410.
    pub fn force_delta_resync(&self) {
        self.state.force_delta_resync();
    }
}

/// Faults and edits. Several may be set: of faults the first that fits is used, of edits all are.
impl Control {
    /// Lets `endpoint` misbehave until [`Control::clear_faults`].
    pub fn fault(&self, endpoint: Endpoint, fault: Fault) {
        self.state.faults.add_fault(endpoint, fault, None);
    }

    /// Lets `endpoint` misbehave the next `times` times.
    pub fn fault_next(&self, endpoint: Endpoint, times: u32, fault: Fault) {
        self.add_times(times, |times| self.state.faults.add_fault(endpoint, fault, times));
    }

    /// Edits the JSON that `endpoint` answers: metadata, key set, token response, userinfo, Graph.
    pub fn edit_json(&self, endpoint: Endpoint, times: Times, edit: JsonEdit) {
        self.state.faults.add_json_edit(endpoint, edit, times);
    }

    /// [`Control::edit_json`] by a closure.
    pub fn edit_json_with(&self, endpoint: Endpoint, times: Times, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.edit_json(endpoint, times, JsonEdit::With(Arc::new(edit)));
    }

    /// Edits ID tokens before they are signed.
    pub fn edit_id_token(&self, times: Times, edit: TokenEdit) {
        self.state.faults.add_token_edit(TokenKind::Id, edit, times);
    }

    /// Edits access tokens for the application's own API before they are signed.
    pub fn edit_access_token(&self, times: Times, edit: TokenEdit) {
        self.state.faults.add_token_edit(TokenKind::Access, edit, times);
    }

    /// Edits the parameters that go back to the redirect URI.
    pub fn edit_authorization(&self, times: Times, edit: AuthorizationEdit) {
        self.state.faults.add_authorization_edit(edit, times);
    }

    /// Ends all faults and edits, and lets go what hangs.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Lets go the requests that hang now.
    pub fn release(&self) {
        self.state.faults.release();
    }

    /// Whether the emulator has Entra's text and `error` for an AADSTS code.
    #[must_use]
    pub fn knows_aadsts(code: u32) -> bool {
        errors::is_known(code)
    }

    fn add_times(&self, times: u32, add: impl FnOnce(Times)) {
        if times > 0 {
            add(Some(times));
        }
    }

    /// A summary: clock offset, counters, sizes.
    #[must_use]
    pub fn summary(&self) -> Value {
        let counts: serde_json::Map<String, Value> = Endpoint::ALL
            .iter()
            .filter_map(|endpoint| {
                let name = serde_json::to_value(endpoint).ok()?;
                Some((name.as_str()?.to_owned(), self.count(*endpoint).into()))
            })
            .collect();
        let (codes, refresh_tokens, access_tokens) = self.grant_counts();
        json!({
            "clock_offset": self.state.clock.offset(),
            "now": self.now(),
            "counts": counts,
            "grants": { "codes": codes, "refresh_tokens": refresh_tokens, "access_tokens": access_tokens },
            "kid": self.current_kid(),
        })
    }
}
