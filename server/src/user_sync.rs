//! From verified claims to a user with groups, roles and a grant, in one transaction.
//!
//! Used by sign-in. The identity is (tenant, object id) or (issuer, subject), never a name or an
//! address (`docs/requirements.tsv` E-01). What the claims do not say is left as it was: an absent groups
//! claim or a failing Graph never wipes what is known.

use std::collections::BTreeSet;

use crate::acts;
use crate::config::{BooleanColumn, Config, IdentityKey, RoleRule, SyncConfig, TextColumn};
use crate::db::{DbConn, DbError, to_end};
use crate::hooks::{self, Synced};
use crate::jobs;
use crate::middleware::client::ClientInfo;
use crate::models::{
    NewAuditEvent, NewUser, RoleSource, User, changed_from, grant_role, new_id, set_app_roles, set_memberships,
    set_provider_roles,
};
use crate::oidc::{Claims, GroupsClaim, SignIn};
use crate::role_mappings;
use crate::state::AppState;
use crate::tokens::{self, VaultError};
use crate::write_transaction;

/// The role that opens the admin pages.
pub const ADMIN: &str = "admin";

/// What a sign-in came to.
#[derive(Clone, Debug)]
pub enum SyncOutcome {
    /// The person may come in.
    SignedIn {
        /// The user as stored now.
        user: Box<User>,
        /// Whether this was their first sign-in.
        created: bool,
        /// The groups that they came into and left.
        groups: GroupChanges,
    },
    /// The person may not.
    Refused(Refusal),
}

/// Why somebody whom the provider signed in may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An administrator here disabled them.
    Disabled,
    /// `CREATE_NEW_USERS` is off and they were never seen.
    Unknown,
    /// `BLOCK_GUEST_USERS` is on and they are a guest, or the claims cannot tell.
    Guest,
}

impl Refusal {
    /// Reason code for the audit log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Disabled => "user.disabled",
            Self::Unknown => "user.unknown",
            Self::Guest => "user.guest",
        }
    }
}

/// Why the sync failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The vault.
    #[error(transparent)]
    Vault(VaultError),
}

impl From<VaultError> for SyncError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Query(error) => error.into(),
            error => Self::Vault(error),
        }
    }
}

impl From<diesel::result::Error> for SyncError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What one sign-in brings.
#[derive(Clone, Debug)]
pub struct SyncInput {
    /// The verified sign-in.
    pub sign_in: SignIn,
    /// Group object ids from the claim, or from Graph on overage; `None`: not known, keep.
    pub groups: Option<BTreeSet<String>>,
    /// Who called, for the audit event.
    pub client: ClientInfo,
    /// Request id, for the audit event.
    pub request_id: String,
}

/// Writes the user, their groups, roles and grant, and the audit event, in one transaction that
/// runs to its end even if the caller goes away.
///
/// # Errors
/// [`SyncError`]; nothing is written then.
pub async fn sync(state: &AppState, input: SyncInput) -> Result<SyncOutcome, SyncError> {
    let state = state.clone();
    to_end(async move {
        let mut conn = state.db.conn().await?;
        let outcome = write_transaction!(conn, async |conn| sync_in_txn(&state, conn, &input).await)?;
        state.counts.clear();
        state.jobs.wake(jobs::REFRESH);
        if let SyncOutcome::SignedIn { user, created, groups } = &outcome {
            let synced = Synced { user: User::clone(user), created: *created, groups: groups.clone() };
            hooks::spawn(&state, synced);
        }
        Ok(outcome)
    })
    .await
}

async fn sync_in_txn(state: &AppState, conn: &mut DbConn, input: &SyncInput) -> Result<SyncOutcome, SyncError> {
    let identity = &input.sign_in.identity;
    let known = User::find_by_identity(conn, &identity.realm, &identity.subject).await?;
    if let Some(refusal) = refusal(&state.config.sync, known.as_ref(), &input.sign_in.claims) {
        let subject = known.map(|user| (user.id, user.upn));
        audit_refusal(state, conn, input, subject, refusal).await?;
        return Ok(SyncOutcome::Refused(refusal));
    }
    if known.as_ref().is_some_and(|user| user.has_role(ADMIN)) {
        // The provider may take the role, also from the last administrator; acts here are to know of it.
        acts::lock(conn).await?;
    }
    let now = state.shared_now();
    let mut fresh = new_user(&state.config, identity, &input.sign_in.claims, now);
    if let Some(known) = known.as_ref().filter(|_| state.config.directory_sync_interval.is_some()) {
        fresh.keep_untold(known);
    }
    let user = fresh.upsert(conn).await?;
    sync_roles(state, conn, &user, input).await?;
    let groups = sync_groups(state, conn, &user, input).await?;
    let resource = if state.oidc.is_entra() { tokens::GRAPH } else { tokens::PROVIDER };
    let config = &state.config.tokens;
    let tokens = input.sign_in.tokens.by_clock_ahead(state.database_clock.ahead());
    tokens::store_grant(conn, config, &user.id, resource, &tokens, state.clock.now()).await?;
    let user = User::find(conn, &user.id).await?.unwrap_or(user);
    audit_sign_in(state, conn, input, known.as_ref(), &user).await?;
    if let Some(known) = &known {
        audit_changes(state, conn, input, &user, changes(known, &user, &groups)).await?;
    }
    Ok(SyncOutcome::SignedIn { created: known.is_none(), user: Box::new(user), groups })
}

