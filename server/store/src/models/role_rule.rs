//! Which rule gives whom which role from the provider: a role is there while one of its rules is.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::dsl::{exists, not};
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::audit::lower;
use super::{RoleSource, set_provider_roles};
use crate::rule::{Condition, RoleRule};
use crate::schema::{group_members, groups, user_app_roles, user_role_rules, user_roles, users};
use crate::{DbConn, Prepare, RunQueryDsl};

/// That a rule gives somebody a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Queryable, Selectable)]
#[diesel(table_name = user_role_rules)]
pub struct RoleReason {
    /// The role.
    pub role: String,
    /// The rule's condition, as [`Condition::key`] spells it.
    pub rule: String,
}

impl RoleReason {
    /// That `rule` gives its role.
    #[must_use]
    pub fn of(rule: &RoleRule) -> Self {
        Self { role: rule.role.clone(), rule: rule.condition.key() }
    }

    /// Whether it is a group that gives the role.
    #[must_use]
    pub fn is_by_group(&self) -> bool {
        self.rule.parse::<Condition>().is_ok_and(|condition| condition.is_group())
    }

    /// Those of a user.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_user(conn: &mut DbConn, user_id: &str) -> QueryResult<BTreeSet<Self>> {
        let query = user_role_rules::table.filter(user_role_rules::user_id.eq(user_id));
        let reasons: Vec<Self> = query.select(Self::as_select()).load(conn).await?;
        Ok(reasons.into_iter().collect())
    }

    /// All that anybody has.
    async fn list_all(conn: &mut DbConn) -> QueryResult<Vec<Self>> {
        user_role_rules::table.select(Self::as_select()).distinct().load(conn).await
    }
}

/// Makes `reasons` those of the user, who had `held`, and their roles from the provider those that follow. Run it in a
/// transaction.
///
/// # Errors
/// From the database.
pub async fn set_role_reasons(
    conn: &mut DbConn,
    user_id: &str,
    held: &BTreeSet<RoleReason>,
    reasons: &BTreeSet<RoleReason>,
    now: NaiveDateTime,
) -> QueryResult<()> {
    if held == reasons {
        return Ok(());
    }
    for gone in held.difference(reasons) {
        diesel::delete(user_role_rules::table.find((user_id, &gone.role, &gone.rule))).execute(conn).await?;
    }
    for new in reasons.difference(held) {
        let row = (
            user_role_rules::user_id.eq(user_id),
            user_role_rules::role.eq(&new.role),
            user_role_rules::rule.eq(&new.rule),
        );
        let row = diesel::insert_into(user_role_rules::table).values(row).on_conflict_do_nothing();
        row.prepared().execute(conn).await?;
    }
    let roles = reasons.iter().map(|reason| reason.role.clone()).collect();
    set_provider_roles(conn, user_id, &roles, now).await?;
    Ok(())
}

/// Takes every reason away that is none of `rules`, and with `without_groups` those of rules about groups. Run it in a
/// transaction.
///
/// # Errors
/// From the database.
pub async fn delete_other_reasons(conn: &mut DbConn, rules: &[RoleRule], without_groups: bool) -> QueryResult<()> {
    let known: BTreeSet<RoleReason> = rules.iter().map(RoleReason::of).collect();
    for reason in RoleReason::list_all(conn).await? {
        if known.contains(&reason) && !(without_groups && reason.is_by_group()) {
            continue;
        }
        let rows = user_role_rules::table
            .filter(user_role_rules::rule.eq(&reason.rule).and(user_role_rules::role.eq(&reason.role)));
        diesel::delete(rows).execute(conn).await?;
    }
    Ok(())
}

/// Gives `rule` as a reason to everybody who fits it by the app roles and groups that are kept, and does not have it
/// yet. Run it in a transaction that holds [`crate::lock::role_rules`].
///
/// # Errors
/// From the database.
pub async fn insert_reasons(conn: &mut DbConn, rule: &RoleRule) -> QueryResult<()> {
    let (condition, reason) = (&rule.condition, RoleReason::of(rule));
    let has_it = user_role_rules::table
        .filter(user_role_rules::user_id.eq(users::id))
        .filter(user_role_rules::role.eq(&reason.role).and(user_role_rules::rule.eq(&reason.rule)));
    let mut query = users::table.filter(not(exists(has_it))).into_boxed();
    query = if condition.is_group() {
        // A group is one of the tenant whose people are in it.
        let members = group_members::table
            .inner_join(groups::table)
            .filter(lower(groups::object_id).eq(condition.value()))
            .select(group_members::user_id);
        query.filter(users::id.eq_any(members))
    } else {
        let holders = user_app_roles::table
            .filter(user_app_roles::app_role.eq(condition.value()))
            .select(user_app_roles::user_id);
        query.filter(users::id.eq_any(holders))
    };
    if let Some(tenant) = condition.tenant() {
        query = query.filter(users::realm.eq(tenant.to_owned()));
    }
    let rows =
        query.select((users::id, reason.role.clone().into_sql::<Text>(), reason.rule.clone().into_sql::<Text>()));
    let columns = (user_role_rules::user_id, user_role_rules::role, user_role_rules::rule);
    rows.insert_into(user_role_rules::table).into_columns(columns).execute(conn).await?;
    Ok(())
}

/// (user id, role) of each role from the provider that no rule gives any more, and of each that a rule gives and that
/// is not there yet.
///
/// # Errors
/// From the database.
pub async fn list_unreasoned(conn: &mut DbConn) -> QueryResult<[Vec<(String, String)>; 2]> {
    let provider = RoleSource::Provider.name();
    let reason = user_role_rules::table
        .filter(user_role_rules::user_id.eq(user_roles::user_id))
        .filter(user_role_rules::role.eq(user_roles::role));
    let lost = user_roles::table
        .filter(user_roles::source.eq(provider).and(not(exists(reason))))
        .select((user_roles::user_id, user_roles::role));
    let lost = lost.load(conn).await?;
    let held = user_roles::table
        .filter(user_roles::user_id.eq(user_role_rules::user_id))
        .filter(user_roles::role.eq(user_role_rules::role).and(user_roles::source.eq(provider)));
    let gained = user_role_rules::table
        .filter(not(exists(held)))
        .select((user_role_rules::user_id, user_role_rules::role))
        .distinct();
    Ok([lost, gained.load(conn).await?])
}
