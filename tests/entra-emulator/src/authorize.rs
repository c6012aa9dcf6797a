//! The authorization endpoint: validates the request, lets someone sign in, answers the redirect URI.
//!
//! Stateless: the pages in between carry the request's parameters in hidden fields and add their
//! own (`persona`, `username`, `mfa`, `consent`).

pub(crate) mod request;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{OriginalUri, Path, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use request::{ResponseMode, Target, Wanted};
pub(crate) use request::{missing, unknown_application};

use crate::call::Call;
use crate::errors::EntraError;
use crate::grants::{NewCode, SignIn};
use crate::metadata;
use crate::pages::{self, Picker};
use crate::personas::Persona;
use crate::random;
use crate::sessions::{self, Account};
use crate::state::State;
use crate::sync::lock;
use crate::tokens::oid_of_login_hint;

/// Fields that the pages add; they are no part of the authorization request.
const PAGE_FIELDS: [&str; 4] = ["persona", "username", "mfa", "consent"];
/// A longer query is refused (AADSTS90015).
const MAX_QUERY: usize = 8192;
/// The picker lists this many personas; the others are typed in.
const MAX_LISTED: usize = 40;

/// Serves `/{tenant}/oauth2/v2.0/authorize`, GET and POST.
pub(crate) async fn authorize(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call::new(&uri, headers, &body);
    let too_long = uri.query().is_some_and(|query| query.len() > MAX_QUERY);
    let target = match Target::of(&state, &tenant, &call) {
        Ok(_) if too_long => return error_page(&state, &call, &EntraError::new(90015)),
        Ok(target) => target,
        Err(error) => return error_page(&state, &call, &error),
    };
    let flow = Flow { state: &state, call: &call, target: &target };
    flow.run().unwrap_or_else(|error| flow.refuse(&error))
}

fn error_page(state: &State, call: &Call, error: &EntraError) -> Response {
    let ids = state.ids(call.client_request_id());
    let mut response = pages::error(&error.description(&ids));
    ids.apply(&mut response);
    response
}

/// One pass through the endpoint.
struct Flow<'a> {
    state: &'a State,
    call: &'a Call,
    target: &'a Target,
}

/// Who signs in, and how that was found out.
struct Chosen {
    persona: Arc<Persona>,
    account: Account,
    /// Whether a page may be shown to go on.
    interactive: bool,
    /// Whether the session must be written.
    fresh: bool,
}

/// What choosing came to.
enum Choice {
    Made(Chosen),
    Ask(Response),
}

