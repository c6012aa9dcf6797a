//! From verified claims to a user with groups, roles and a grant, in one transaction.
//!
//! Used by sign-in and by each refresh that brings a new ID token. The identity is (tenant, object id) or (issuer,
//! subject), never a name or an address. App roles are what the token says, always; groups
//! are what the token or Microsoft Graph says, and stay as they were, for a while, only when neither can be read.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::NaiveDateTime;
use entra::oidc::{Claims, GroupsClaim, SignIn};
use entra::plain::plain;
use secrecy::SecretString;
use store::models::{
    ADMIN, Grant, GroupChanges, NewAuditEvent, NewUser, RoleReason, RoleSource, User, changed_from, grant_role, new_id,
    revoke_granted_by, set_app_roles, set_memberships, set_role_reasons,
};
use store::rule::guid;
use store::{DbConn, DbError, lock, rfc3339, to_end, write_transaction};

use crate::config::{BooleanColumn, Config, IdentityKey, SyncConfig, TextColumn, fold};
use crate::jobs::board::REFRESH;
use crate::observe::client::ClientInfo;
use crate::people::actor::end_everything;
use crate::people::after_sync::{self, Synced};
use crate::people::refusal::Refusal;
use crate::people::role_mappings::{self, ADMIN_USERS, Told};
use crate::state::AppState;
use crate::tokens::{self, VaultError};

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
    /// Their groups, by [`resolve_groups`].
    pub groups: Groups,
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
        state.jobs.wake(REFRESH);
        if let SyncOutcome::SignedIn { user, created, groups } = &outcome {
            let occasion = if *created { after_sync::Occasion::FirstSignIn } else { after_sync::Occasion::SignIn };
            let synced = Synced { user: User::clone(user), occasion, groups: groups.clone() };
            after_sync::spawn(&state, synced);
        }
        Ok(outcome)
    })
    .await
}

async fn sync_in_txn(state: &AppState, conn: &mut DbConn, input: &SyncInput) -> Result<SyncOutcome, SyncError> {
    lock::role_rules_shared(conn).await?;
    let SignIn { identity, claims, tokens, .. } = &input.sign_in;
    let known = User::find_by_identity(conn, &identity.realm, &identity.subject).await?;
    if let Some(refusal) = refusal(&state.config.sync, known.as_ref(), claims) {
        let subject = known.map(|user| (user.id, user.upn));
        audit_refusal(state, conn, input, subject, refusal).await?;
        return Ok(SyncOutcome::Refused(refusal));
    }
    let now = state.shared_now();
    let mut fresh = new_user(&state.config, identity, claims, now);
    if let Some(known) = known.as_ref().filter(|_| state.config.directory_sync_interval.is_some()) {
        fresh.keep_untold(known);
    }
    let settled = settle(&state.config.sync, known.as_ref(), &input.groups, now);
    let (user, groups) = write_person(state, conn, fresh, claims, &settled).await?;
    let resource = if state.oidc.is_entra() { tokens::GRAPH } else { tokens::PROVIDER };
    let tokens = tokens.by_clock_ahead(state.database_clock.ahead());
    tokens::store_grant(conn, &state.config.tokens, &user.id, resource, &tokens, state.clock.now()).await?;
    audit_sign_in(state, conn, input, known.as_ref(), &user, &settled).await?;
    if let Some(known) = &known {
        audit_changes(state, conn, input, &user, changes(known, &user, &groups)).await?;
    }
    Ok(SyncOutcome::SignedIn { created: known.is_none(), user: Box::new(user), groups })
}

/// The part that every sync shares: the row, app roles and groups, and the roles that follow from them.
async fn write_person(
    state: &AppState,
    conn: &mut DbConn,
    mut fresh: NewUser,
    claims: &Claims,
    settled: &Settled,
) -> Result<(User, GroupChanges), SyncError> {
    fresh.groups_synced_at = settled.synced_at;
    fresh.groups_kept = settled.is_kept;
    let user = fresh.upsert(conn).await?;
    sync_roles(state, conn, &user, claims, settled).await?;
    let groups = sync_groups(state, conn, &user, settled).await?;
    let user = User::find(conn, &user.id).await?.unwrap_or(user);
    Ok((user, groups))
}

