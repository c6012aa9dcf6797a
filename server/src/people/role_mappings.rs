//! Which groups and app roles give which roles: the rules of `ROLE_MAPPING` and those that administrators add.
//!
//! Every role from the provider is there for a reason, which is kept: the rules that give it. A sync replaces the reasons
//! of one person, by what the token says; a change of the rules replaces those of everybody, by what is kept of the last
//! sync. A role without a reason goes in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use store::models::{
    ADMIN, NewAuditEvent, RoleMapping, RoleReason, RoleSource, User, changed_from, delete_memberships,
    delete_other_reasons, insert_reasons, list_granted_by, list_role_holders, list_unreasoned, revoke_granted_by,
    set_provider_role_of_many,
};
use store::{DbConn, DbError, lock, to_end, write_transaction};

use crate::config::{Holdings, RoleRule};
use crate::people::actor::{self, ActError, ActResult, By};
use crate::state::AppState;

/// Who granted what the setting of the same name grants.
pub const ADMIN_USERS: &str = "ADMIN_USERS";

/// A mapping that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingChange {
    /// Who gets which role.
    pub rule: RoleRule,
    /// Whether it comes.
    pub is_added: bool,
}

/// What a change of the rules does to those who are known here; others feel it at their next sign-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Role by role.
    pub changes: Vec<RoleChange>,
}

/// Who gains or loses one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleChange {
    /// The role.
    pub role: String,
    /// Whether it comes.
    pub is_gained: bool,
    /// Ids of those to whom the provider now gives it, or gives it no more.
    pub provider: Vec<String>,
    /// Those among them who gain or lose it altogether, since it is not granted to them here.
    pub effective: Vec<String>,
}

impl RoleChange {
    /// Nobody gains or loses `role`.
    #[must_use]
    pub fn none(role: &str) -> Self {
        Self { role: role.to_owned(), is_gained: false, provider: Vec::new(), effective: Vec::new() }
    }
}

impl Effect {
    /// How many people gain, or lose, a role altogether.
    #[must_use]
    pub fn count(&self, is_gained: bool) -> usize {
        self.changes.iter().filter(|change| change.is_gained == is_gained).map(|change| change.effective.len()).sum()
    }

    fn takes_from(&self, user_id: &str, role: &str) -> bool {
        let takes = |change: &&RoleChange| !change.is_gained && change.role == role;
        self.changes.iter().filter(takes).any(|change| change.effective.iter().any(|id| id == user_id))
    }
}

/// All rules: those of the setting, then those of the table.
///
/// # Errors
/// [`DbError`].
pub async fn rules(state: &AppState, conn: &mut DbConn) -> Result<Vec<RoleRule>, DbError> {
    Ok(rules_with(state, &RoleMapping::list(conn).await?))
}

/// The rules of the setting, then those of `added`, which the table holds.
#[must_use]
pub fn rules_with(state: &AppState, added: &[RoleMapping]) -> Vec<RoleRule> {
    let added = added.iter().filter_map(RoleMapping::rule);
    state.config.sync.role_mapping.iter().cloned().chain(added).collect()
}

/// The roles that can be granted here: `admin` and what `rules` give.
#[must_use]
pub fn grantable_roles(rules: &[RoleRule]) -> BTreeSet<String> {
    rules.iter().map(|rule| rule.role.clone()).chain([ADMIN.to_owned()]).collect()
}

/// What a token says that a person holds, each part `None` where it says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Their tenant, or the issuer.
    pub realm: &'a str,
    /// App roles, as [`crate::config::fold`] leaves them.
    pub app_roles: Option<&'a BTreeSet<String>>,
    /// Groups, likewise.
    pub groups: Option<&'a BTreeSet<String>>,
}

/// Why a person has roles: the rules that what is told fits. About what is not told, the reasons `held` so far stay, as
/// far as their rules still stand.
#[must_use]
pub fn reasons(rules: &[RoleRule], told: Told<'_>, held: &BTreeSet<RoleReason>) -> BTreeSet<RoleReason> {
    let nothing = BTreeSet::new();
    let holdings = Holdings {
        realm: told.realm,
        app_roles: told.app_roles.unwrap_or(&nothing),
        groups: told.groups.unwrap_or(&nothing),
    };
    let is_told = |rule: &RoleRule| if rule.condition.is_group() { told.groups } else { told.app_roles }.is_some();
    let is_given = |rule: &&RoleRule| match is_told(rule) {
        true => rule.condition.fits(holdings),
        false => held.contains(&RoleReason::of(rule)),
    };
    rules.iter().filter(is_given).map(RoleReason::of).collect()
}

/// Why nothing is written: the transaction is rolled back.
enum Undone {
    Failed(ActError),
    Refused(ActResult),
    /// It was a dry run.
    Tried(Effect),
}

