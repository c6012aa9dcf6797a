//! Which groups and app roles give which roles: the rules of `ROLE_MAPPING` and those that
//! administrators add, what a change of them would do, and doing it.

use std::collections::BTreeSet;

use crate::acts::{self, ActError, ActResult, By};
use crate::config::RoleRule;
use crate::db::{DbConn, DbError, to_end};
use crate::models::{RoleMapping, RoleSource, User, list_holders, list_role_holders, set_provider_role_of_many};
use crate::state::AppState;
use crate::user_sync::ADMIN;
use crate::write_transaction;

/// A mapping that comes or goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingChange {
    /// Group or app role, lower case, and the role it gives.
    pub rule: RoleRule,
    /// Whether it comes.
    pub is_added: bool,
}

/// What a change would do, by user ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Whose role from the provider comes or goes.
    pub provider: Vec<String>,
    /// Who among them gains or loses the role altogether, since nothing else gives it to them.
    pub effective: Vec<String>,
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
    let added = added.iter().map(|mapping| RoleRule { value: mapping.value.clone(), role: mapping.role.clone() });
    state.config.sync.role_mapping.iter().cloned().chain(added).collect()
}

/// The roles that can be granted here: `admin` and what `rules` give.
#[must_use]
pub fn grantable_roles(rules: &[RoleRule]) -> BTreeSet<String> {
    rules.iter().map(|rule| rule.role.clone()).chain([ADMIN.to_owned()]).collect()
}

/// What the change would do now, to those who are known here; others feel it at their next sign-in.
///
/// # Errors
/// [`DbError`].
pub async fn effect(state: &AppState, conn: &mut DbConn, change: &MappingChange) -> Result<Effect, DbError> {
    let MappingChange { rule, is_added } = change;
    let concerned = list_holders(conn, &rule.value).await?;
    let held = list_role_holders(conn, &rule.role, RoleSource::Provider).await?;
    let provider: BTreeSet<String> = if *is_added {
        concerned.difference(&held).cloned().collect()
    } else {
        let by_others = holders_by_other_rules(state, conn, rule).await?;
        concerned.intersection(&held).filter(|id| !by_others.contains(*id)).cloned().collect()
    };
    let local = list_role_holders(conn, &rule.role, RoleSource::Local).await?;
    let effective = provider.difference(&local).cloned().collect();
    Ok(Effect { provider: provider.into_iter().collect(), effective })
}

async fn holders_by_other_rules(
    state: &AppState,
    conn: &mut DbConn,
    rule: &RoleRule,
) -> Result<BTreeSet<String>, DbError> {
    let mut holders = BTreeSet::new();
    let mut skipped = false;
    for other in rules(state, conn).await?.iter().rev().filter(|other| other.role == rule.role) {
        // The same rule may stand in the setting too, and stays there: only the table's one goes.
        if !skipped && other.value.eq_ignore_ascii_case(&rule.value) {
            skipped = true;
            continue;
        }
        holders.extend(list_holders(conn, &other.value).await?);
    }
    Ok(holders)
}

/// Why the change would be refused. Whoever makes it stays an administrator, so that one is left.
///
/// # Errors
/// [`DbError`].
pub async fn refusal(
    conn: &mut DbConn,
    change: &MappingChange,
    effect: &Effect,
    by: &By,
) -> Result<Option<ActResult>, DbError> {
    let takes_admin = !change.is_added && change.rule.role == ADMIN;
    if !takes_admin {
        return Ok(None);
    }
    if effect.effective.contains(&by.actor.0) {
        return Ok(Some(ActResult::NotOneself));
    }
    let actor = User::find(conn, &by.actor.0).await?;
    let is_admin = actor.is_some_and(|user| user.is_active() && user.has_role(ADMIN));
    Ok((!is_admin).then_some(ActResult::LastAdministrator))
}

/// Makes the change, gives or takes the role of everybody it concerns, and records it, in one
/// transaction that runs to its end even if the caller goes away.
///
/// # Errors
/// [`ActError`]; nothing is done then.
pub async fn apply(state: &AppState, change: MappingChange, by: By) -> Result<ActResult, ActError> {
    let state = state.clone();
    to_end(async move {
        let mut conn = state.db.conn().await?;
        let result = write_transaction!(conn, async |conn| apply_in_txn(&state, conn, &change, &by).await)?;
        state.counts.clear();
        Ok::<_, ActError>(result)
    })
    .await
}

async fn apply_in_txn(
    state: &AppState,
    conn: &mut DbConn,
    change: &MappingChange,
    by: &By,
) -> Result<ActResult, ActError> {
    acts::begin(state, conn, by).await?;
    let effect = effect(state, conn, change).await?;
    if let Some(refused) = refusal(conn, change, &effect, by).await? {
        return Ok(refused);
    }
    let now = state.shared_now();
    let RoleRule { value, role } = &change.rule;
    let changed = if change.is_added {
        let created_by = by.actor.1.clone();
        let mapping = RoleMapping { value: value.clone(), role: role.clone(), created_by, created_at: now };
        mapping.insert(conn).await?
    } else {
        RoleMapping::delete(conn, value, role).await?
    };
    if !changed {
        return Ok(ActResult::Unchanged);
    }
    set_provider_role_of_many(conn, &effect.provider, role, change.is_added, now).await?;
    let detail = vec![
        ("mapping", format!("{value} → {role}")),
        (if change.is_added { "gained" } else { "lost" }, effect.effective.len().to_string()),
    ];
    let kind = if change.is_added { "mapping.added" } else { "mapping.removed" };
    by.event(conn, kind, None, detail).await?.insert(conn, now).await?;
    Ok(ActResult::Done)
}