fn refusal(config: &SyncConfig, known: Option<&User>, claims: &Claims) -> Option<Refusal> {
    if known.is_some_and(|user| !user.is_active()) {
        return Some(Refusal::Disabled);
    }
    if known.is_none() && !config.create_new_users {
        return Some(Refusal::Unknown);
    }
    // With the policy on, a token that does not tell is refused too.
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
    let is_external = is_external(&config.sync, claims).unwrap_or(false);
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
        roles_synced_at: Some(now),
        ..NewUser::default()
    }
}

/// What the claims say of the column; `None` when nothing.
fn is_external(config: &SyncConfig, claims: &Claims) -> Option<bool> {
    let mapped = config.boolean_claim_mapping.iter().find(|(column, _)| *column == BooleanColumn::IsExternal);
    mapped.and_then(|(_, claim)| claims.boolean(claim))
}

/// Text from a provider as it is stored: plain and bounded.
pub(crate) fn clean(text: &str) -> String {
    plain(text).chars().take(512).collect::<String>().trim().to_owned()
}

async fn sync_roles(
    state: &AppState,
    conn: &mut DbConn,
    user: &User,
    claims: &Claims,
    settled: &Settled,
) -> Result<(), SyncError> {
    let now = state.shared_now();
    let app_roles = folded(&claims.roles());
    set_app_roles(conn, &user.id, &app_roles).await?;
    let rules = role_mappings::rules(state, conn).await?;
    let groups = settled.told.as_ref().map(folded);
    let told = Told { realm: &user.realm, app_roles: Some(&app_roles), groups: groups.as_ref() };
    let held = RoleReason::list_by_user(conn, &user.id).await?;
    set_role_reasons(conn, &user.id, &held, &role_mappings::reasons(&rules, told, &held), now).await?;
    let is_listed = state.config.sync.admin_users.iter().any(|listed| user.is(&listed.realm, &listed.subject));
    if is_listed {
        grant_role(conn, &user.id, ADMIN, RoleSource::Local, ADMIN_USERS, now).await?;
    } else if user.has_role(ADMIN) {
        revoke_granted_by(conn, &user.id, ADMIN, ADMIN_USERS).await?;
    }
    Ok(())
}

/// Groups or app roles as rules compare them. What would not be stored as it is counts as none: nothing may become the
/// name of something else by being tidied up.
pub(crate) fn folded<'a>(values: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
    values.into_iter().filter(|value| is_clean(value)).map(|value| fold(value)).collect()
}

fn is_clean(value: &str) -> bool {
    !value.is_empty() && clean(value) == value
}

/// What there is to be known of somebody's groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// They are in these and in no others.
    Told(BTreeSet<String>),
    /// They cannot be read, for this reason: those that are known stay for `GROUPS_KEEP_FOR`.
    Unreadable(&'static str),
}

/// What becomes of somebody's groups.
struct Settled {
    /// They are in these; `None`: those that are known stay.
    told: Option<BTreeSet<String>>,
    /// When they were last told.
    synced_at: Option<NaiveDateTime>,
    /// Whether they could not be read this time.
    is_kept: bool,
    /// For the audit log, when they could not.
    note: Option<String>,
}

/// Groups that cannot be read stay as they were until `GROUPS_KEEP_FOR` after they last were told; then there are none.
fn settle(config: &SyncConfig, known: Option<&User>, groups: &Groups, now: NaiveDateTime) -> Settled {
    let reason = match groups {
        Groups::Told(groups) => {
            return Settled { told: Some(groups.clone()), synced_at: Some(now), is_kept: false, note: None };
        }
        Groups::Unreadable(reason) => reason,
    };
    let last_told = known.and_then(User::groups_told_at);
    match last_told {
        Some(at) if now < kept_until(config, at) => Settled {
            told: None,
            synced_at: Some(at),
            is_kept: true,
            note: Some(format!("kept as they were at {}: {reason}", rfc3339(at))),
        },
        _ => Settled {
            told: Some(BTreeSet::new()),
            synced_at: None,
            is_kept: true,
            note: Some(format!("not known: {reason}")),
        },
    }
}