fn refusal(config: &SyncConfig, known: Option<&User>, claims: &Claims) -> Option<Refusal> {
    if known.is_some_and(|user| !user.is_active()) {
        return Some(Refusal::Disabled);
    }
    if known.is_none() && !config.create_new_users {
        return Some(Refusal::Unknown);
    }
    // E-04: with the policy on, a token that does not tell is refused too.
    if config.block_guest_users && claims.is_guest() != Some(false) {
        return Some(Refusal::Guest);
    }
    None
}

/// Claims that the profile shows: harmless, and of use to whoever asks why.
const SHOWN_CLAIMS: [&str; 14] = [
    "ver",
    "iss",
    "tid",
    "oid",
    "sub",
    "preferred_username",
    "upn",
    "name",
    "given_name",
    "family_name",
    "email",
    "acct",
    "roles",
    "auth_time",
];

fn new_user(config: &Config, identity: &IdentityKey, claims: &Claims, now: chrono::NaiveDateTime) -> NewUser {
    let mapped = |column: TextColumn| {
        let claim = config.sync.claim_mapping.iter().find(|(mapped, _)| *mapped == column);
        claim.and_then(|(_, claim)| claims.text(claim))
    };
    let text = |column: TextColumn, standard: Option<&str>| {
        clean(&mapped(column).or_else(|| standard.map(str::to_owned)).unwrap_or_default())
    };
    let is_external = config
        .sync
        .boolean_claim_mapping
        .iter()
        .find(|(column, _)| *column == BooleanColumn::IsExternal)
        .and_then(|(_, claim)| claims.boolean(claim))
        .unwrap_or(false);
    let upn = clean(claims.upn().unwrap_or(&identity.subject));
    let display_name = text(TextColumn::DisplayName, claims.name());
    let email = text(TextColumn::Email, claims.email());
    let shown: serde_json::Map<String, serde_json::Value> = claims
        .raw()
        .iter()
        .filter(|(name, _)| SHOWN_CLAIMS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    NewUser {
        id: new_id(),
        realm: identity.realm.clone(),
        subject: identity.subject.clone(),
        upn_fold: upn.to_lowercase(),
        upn,
        name_fold: display_name.to_lowercase(),
        display_name,
        email_fold: email.to_lowercase(),
        email,
        given_name: text(TextColumn::GivenName, claims.given_name()),
        family_name: text(TextColumn::FamilyName, claims.family_name()),
        job_title: text(TextColumn::JobTitle, None),
        department: text(TextColumn::Department, None),
        is_external,
        user_type: if claims.is_guest() == Some(true) { "guest" } else { "member" }.to_owned(),
        status: "active".to_owned(),
        claims: serde_json::Value::Object(shown).to_string(),
        created_at: now,
        last_sign_in_at: now,
        synced_at: now,
    }
}

/// Text from a provider as it is stored: no NUL (PostgreSQL refuses it), bounded.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(512).collect::<String>().trim().to_owned()
}

async fn sync_roles(state: &AppState, conn: &mut DbConn, user: &User, input: &SyncInput) -> Result<(), SyncError> {
    let now = state.shared_now();
    let app_roles = input.sign_in.claims.roles().iter().map(|role| clean(role).to_lowercase()).collect();
    set_app_roles(conn, &user.id, &app_roles).await?;
    let rules = role_mappings::rules(state, conn).await?;
    if let Some(roles) = provider_roles(&rules, input) {
        set_provider_roles(conn, &user.id, &roles, now).await?;
    }
    if state.config.sync.admin_users.contains(&input.sign_in.identity) {
        grant_role(conn, &user.id, ADMIN, RoleSource::Local, "ADMIN_USERS", now).await?;
    }
    Ok(())
}

/// Roles by the mappings. `None` when some rule names a group and the groups are not known: then the
/// last known roles stay.
fn provider_roles(rules: &[RoleRule], input: &SyncInput) -> Option<BTreeSet<String>> {
    let app_roles = input.sign_in.claims.roles();
    if input.groups.is_none() && rules.iter().any(RoleRule::is_group) {
        return None;
    }
    let groups = input.groups.as_ref();
    let holds = |value: &str| {
        app_roles.iter().any(|role| role.eq_ignore_ascii_case(value))
            || groups.is_some_and(|groups| groups.iter().any(|group| group.eq_ignore_ascii_case(value)))
    };
    Some(rules.iter().filter(|rule| holds(&rule.value)).map(|rule| rule.role.clone()).collect())
}

/// Groups that a sync added and removed, by object id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupChanges {
    /// They came into these.
    pub added: Vec<String>,
    /// They left these.
    pub removed: Vec<String>,
}

