//! Mappings of a group or app role to a role, as administrators edit them, and who holds what.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use crate::rule::RoleRule;
use crate::schema::{role_mappings, user_app_roles, user_roles};
use crate::{DbConn, Prepare, RunQueryDsl, StoredTime};

/// Who holds this group or app role holds that role here.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = role_mappings)]
pub struct RoleMapping {
    /// The condition of its rule, as [`crate::rule::Condition::key`] spells it.
    pub value: String,
    /// The role it gives.
    pub role: String,
    /// Who added it: a UPN.
    pub created_by: String,
    /// When.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
}

impl RoleMapping {
    /// The rule; `None` for one that an earlier version took and that means nothing now.
    #[must_use]
    pub fn rule(&self) -> Option<RoleRule> {
        RoleRule::parse(&self.value, &self.role).ok()
    }

    /// All of them, by value and role.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(conn: &mut DbConn) -> QueryResult<Vec<Self>> {
        let query = role_mappings::table.order((role_mappings::value, role_mappings::role));
        query.select(Self::as_select()).load(conn).await
    }

    /// Adds it; says whether it is new.
    ///
    /// # Errors
    /// From the database.
    pub async fn insert(&self, conn: &mut DbConn) -> QueryResult<bool> {
        let added = diesel::insert_into(role_mappings::table).values(self).on_conflict_do_nothing();
        Ok(added.prepared().execute(conn).await? > 0)
    }

    /// Removes it; says whether it was there.
    ///
    /// # Errors
    /// From the database.
    pub async fn delete(conn: &mut DbConn, value: &str, role: &str) -> QueryResult<bool> {
        Ok(diesel::delete(role_mappings::table.find((value, role))).execute(conn).await? > 0)
    }
}

/// The ids of the users who hold `role` from `source`.
///
/// # Errors
/// From the database.
pub async fn list_role_holders(
    conn: &mut DbConn,
    role: &str,
    source: super::RoleSource,
) -> QueryResult<BTreeSet<String>> {
    let query = user_roles::table.filter(user_roles::role.eq(role).and(user_roles::source.eq(source.name())));
    let ids: Vec<String> = query.select(user_roles::user_id).load(conn).await?;
    Ok(ids.into_iter().collect())
}

/// The app roles of a user, lower case.
///
/// # Errors
/// From the database.
pub async fn list_app_roles(conn: &mut DbConn, user_id: &str) -> QueryResult<Vec<String>> {
    let query = user_app_roles::table.filter(user_app_roles::user_id.eq(user_id));
    query.order(user_app_roles::app_role).select(user_app_roles::app_role).load(conn).await
}

/// Makes `app_roles` the app roles of the user. Run it in a transaction.
///
/// # Errors
/// From the database.
pub async fn set_app_roles(conn: &mut DbConn, user_id: &str, app_roles: &BTreeSet<String>) -> QueryResult<()> {
    let held: BTreeSet<String> = list_app_roles(conn, user_id).await?.into_iter().collect();
    for gone in held.difference(app_roles) {
        diesel::delete(user_app_roles::table.find((user_id, gone))).execute(conn).await?;
    }
    for new in app_roles.difference(&held) {
        let row = (user_app_roles::user_id.eq(user_id), user_app_roles::app_role.eq(new));
        diesel::insert_into(user_app_roles::table)
            .values(row)
            .on_conflict_do_nothing()
            .prepared()
            .execute(conn)
            .await?;
    }
    Ok(())
}