/// The end of `GROUPS_KEEP_FOR` for groups that were last told at `told_at`.
#[must_use]
pub fn kept_until(config: &SyncConfig, told_at: NaiveDateTime) -> NaiveDateTime {
    let keep_for = chrono::Duration::from_std(config.groups_keep_for).unwrap_or(chrono::Duration::MAX);
    told_at.checked_add_signed(keep_for).unwrap_or(NaiveDateTime::MAX)
}

async fn sync_groups(
    state: &AppState,
    conn: &mut DbConn,
    user: &User,
    settled: &Settled,
) -> Result<GroupChanges, SyncError> {
    let Some(groups) = settled.told.as_ref().filter(|_| state.config.sync.mirror_groups) else {
        return Ok(GroupChanges::default());
    };
    let (added, removed) = set_memberships(conn, &user.id, &user.realm, groups, state.shared_now()).await?;
    Ok(GroupChanges { added, removed })
}

/// How long a sign-in, or a turn of the background, waits for Microsoft Graph to list groups.
const GRAPH_WAIT: Duration = Duration::from_secs(4);

/// The groups of a sign-in: from the claim, or from Microsoft Graph when the claim is absent or too long (all pages).
pub async fn resolve_groups(state: &AppState, sign_in: &SignIn) -> Groups {
    match groups_in_token(state, &sign_in.claims) {
        Some(groups) => groups,
        None => ask_graph(state, &sign_in.tokens.access_token).await,
    }
}

/// The groups as far as they take no call; `None`: Microsoft Graph is to be asked.
fn groups_in_token(state: &AppState, claims: &Claims) -> Option<Groups> {
    let sync = &state.config.sync;
    if sync.groups_claim.is_empty() {
        return Some(Groups::Told(BTreeSet::new()));
    }
    match claims.groups(&sync.groups_claim) {
        GroupsClaim::Listed(groups) => {
            let groups = groups.into_iter().filter(|group| is_clean(group));
            // One group has one id, however its GUID is spelled.
            Some(Groups::Told(groups.map(|group| guid(&group).unwrap_or(group)).collect()))
        }
        _ if state.graph.is_some() => None,
        GroupsClaim::Overage => Some(Groups::Unreadable("groups.overage")),
        GroupsClaim::Absent if sync.groups_claim_emitted && !claims.is_partial() => Some(Groups::Told(BTreeSet::new())),
        GroupsClaim::Absent => Some(Groups::Unreadable("groups.claim_absent")),
    }
}

async fn ask_graph(state: &AppState, access_token: &SecretString) -> Groups {
    let Some(graph) = &state.graph else {
        return Groups::Unreadable("graph.off");
    };
    let reason = match tokio::time::timeout(GRAPH_WAIT, graph.transitive_member_of(access_token)).await {
        Ok(Ok(groups)) => return Groups::Told(groups.into_iter().map(|group| group.id).collect()),
        Ok(Err(error)) => error.reason(),
        Err(_) => "graph.slow",
    };
    tracing::warn!(reason, "somebody's groups could not be read: Microsoft Graph did not list them");
    Groups::Unreadable(reason)
}

/// A refresh of a grant that is stored, with the claims of the ID token that came along.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// Whose grant it is.
    pub user_id: String,
    /// The grant that was written.
    pub grant_id: String,
    /// Its version since then: another one means that there is newer news.
    pub version: i64,
    /// Verified, of the same person.
    pub claims: Claims,
    /// Scopes of the grant.
    pub scopes: Vec<String>,
    /// For Microsoft Graph, or for the provider.
    pub access_token: SecretString,
}

/// Takes over what a refresh tells of the person. What only a call can tell is fetched behind the scenes, a few people
/// at a time, so that nobody's refresh waits for it. The grant is safe already: whatever fails here is logged, and the
/// next refresh brings the news again.
pub(crate) async fn after_refresh(state: &AppState, refreshed: Refreshed) {
    if !refreshed.claims.tell_of_the_person(&state.config.sync.groups_claim) && state.oidc.is_entra() {
        return;
    }
    match groups_in_token(state, &refreshed.claims).filter(|_| state.oidc.is_entra()) {
        Some(groups) => logged(&refreshed.user_id, sync_refreshed(state, &refreshed, groups).await),
        None => {
            let state = state.clone();
            let tasks = state.tasks.clone();
            tasks.spawn(async move { after_calls(&state, refreshed).await });
        }
    }
}