impl GroupChanges {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

async fn sync_groups(
    state: &AppState,
    conn: &mut DbConn,
    user: &User,
    input: &SyncInput,
) -> Result<GroupChanges, SyncError> {
    let Some(groups) = input.groups.as_ref().filter(|_| state.config.sync.mirror_groups) else {
        return Ok(GroupChanges::default());
    };
    let (added, removed) = set_memberships(conn, &user.id, &user.realm, groups, state.shared_now()).await?;
    Ok(GroupChanges { added, removed })
}

/// Group ids of a sign-in: from the claim, from Graph on overage (all pages, E-25), or `None` when
/// the claim is absent or Graph does not answer.
pub async fn resolve_groups(state: &AppState, sign_in: &SignIn) -> Option<BTreeSet<String>> {
    let name = &state.config.sync.groups_claim;
    if name.is_empty() {
        return None;
    }
    match sign_in.claims.groups(name) {
        GroupsClaim::Absent => None,
        GroupsClaim::Listed(groups) => Some(groups.iter().map(|group| clean(group)).collect()),
        GroupsClaim::Overage => {
            let graph = state.graph.as_ref()?;
            match graph.transitive_member_of(&sign_in.tokens.access_token).await {
                Ok(groups) => Some(groups.into_iter().map(|group| group.id).collect()),
                Err(error) => {
                    tracing::warn!(reason = error.reason(), "groups are kept as they were: Graph did not list them");
                    None
                }
            }
        }
    }
}

async fn audit_sign_in(
    state: &AppState,
    conn: &mut DbConn,
    input: &SyncInput,
    known: Option<&User>,
    user: &User,
) -> Result<(), SyncError> {
    let mut detail = Vec::new();
    if known.is_none() {
        detail.push(("first_sign_in", "true".to_owned()));
    }
    if !input.sign_in.auth_methods.is_empty() {
        detail.push(("methods", clean(&input.sign_in.auth_methods.join(" "))));
    }
    if input.groups.is_none() {
        detail.push(("groups", "kept as they were".to_owned()));
    }
    audit(state, conn, input, "sign_in.succeeded", user, detail).await
}

/// An event of its own, so that one can look for what the provider changed; none without a change.
async fn audit_changes(
    state: &AppState,
    conn: &mut DbConn,
    input: &SyncInput,
    user: &User,
    changes: Vec<(&'static str, String)>,
) -> Result<(), SyncError> {
    if changes.is_empty() {
        return Ok(());
    }
    audit(state, conn, input, "user.synced", user, changes).await
}

async fn audit(
    state: &AppState,
    conn: &mut DbConn,
    input: &SyncInput,
    kind: &'static str,
    user: &User,
    detail: Vec<(&'static str, String)>,
) -> Result<(), SyncError> {
    let who = (user.id.clone(), user.upn.clone());
    let event = NewAuditEvent {
        kind,
        actor: Some(who.clone()),
        subject: Some(who),
        address: input.client.address.to_string(),
        request_id: input.request_id.clone(),
        detail,
    };
    Ok(event.insert(conn, state.shared_now()).await?)
}

/// What this sync changed about the person: each column from what to what, and the groups.
pub(crate) fn changes(known: &User, user: &User, groups: &GroupChanges) -> Vec<(&'static str, String)> {
    let external = |user: &User| user.is_external.to_string();
    let pairs = [
        ("upn", known.upn.clone(), user.upn.clone()),
        ("display_name", known.display_name.clone(), user.display_name.clone()),
        ("email", known.email.clone(), user.email.clone()),
        ("given_name", known.given_name.clone(), user.given_name.clone()),
        ("family_name", known.family_name.clone(), user.family_name.clone()),
        ("user_type", known.user_type.clone(), user.user_type.clone()),
        ("job_title", known.job_title.clone(), user.job_title.clone()),
        ("department", known.department.clone(), user.department.clone()),
        ("is_external", external(known), external(user)),
        ("roles", known.roles.clone(), user.roles.clone()),
    ];
    let columns = pairs.into_iter().filter(|(_, old, new)| old != new);
    let columns = columns.map(|(name, old, new)| (name, changed_from(&old, &new)));
    let lists = [("groups_added", &groups.added), ("groups_removed", &groups.removed)];
    let lists = lists.into_iter().filter(|(_, ids)| !ids.is_empty()).map(|(name, ids)| (name, listed(ids)));
    columns.chain(lists).collect()
}

/// The first few of many ids, and how many there are.
fn listed(ids: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = ids.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match ids.len().checked_sub(SHOWN) {
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

async fn audit_refusal(
    state: &AppState,
    conn: &mut DbConn,
    input: &SyncInput,
    subject: Option<(String, String)>,
    refusal: Refusal,
) -> Result<(), SyncError> {
    let upn = clean(input.sign_in.claims.upn().unwrap_or_default());
    let event = NewAuditEvent {
        kind: "sign_in.failed",
        actor: None,
        subject,
        address: input.client.address.to_string(),
        request_id: input.request_id.clone(),
        detail: vec![("reason", refusal.reason().to_owned()), ("upn", upn)],
    };
    Ok(event.insert(conn, state.shared_now()).await?)
}