impl Flow<'_> {
    fn run(&self) -> Result<Response, EntraError> {
        let wanted = Wanted::of(self.state, self.call)?;
        let chosen = match self.choose(&wanted)? {
            Choice::Made(chosen) => chosen,
            Choice::Ask(page) => return Ok(page),
        };
        if let Some(code) = chosen.persona.refused_with() {
            return Err(EntraError::new(code));
        }
        if let Some(page) = self.ask_for_second_factor(&wanted, &chosen)? {
            return Ok(page);
        }
        if let Some(page) = self.ask_for_consent(&wanted, &chosen)? {
            return Ok(page);
        }
        Ok(self.finish(wanted, chosen))
    }

    /// Finds out who signs in: chosen on a page, switched to automatic, or signed in already.
    fn choose(&self, wanted: &Wanted) -> Result<Choice, EntraError> {
        if let Some(persona) = self.picked()? {
            return Ok(Choice::Made(self.sign_in_now(persona, true)));
        }
        let candidates = self.candidates();
        if wanted.prompts("none") {
            return self.choose_silently(wanted, candidates);
        }
        if let Some(persona) = self.automatic() {
            return Ok(Choice::Made(self.sign_in_now(persona, false)));
        }
        let may_reuse = !wanted.prompts("login") && !wanted.prompts("select_account");
        match <[_; 1]>::try_from(candidates) {
            Ok([(persona, account)]) if may_reuse && self.is_fresh(wanted, &account) => {
                Ok(Choice::Made(reuse(persona, account, true)))
            }
            _ => Ok(Choice::Ask(self.picker())),
        }
    }

    fn choose_silently(&self, wanted: &Wanted, candidates: Vec<(Arc<Persona>, Account)>) -> Result<Choice, EntraError> {
        let count = candidates.len();
        match candidates.into_iter().next() {
            Some(_) if count > 1 => Err(EntraError::new(16000)),
            Some((persona, account)) if self.is_fresh(wanted, &account) => {
                Ok(Choice::Made(reuse(persona, account, false)))
            }
            _ => Err(EntraError::new(50058)),
        }
    }

    fn is_fresh(&self, wanted: &Wanted, account: &Account) -> bool {
        wanted.max_age.is_none_or(|max_age| self.state.clock.unix() - account.auth_time <= max_age)
    }

    fn picked_name(&self) -> Option<&str> {
        self.call.get("persona").or_else(|| self.call.get("username"))
    }

    /// The persona picked or typed on the picker page.
    fn picked(&self) -> Result<Option<Arc<Persona>>, EntraError> {
        let Some(name) = self.picked_name() else { return Ok(None) };
        let persona = self.find(name).ok_or_else(|| EntraError::new(50034))?;
        if self.target.authority.admits(persona.tenant_id) {
            return Ok(Some(persona));
        }
        Err(EntraError::new(50020).detail(format!(
            "User account '{}' from identity provider '{}' does not exist in tenant and cannot access the application in that tenant. The account needs to be added as an external user in the tenant first.",
            persona.upn,
            self.state.issuer(persona.tenant_id)
        )))
    }

    fn find(&self, name: &str) -> Option<Arc<Persona>> {
        let directory = lock(&self.state.directory);
        let by_key = directory.by_id(name).or_else(|| directory.by_oid(oid_of_login_hint(name)?));
        by_key.or_else(|| directory.by_name(name))
    }

    /// The accounts of this browser that may sign in here and fit the hint.
    fn candidates(&self) -> Vec<(Arc<Persona>, Account)> {
        let accounts = lock(&self.state.sessions).accounts(self.call.session_cookie());
        let hinted = self.call.get("login_hint").map(|hint| self.find(hint).map(|persona| persona.oid));
        let directory = lock(&self.state.directory);
        accounts
            .into_iter()
            .filter_map(|account| Some((directory.by_oid(account.persona)?, account)))
            .filter(|(persona, _)| self.target.authority.admits(persona.tenant_id))
            .filter(|(persona, _)| hinted.is_none_or(|hinted| hinted == Some(persona.oid)))
            .collect()
    }

    /// The persona of automatic sign-in: the hinted one, else the one whose turn it is.
    fn automatic(&self) -> Option<Arc<Persona>> {
        let next = self.state.next_auto_sign_in()?;
        Some(self.call.get("login_hint").and_then(|hint| self.find(hint)).unwrap_or(next))
    }

    fn sign_in_now(&self, persona: Arc<Persona>, interactive: bool) -> Chosen {
        let known = lock(&self.state.sessions).accounts(self.call.session_cookie());
        let known = known.into_iter().find(|account| account.persona == persona.oid);
        let account = Account {
            persona: persona.oid,
            sid: known.as_ref().map_or_else(random::uuid, |account| account.sid),
            auth_time: self.state.clock.unix(),
            stepped_up: known.is_some_and(|account| account.stepped_up),
        };
        Chosen { persona, account, interactive, fresh: true }
    }

    fn picker(&self) -> Response {
        let accounts = lock(&self.state.sessions).accounts(self.call.session_cookie());
        let signed_in: Vec<_> = accounts.iter().map(|account| account.persona).collect();
        pages::picker(&Picker {
            action: &self.action(),
            parameters: &self.request_parameters(),
            personas: &self.listed(),
            signed_in: &signed_in,
            username: self.call.get("login_hint").unwrap_or_default(),
        })
    }

    /// The personas that the picker lists: of this authority, of the hinted domain, the hinted one alone.
    fn listed(&self) -> Vec<Arc<Persona>> {
        if let Some(persona) = self.call.get("login_hint").and_then(|hint| self.find(hint)) {
            return vec![persona];
        }
        let domain =
            self.call.get("domain_hint").filter(|domain| domain.contains('.')).map(|domain| format!("@{domain}"));
        let directory = lock(&self.state.directory);
        let admitted = directory.personas().filter(|persona| self.target.authority.admits(persona.tenant_id));
        let fitting = admitted.filter(|persona| domain.as_ref().is_none_or(|domain| persona.upn.ends_with(domain)));
        fitting.take(MAX_LISTED).cloned().collect()
    }

    fn action(&self) -> String {
        format!("/{}/oauth2/v2.0/authorize", self.target.tenant)
    }

    fn request_parameters(&self) -> Vec<(String, String)> {
        let own = |name: &str| PAGE_FIELDS.contains(&name);
        self.call.parameters.iter().filter(|(name, _)| !own(name)).cloned().collect()
    }

    /// The parameters for a page after the picker: the choice so far goes along.
    fn continued_parameters(&self, chosen: &Chosen) -> Vec<(String, String)> {
        let mut parameters = self.request_parameters();
        parameters.push(("persona".to_owned(), chosen.persona.id.clone()));
        if let Some(mfa) = self.call.get("mfa") {
            parameters.push(("mfa".to_owned(), mfa.to_owned()));
        }
        parameters
    }

    fn ask_for_second_factor(&self, wanted: &Wanted, chosen: &Chosen) -> Result<Option<Response>, EntraError> {
        let needed = chosen.persona.mfa && !chosen.account.stepped_up;
        match (needed, self.call.get("mfa")) {
            (false, _) | (true, Some("approve")) => Ok(None),
            (true, Some(_)) => Err(EntraError::second_factor().subcode("cancel")),
            // With nobody to ask, a request that answers the challenge passes.
            (true, None) if !chosen.interactive && wanted.steps_up() && !wanted.prompts("none") => Ok(None),
            (true, None) if !chosen.interactive => Err(EntraError::second_factor()),
            (true, None) => {
                let parameters = self.continued_parameters(chosen);
                Ok(Some(pages::second_factor(&self.action(), &parameters, &chosen.persona)))
            }
        }
    }

    fn ask_for_consent(&self, wanted: &Wanted, chosen: &Chosen) -> Result<Option<Response>, EntraError> {
        match self.call.get("consent") {
            Some("accept") => Ok(None),
            Some(_) => Err(EntraError::new(65004).subcode("cancel")),
            None if wanted.prompts("consent") && chosen.interactive => {
                let parameters = self.continued_parameters(chosen);
                let scopes = self.call.get("scope").unwrap_or_default();
                Ok(Some(pages::consent(&self.action(), &parameters, scopes)))
            }
            None => Ok(None),
        }
    }

    /// Writes the session and sends a code back.
    fn finish(&self, wanted: Wanted, chosen: Chosen) -> Response {
        let mut account = chosen.account;
        account.stepped_up |= self.call.get("mfa") == Some("approve") || chosen.persona.mfa;
        let stepped_up = wanted.steps_up();
        let cookie = (chosen.fresh || stepped_up)
            .then(|| lock(&self.state.sessions).sign_in(self.call.session_cookie(), account.clone()));
        let new = NewCode {
            sign_in: SignIn {
                persona: account.persona,
                sid: account.sid,
                auth_time: account.auth_time,
                stepped_up,
                claims: wanted.claims,
            },
            tenant: self.target.tenant.clone(),
            redirect_uri: self.target.redirect_uri.clone(),
            challenge: wanted.challenge,
            nonce: self.call.get("nonce").map(str::to_owned),
            scopes: wanted.scopes,
        };
        let code = lock(&self.state.grants).issue_code(new, self.state.clock.unix());
        let mut response = self.answer(vec![("code".to_owned(), code)], Some(account.sid.to_string()));
        if let Some(cookie) = cookie {
            set_session_cookie(&mut response, &cookie);
        }
        response
    }

    /// Tells of an error where Entra does: on a page, or at the redirect URI.
    fn refuse(&self, error: &EntraError) -> Response {
        let silent = self.call.get("prompt") == Some("none");
        let ids = self.state.ids(self.call.client_request_id());
        if error.is_page() && !silent {
            let description = error.description(&ids);
            return match self.picked_name() {
                Some(_) => pages::account_error(&description, &self.action(), &self.request_parameters()),
                None => pages::error(&description),
            };
        }
        self.answer(error.redirect_parameters(&ids), None)
    }

    /// Sends parameters to the redirect URI in the response mode asked for.
    fn answer(&self, mut parameters: Vec<(String, String)>, session_state: Option<String>) -> Response {
        if let Some(state) = self.call.get("state") {
            parameters.push(("state".to_owned(), state.to_owned()));
        }
        parameters.extend(session_state.map(|value| ("session_state".to_owned(), value)));
        if self.state.settings().response_iss {
            parameters.push(("iss".to_owned(), metadata::issuer(self.state, self.target.authority)));
        }
        self.state.faults.edit_authorization(&mut parameters);
        send(&self.target.redirect_uri, self.target.mode, &parameters)
    }
}

fn reuse(persona: Arc<Persona>, account: Account, interactive: bool) -> Chosen {
    Chosen { persona, account, interactive, fresh: false }
}

fn send(redirect_uri: &str, mode: ResponseMode, parameters: &[(String, String)]) -> Response {
    let encoded = serde_urlencoded::to_string(parameters).unwrap_or_default();
    match mode {
        ResponseMode::FormPost => pages::form_post(redirect_uri, parameters),
        ResponseMode::Fragment => found(&format!("{redirect_uri}#{encoded}")),
        ResponseMode::Query => {
            let separator = if redirect_uri.contains('?') { '&' } else { '?' };
            found(&format!("{redirect_uri}{separator}{encoded}"))
        }
    }
}

/// 302, as Entra sends it.
pub(crate) fn found(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => {
            let no_store = HeaderValue::from_static("no-store, no-cache");
            let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, no_store)];
            (StatusCode::FOUND, headers).into_response()
        }
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn set_session_cookie(response: &mut Response, value: &str) {
    let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax", sessions::COOKIE);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