impl<E: Into<ActError>> From<E> for Undone {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// What the change would do now, or why it would be refused: it is made and taken back, so that a dry run counts what
/// then happens.
///
/// # Errors
/// [`ActError`].
pub async fn try_out(state: &AppState, change: MappingChange, by: By) -> Result<Result<Effect, ActResult>, ActError> {
    match make(state, change, by, true).await {
        Err(Undone::Tried(effect)) => Ok(Ok(effect)),
        Err(Undone::Refused(result)) => Ok(Err(result)),
        Err(Undone::Failed(error)) => Err(error),
        Ok(()) => Ok(Err(ActResult::Done)),
    }
}

/// Makes the change, gives or takes the role of everybody it concerns, and records it, in one transaction that runs to
/// its end even if the caller goes away.
///
/// # Errors
/// [`ActError`]; nothing is done then.
pub async fn apply(state: &AppState, change: MappingChange, by: By) -> Result<ActResult, ActError> {
    match make(state, change, by, false).await {
        Ok(()) | Err(Undone::Tried(_)) => Ok(ActResult::Done),
        Err(Undone::Refused(result)) => Ok(result),
        Err(Undone::Failed(error)) => Err(error),
    }
}

async fn make(state: &AppState, change: MappingChange, by: By, is_dry_run: bool) -> Result<(), Undone> {
    let state = state.clone();
    to_end(async move {
        let mut conn = state.db.conn().await?;
        write_transaction!(conn, async |conn| {
            let (before, effect) = make_in_txn(&state, conn, &change, &by).await?;
            match is_dry_run {
                true => Err(Undone::Tried(effect)),
                false => Ok(record(&state, conn, &change, &by, before, &effect).await?),
            }
        })?;
        state.counts.clear();
        Ok(())
    })
    .await
}

async fn make_in_txn(
    state: &AppState,
    conn: &mut DbConn,
    change: &MappingChange,
    by: &By,
) -> Result<(People, Effect), Undone> {
    actor::begin(state, conn, by).await?;
    let (value, role) = (change.rule.condition.key(), change.rule.role.clone());
    let changed = if change.is_added {
        let created_by = by.actor.1.clone();
        RoleMapping { value, role, created_by, created_at: state.shared_now() }.insert(conn).await?
    } else {
        RoleMapping::delete(conn, &value, &role).await?
    };
    if !changed {
        return Err(Undone::Refused(ActResult::Unchanged));
    }
    let done = reconcile(state, conn).await?;
    match refusal(conn, change, &done.1, by).await? {
        Some(refused) => Err(Undone::Refused(refused)),
        None => Ok(done),
    }
}

/// Why the change, which is made, is to be taken back: whoever makes it stays an administrator, so that one is left.
async fn refusal(
    conn: &mut DbConn,
    change: &MappingChange,
    effect: &Effect,
    by: &By,
) -> Result<Option<ActResult>, DbError> {
    if change.is_added || change.rule.role != ADMIN {
        return Ok(None);
    }
    if effect.takes_from(&by.actor.0, ADMIN) {
        return Ok(Some(ActResult::NotOneself));
    }
    let actor = User::find(conn, &by.actor.0).await?;
    let is_admin = actor.is_some_and(|user| user.is_active() && user.has_role(ADMIN));
    Ok((!is_admin).then_some(ActResult::LastAdministrator))
}

async fn record(
    state: &AppState,
    conn: &mut DbConn,
    change: &MappingChange,
    by: &By,
    before: People,
    effect: &Effect,
) -> Result<(), DbError> {
    let MappingChange { rule, is_added } = change;
    let mut detail = vec![("mapping", format!("{} → {}", rule.condition, rule.role))];
    let counts = [("gained", effect.count(true)), ("lost", effect.count(false))];
    let expected = if *is_added { "gained" } else { "lost" };
    let told = counts.into_iter().filter(|(name, count)| *name == expected || *count > 0);
    detail.extend(told.map(|(name, count)| (name, count.to_string())));
    let kind = if *is_added { "mapping.added" } else { "mapping.removed" };
    let event = by.event(conn, kind, None, detail).await?;
    record_each(state, conn, before, &event).await?;
    Ok(event.insert(conn, state.shared_now()).await?)
}

/// People by id, as they were.
type People = BTreeMap<String, User>;

/// An event on each of these people, in the name of whoever is behind `cause`, with the roles that they had and have.
async fn record_each(
    state: &AppState,
    conn: &mut DbConn,
    before: People,
    cause: &NewAuditEvent,
) -> Result<(), DbError> {
    let now = state.shared_now();
    for after in list_people(conn, before.keys()).await?.into_values() {
        let roles = before.get(&after.id).map(|user| changed_from(&user.roles, &after.roles)).unwrap_or_default();
        let event = NewAuditEvent {
            kind: "roles.changed",
            subject: Some((after.id, after.upn)),
            detail: vec![("source", cause.kind.to_owned()), ("roles", roles)],
            ..cause.clone()
        };
        event.insert(conn, now).await?;
    }
    Ok(())
}

async fn list_people<'a>(conn: &mut DbConn, ids: impl Iterator<Item = &'a String>) -> Result<People, DbError> {
    const CHUNK: usize = 500;
    let ids: Vec<String> = ids.cloned().collect();
    let mut people = People::new();
    for chunk in ids.chunks(CHUNK) {
        people.extend(User::list_by_ids(conn, chunk).await?.into_iter().map(|user| (user.id.clone(), user)));
    }
    Ok(people)
}

