//! Who calls the API: from the bearer token to a person or a program, and what they may.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use entra::oidc::{ApiCaller, Claims, GroupsClaim, OidcError, Permissions, TokenFault};
use secrecy::SecretString;
use store::DbConn;
use store::models::{ADMIN, RoleReason, RoleSource, User, UserRole};

use crate::config::{ApiConfig, IdentityKey, ProviderKind, Tenant};
use crate::error::AppError;
use crate::error::challenge::{Challenge, Fault};
use crate::observe::request_id::Actor;
use crate::people::refusal::Refusal;
use crate::people::role_mappings::{self, Told};
use crate::people::sync::folded;
use crate::session::access::Guard;
use crate::state::AppState;
use crate::web::middleware::rate_limit::{Limiter, client};

/// The app role that lets a program read the users, to be defined in the app registration.
pub const READ_USERS: &str = "Users.Read.All";

/// The app role that lets a program read the audit log, as Microsoft Graph names its own.
pub const READ_AUDIT_LOG: &str = "AuditLog.Read.All";

/// Who calls.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A program on behalf of a person who has signed in here at least once.
    Person(Box<User>),
    /// A program by itself.
    Program {
        /// Its app roles.
        roles: Vec<String>,
        /// The tenant whose people alone it reads; `None`: `API_CROSS_TENANT_APPS` lets it read everybody.
        tenant: Option<String>,
    },
}

/// What [`authenticate`] needs: the application, and how often each caller may come (`API_RATE_LIMIT`).
#[derive(Clone)]
pub struct Gate {
    state: AppState,
    limiter: Option<Limiter<Counted>>,
}

/// Who counts as one caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Counted {
    /// A person, or a program by itself.
    Known(IdentityKey),
    /// Whoever brings no good token.
    Stranger(IpAddr),
}

impl Gate {
    /// A gate with nobody counted yet.
    #[must_use]
    pub fn new(state: &AppState) -> Self {
        Self { state: state.clone(), limiter: state.config.api_rate_limit.map(Limiter::new) }
    }

    /// Takes one request off the caller's allowance.
    fn count(&self, counted: Option<Counted>) -> Result<(), AppError> {
        self.limiter.as_ref().zip(counted).map_or(Ok(()), |(limiter, counted)| limiter.check(&counted))
    }
}

/// Middleware: finds out who calls, or refuses.
///
/// # Errors
/// 400, 401 or 403 with a challenge; 403 for people who may not come in; 429 for those who come too often; 503 when the
/// provider's keys or the database are not to be had.
pub async fn authenticate(State(gate): State<Gate>, mut request: Request, next: Next) -> Result<Response, AppError> {
    let state = &gate.state;
    let api = state.config.api.as_ref().ok_or(AppError::NotFound)?;
    let (presented, verified) = match verify(state, api, request.headers()).await {
        Ok(verified) => verified,
        Err(refusal) => {
            gate.count(client(&request).map(Counted::Stranger))?;
            return Err(refusal);
        }
    };
    gate.count(Some(Counted::Known(verified.identity.clone())))?;
    let caller = admitted(state, api, verified).await?;
    request.extensions_mut().insert(presented);
    if let (Caller::Person(user), Some(actor)) = (&caller, request.extensions().get::<Actor>()) {
        actor.is(&user.id);
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// The token in the `Authorization` header (RFC 6750, section 2.1): nowhere else is one looked for.
fn bearer_token(headers: &HeaderMap) -> Result<&str, Fault> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Fault::Absent)?;
    if values.next().is_some() {
        return Err(Fault::Malformed);
    }
    let text = value.to_str().map_err(|_| Fault::Malformed)?;
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    match (scheme.eq_ignore_ascii_case("bearer"), token.trim()) {
        (false, _) => Err(Fault::Absent),
        (true, "") => Err(Fault::Malformed),
        (true, token) => Ok(token),
    }
}