/// [`after_refresh`] where the rest of the profile, or the groups, are to be asked for.
async fn after_calls(state: &AppState, mut refreshed: Refreshed) {
    let Ok(_turn) = state.profile_turns.acquire().await else { return };
    if state.shutdown.is_cancelled() {
        return;
    }
    let Refreshed { claims, scopes, access_token, .. } = &refreshed;
    match state.oidc.with_user_info(claims.clone(), scopes, access_token).await {
        Ok(claims) if !claims.is_partial() && claims.tell_of_the_person(&state.config.sync.groups_claim) => {
            refreshed.claims = claims;
        }
        Ok(_) => return,
        Err(error) => return tracing::warn!(user = %refreshed.user_id, %error, "what a refresh tells is dropped"),
    }
    let groups = match groups_in_token(state, &refreshed.claims) {
        Some(groups) => groups,
        None => ask_graph(state, &refreshed.access_token).await,
    };
    logged(&refreshed.user_id, sync_refreshed(state, &refreshed, groups).await);
}

fn logged(user_id: &str, outcome: Result<(), SyncError>) {
    if let Err(error) = outcome {
        tracing::error!(user = user_id, %error, "what a refresh tells of somebody could not be stored");
    }
}

async fn sync_refreshed(state: &AppState, refreshed: &Refreshed, groups: Groups) -> Result<(), SyncError> {
    let (state, refreshed) = (state.clone(), refreshed.clone());
    to_end(async move {
        let mut conn = state.db.conn().await?;
        let synced =
            write_transaction!(conn, async |conn| sync_refreshed_in_txn(&state, conn, &refreshed, &groups).await)?;
        if let Some((user, groups)) = synced {
            state.counts.clear();
            after_sync::spawn(&state, Synced { user, occasion: after_sync::Occasion::Refresh, groups });
        }
        Ok(())
    })
    .await
}

/// `None` when nothing has changed, or when somebody else has newer news: a sign-in, another refresh, a disable.
async fn sync_refreshed_in_txn(
    state: &AppState,
    conn: &mut DbConn,
    refreshed: &Refreshed,
    groups: &Groups,
) -> Result<Option<(User, GroupChanges)>, SyncError> {
    let Refreshed { user_id, grant_id, version, claims, .. } = refreshed;
    lock::role_rules_shared(conn).await?;
    lock::user(conn, user_id).await?;
    let is_newest = Grant::find(conn, grant_id).await?.is_some_and(|grant| grant.version == *version);
    let Some(known) = User::find(conn, user_id).await?.filter(|user| is_newest && user.is_active()) else {
        return Ok(None);
    };
    let now = state.shared_now();
    let identity = IdentityKey { realm: known.realm.clone(), subject: known.subject.clone() };
    let mut fresh = new_user(&state.config, &identity, claims, now);
    fresh.keep_all_untold(&known, claims.upn().is_some(), claims.is_guest().is_some());
    fresh.is_external = is_external(&state.config.sync, claims).unwrap_or(known.is_external);
    let settled = settle(&state.config.sync, Some(&known), groups, now);
    let (user, groups) = write_person(state, conn, fresh, claims, &settled).await?;
    let mut changes = changes(&known, &user, &groups);
    // Once, and not at every refresh while it lasts.
    let is_news =
        known.groups_kept != settled.is_kept || known.groups_synced_at.is_some() != settled.synced_at.is_some();
    changes.extend(settled.note.filter(|_| is_news).map(|note| ("groups", note)));
    let is_changed = !changes.is_empty();
    if is_changed {
        changes.push(("source", "refresh".to_owned()));
        by_system("user.synced", &user, changes).insert(conn, now).await?;
    }
    if state.config.sync.block_guest_users && claims.is_guest() == Some(true) {
        let sessions = end_everything(conn, &user.id).await?;
        let detail = vec![("reason", Refusal::Guest.reason().to_owned()), ("sessions_ended", sessions.to_string())];
        by_system("user.signed_out", &user, detail).insert(conn, now).await?;
    }
    Ok(is_changed.then_some((user, groups)))
}

