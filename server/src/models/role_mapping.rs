//! Mappings of a group or app role to a role, as administrators edit them, and who holds what.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::prelude::*;

use super::audit::lower;
use crate::db::schema::{group_members, groups, role_mappings, user_app_roles, user_roles};
use crate::db::{DbConn, Prepare, RunQueryDsl, StoredTime};

/// Who holds this group or app role holds that role here.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = role_mappings)]
pub struct RoleMapping {
    /// A group's object id, or the value of an app role; lower case.
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

/// The ids of the users who were in this group, or held this app role, at their last sync.
///
/// # Errors
/// From the database.
pub async fn list_holders(conn: &mut DbConn, value: &str) -> QueryResult<BTreeSet<String>> {
    let value = value.to_lowercase();
    let in_group: Vec<String> = group_members::table
        .inner_join(groups::table)
        .filter(lower(groups::object_id).eq(&value))
        .select(group_members::user_id)
        .load(conn)
        .await?;
    let with_app_role: Vec<String> = user_app_roles::table
        .filter(user_app_roles::app_role.eq(&value))
        .select(user_app_roles::user_id)
        .load(conn)
        .await?;
    Ok(in_group.into_iter().chain(with_app_role).collect())
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