async fn verify(state: &AppState, api: &ApiConfig, headers: &HeaderMap) -> Result<(Presented, ApiCaller), AppError> {
    let challenge = |fault| AppError::from(Challenge { fault, scope: api.scope.clone() });
    let token = bearer_token(headers).map_err(challenge)?;
    let verified = state.oidc.verify_access_token(token, &api.audiences, &api.scope).await;
    let verified = verified.map_err(|error| refusal(error, api))?;
    Ok((Presented(SecretString::from(token)), verified))
}

async fn admitted(state: &AppState, api: &ApiConfig, verified: ApiCaller) -> Result<Caller, AppError> {
    let ApiCaller { identity, permissions, claims } = verified;
    match permissions {
        Permissions::Delegated(_) => person(state, &identity, &claims).await,
        Permissions::Application(roles) => {
            let client = claims.text("azp").unwrap_or_default().to_ascii_lowercase();
            let is_everybodys = api.cross_tenant_apps.contains(&(identity.realm.clone(), client));
            Ok(Caller::Program { roles, tenant: (!is_everybodys).then_some(identity.realm) })
        }
    }
}

fn refusal(error: OidcError, api: &ApiConfig) -> AppError {
    tracing::info!(reason = error.reason(), %error, "an access token was refused");
    let fault = match error {
        OidcError::Token(TokenFault::Scope) => Fault::Insufficient,
        OidcError::Token(fault) => Fault::Invalid(fault.to_string()),
        // Metadata or keys are missing: nothing can be said about the token.
        error => return AppError::unavailable(error.to_string()),
    };
    Challenge { fault, scope: api.scope.clone() }.into()
}

/// The synced user, with the roles by which this call is judged. An access token does not tell enough to make a user:
/// that takes a sign-in.
async fn person(state: &AppState, identity: &IdentityKey, claims: &Claims) -> Result<Caller, AppError> {
    let mut conn = state.db.conn().await?;
    let user = User::find_by_identity(&mut conn, &identity.realm, &identity.subject).await?;
    let mut user = user.ok_or(AppError::NotAdmitted {
        message: "This person has never signed in to this application. They do so once in a browser.",
    })?;
    if let Some(is_guest) = claims.is_guest() {
        // The token is newer than what was synced.
        user.user_type = if is_guest { "guest" } else { "member" }.to_owned();
    }
    match state.admits(&user) {
        Ok(()) => {}
        Err(Refusal::Guest) => {
            return Err(AppError::NotAdmitted { message: "Guests are not admitted to this application." });
        }
        Err(_) => {
            return Err(AppError::NotAdmitted { message: "An administrator has disabled this person's account here." });
        }
    }
    user.roles = roles(state, &mut conn, &user, claims).await?;
    Ok(Caller::Person(Box::new(user)))
}

/// The roles of a call on behalf of `user`, as [`User::roles`] has them: those granted here; those that follow from the
/// token's own app roles and groups; and, about what the token does not tell, those of the last sync, unless that was
/// longer ago than a session may last.
async fn roles(state: &AppState, conn: &mut DbConn, user: &User, claims: &Claims) -> Result<String, AppError> {
    let app_roles = claims.raw().contains_key("roles").then(|| folded(&claims.roles()));
    let groups = match claims.groups(&state.config.sync.groups_claim) {
        GroupsClaim::Listed(groups) => Some(folded(&groups)),
        GroupsClaim::Absent | GroupsClaim::Overage => None,
    };
    let is_fresh = user.roles_told_at() >= state.ago(state.config.session.absolute_timeout);
    if app_roles.is_none() && groups.is_none() && is_fresh {
        return Ok(user.roles.clone());
    }
    let held = if is_fresh { RoleReason::list_by_user(conn, &user.id).await? } else { BTreeSet::new() };
    let told = Told { realm: &user.realm, app_roles: app_roles.as_ref(), groups: groups.as_ref() };
    let reasons = role_mappings::reasons(&role_mappings::rules(state, conn).await?, told, &held);
    let local = UserRole::list_by_user(conn, &user.id).await?;
    let local = local.into_iter().filter(|role| role.source == RoleSource::Local.name()).map(|role| role.role);
    let roles: BTreeSet<String> = reasons.into_iter().map(|reason| reason.role).chain(local).collect();
    Ok(roles.into_iter().collect::<Vec<_>>().join(" "))
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, AppError> {
        parts.extensions.get::<Self>().cloned().ok_or(AppError::Unauthorized)
    }
}