fn by_system(kind: &'static str, user: &User, detail: Vec<(&'static str, String)>) -> NewAuditEvent {
    NewAuditEvent::by_system(kind, Some((user.id.clone(), user.upn.clone())), detail)
}

/// People whose groups lapse in one look.
const BATCH: i64 = 200;

/// Takes the groups from everybody who has not had them told for `GROUPS_KEEP_FOR`, and the roles that they gave;
/// returns from how many.
///
/// # Errors
/// [`SyncError`]; those before are done.
pub async fn lapse_groups(state: &AppState) -> Result<usize, SyncError> {
    let mut lapsed = 0;
    while !state.shutdown.is_cancelled() {
        let mut conn = state.db.conn().await?;
        state.measure_database_clock(&mut conn).await?;
        let before = state.ago(state.config.sync.groups_keep_for);
        let users = User::list_with_lapsed_groups(&mut conn, before, BATCH).await?;
        if users.is_empty() {
            break;
        }
        for user in users {
            let done = write_transaction!(conn, async |conn| lapse_in_txn(state, conn, &user.id, before).await)?;
            lapsed += usize::from(done);
        }
        state.counts.clear();
    }
    Ok(lapsed)
}

async fn lapse_in_txn(
    state: &AppState,
    conn: &mut DbConn,
    user_id: &str,
    before: NaiveDateTime,
) -> Result<bool, SyncError> {
    lock::role_rules_shared(conn).await?;
    lock::user(conn, user_id).await?;
    let is_due = |user: &User| user.groups_kept && user.groups_synced_at.is_some_and(|at| at <= before);
    let Some(known) = User::find(conn, user_id).await?.filter(is_due) else {
        return Ok(false);
    };
    let now = state.shared_now();
    User::forget_groups(conn, user_id).await?;
    let held = RoleReason::list_by_user(conn, user_id).await?;
    let left = held.iter().filter(|reason| !reason.is_by_group()).cloned().collect();
    set_role_reasons(conn, user_id, &held, &left, now).await?;
    let (_, removed) = set_memberships(conn, user_id, &known.realm, &BTreeSet::new(), now).await?;
    let user = User::find(conn, user_id).await?.unwrap_or_else(|| known.clone());
    let mut detail = changes(&known, &user, &GroupChanges { added: Vec::new(), removed });
    detail.push(("groups", "not known for longer than GROUPS_KEEP_FOR".to_owned()));
    detail.push(("source", "time".to_owned()));
    by_system("user.synced", &user, detail).insert(conn, now).await?;
    Ok(true)
}

async fn audit_sign_in(
    state: &AppState,
    conn: &mut DbConn,
    input: &SyncInput,
    known: Option<&User>,
    user: &User,
    settled: &Settled,
) -> Result<(), SyncError> {
    let mut detail = Vec::new();
    if known.is_none() {
        detail.push(("first_sign_in", "true".to_owned()));
        // Later ones record what they change; this one, what it begins with.
        detail.extend((!user.roles.is_empty()).then(|| ("roles", user.roles.clone())));
    }
    if !input.sign_in.auth_methods.is_empty() {
        detail.push(("methods", clean(&input.sign_in.auth_methods.join(" "))));
    }
    detail.extend(settled.note.clone().map(|note| ("groups", note)));
    audit(state, conn, input, "sign_in.succeeded", user, detail).await
}

/// An event of its own, so that one can look for what the provider changed; none without a change.
async fn audit_changes(
    state: &AppState,
    conn: &mut DbConn,
    input: &SyncInput,
    user: &User,
    mut changes: Vec<(&'static str, String)>,
) -> Result<(), SyncError> {
    if changes.is_empty() {
        return Ok(());
    }
    changes.push(("source", "sign-in".to_owned()));
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