/// Brings the roles of everybody in step with the rules as they are now; returns what that changed, and those whose
/// roles it changed as they were before. Run it in a transaction that holds [`lock::role_rules`].
async fn reconcile(state: &AppState, conn: &mut DbConn) -> Result<(People, Effect), DbError> {
    let sync = &state.config.sync;
    let rules = rules(state, conn).await?;
    let reads_groups = !sync.groups_claim.is_empty();
    delete_other_reasons(conn, &rules, !reads_groups).await?;
    // Who fits is known as far as it is kept. Where memberships are not, a new rule waits for the next sync.
    let knows = |rule: &&RoleRule| !rule.condition.is_group() || (reads_groups && sync.mirror_groups);
    for rule in rules.iter().filter(knows) {
        insert_reasons(conn, rule).await?;
    }
    let [lost, gained] = list_unreasoned(conn).await?;
    let mut effect = Effect::default();
    for (is_gained, pairs) in [(false, lost), (true, gained)] {
        effect.changes.extend(by_role(conn, is_gained, pairs).await?);
    }
    let people = list_people(conn, effect.changes.iter().flat_map(|change| &change.effective)).await?;
    for change in &effect.changes {
        let now = state.shared_now();
        set_provider_role_of_many(conn, &change.provider, &change.role, change.is_gained, now).await?;
    }
    Ok((people, effect))
}

/// The changes of (user id, role), role by role.
async fn by_role(conn: &mut DbConn, is_gained: bool, pairs: Vec<(String, String)>) -> Result<Vec<RoleChange>, DbError> {
    let mut roles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (user_id, role) in pairs {
        roles.entry(role).or_default().insert(user_id);
    }
    let mut changes = Vec::with_capacity(roles.len());
    for (role, provider) in roles {
        let local = list_role_holders(conn, &role, RoleSource::Local).await?;
        let effective = provider.difference(&local).cloned().collect();
        changes.push(RoleChange { role, is_gained, provider: provider.into_iter().collect(), effective });
    }
    Ok(changes)
}

/// Brings everybody in step with the settings of this start, before anybody is served.
///
/// Above all with `ROLE_MAPPING` and `ADMIN_USERS`. Any number of instances may do so at once: whoever comes second finds
/// nothing to do.
///
/// # Errors
/// [`DbError`]; nothing is done then.
pub async fn reconcile_at_start(state: &AppState) -> Result<(), DbError> {
    let mut conn = state.db.conn().await?;
    state.measure_database_clock(&mut conn).await?;
    let effect = write_transaction!(conn, async |conn| {
        lock::role_rules(conn).await?;
        let start = NewAuditEvent::by_system("start", None, Vec::new());
        let unlisted = revoke_unlisted(state, conn).await?;
        record_each(state, conn, unlisted, &NewAuditEvent { kind: ADMIN_USERS, ..start.clone() }).await?;
        if !state.config.sync.mirror_groups {
            delete_memberships(conn).await?;
        }
        let (before, effect) = reconcile(state, conn).await?;
        record_each(state, conn, before, &start).await?;
        Ok::<_, DbError>(effect)
    })?;
    let (gained, lost) = (effect.count(true), effect.count(false));
    if gained + lost > 0 {
        tracing::info!(gained, lost, "roles follow the rules of this start");
    }
    if User::count_others_with_role(&mut conn, ADMIN, "").await? == 0 {
        tracing::info!("nobody known here is an administrator: ADMIN_USERS or `server users grant-role` makes one");
    }
    Ok(())
}

/// Takes the grant of `ADMIN_USERS` from everybody who is not in it any more; returns them as they were.
async fn revoke_unlisted(state: &AppState, conn: &mut DbConn) -> Result<People, DbError> {
    let mut people = People::new();
    for user in list_granted_by(conn, ADMIN, ADMIN_USERS).await? {
        let is_listed = state.config.sync.admin_users.iter().any(|listed| user.is(&listed.realm, &listed.subject));
        if !is_listed && revoke_granted_by(conn, &user.id, ADMIN, ADMIN_USERS).await? {
            people.insert(user.id.clone(), user);
        }
    }
    Ok(people)
}