impl Guard for Caller {
    const NAME: &'static str = "Caller";
}

/// The person on whose behalf the call is made.
#[derive(Debug)]
pub struct Person(pub User);

impl Guard for Person {
    const NAME: &'static str = "Person";
}

impl FromRequestParts<AppState> for Person {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        match parts.extensions.get::<Caller>() {
            Some(Caller::Person(user)) => Ok(Self(user.as_ref().clone())),
            None => Err(AppError::Unauthorized),
            Some(Caller::Program { .. }) => Err(needs(state.config.api.as_ref().map_or("", |api| api.scope.as_str()))),
        }
    }
}

/// The access token of the call, after it was verified: to act on behalf of whoever sent it.
#[derive(Clone, Debug)]
pub struct Presented(pub(super) SecretString);

impl FromRequestParts<AppState> for Presented {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, AppError> {
        parts.extensions.get::<Self>().cloned().ok_or(AppError::Unauthorized)
    }
}

/// Whoever may read the users: on behalf of an administrator, or with the app role [`READ_USERS`].
#[derive(Debug)]
pub struct UserReader {
    /// The tenant whose people alone they read; `None` is everybody.
    pub tenant: Option<String>,
}

impl Guard for UserReader {
    const NAME: &'static str = "UserReader";
}

impl FromRequestParts<AppState> for UserReader {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, AppError> {
        let tenant = read_as(parts, READ_USERS, "Only administrators of this application may read the users.")?;
        Ok(Self { tenant })
    }
}

/// Whoever may read the audit log: on behalf of an administrator, or with the app role [`READ_AUDIT_LOG`].
#[derive(Debug)]
pub struct AuditReader;

impl Guard for AuditReader {
    const NAME: &'static str = "AuditReader";
}

impl FromRequestParts<AppState> for AuditReader {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, AppError> {
        let tenant = read_as(parts, READ_AUDIT_LOG, "Only administrators of this application may read the audit log.")?;
        match &state.config.provider.kind {
            // The log is one for all tenants, and events of one name people of another.
            ProviderKind::Entra { tenant: Tenant::Multi { .. }, .. } if tenant.is_some() => {
                Err(AppError::NotAdmitted {
                    message: "The audit log has events of several tenants. A program of one of them may not read it.",
                })
            }
            _ => Ok(Self),
        }
    }
}

/// Who may read: on behalf of an administrator, or by itself with the app role `role`. Returns the tenant whose people
/// alone it is to be; `None` is everybody.
///
/// # Errors
/// 401 for nobody, 403 with `refused` for other people, with a challenge for other programs.
fn read_as(parts: &Parts, role: &str, refused: &'static str) -> Result<Option<String>, AppError> {
    match parts.extensions.get::<Caller>() {
        Some(Caller::Person(user)) if user.has_role(ADMIN) => Ok(None),
        Some(Caller::Person(_)) => Err(AppError::NotAdmitted { message: refused }),
        Some(Caller::Program { roles, tenant }) if roles.iter().any(|held| held == role) => Ok(tenant.clone()),
        Some(Caller::Program { .. }) => Err(needs(role)),
        None => Err(AppError::Unauthorized),
    }
}

fn needs(scope: &str) -> AppError {
    Challenge { fault: Fault::Insufficient, scope: scope.to_owned() }.into()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn v_10_3_one_bearer_token_in_one_header() {
        let token = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
            }
            bearer_token(&headers).map(str::to_owned)
        };
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(token(&[good]), Ok("a.b.c".to_owned()), "{good}");
        }
        for absent in [&[][..], &["Basic YTpi"], &["a.b.c"], &[""]] {
            assert_eq!(token(absent), Err(Fault::Absent), "{absent:?}");
        }
        for malformed in
            [&["Bearer"][..], &["Bearer "], &["Bearer a", "Bearer a"], &["Basic x", "Bearer a"], &["Bearer é"]]
        {
            assert_eq!(token(malformed), Err(Fault::Malformed), "{malformed:?}");
        }
    }
}
