//! Roles: the provider's and the local ones are kept apart; `users.roles` is their union.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamp};

use super::User;
use crate::schema::{role_mappings, user_roles, users};
use crate::{DbConn, Prepare, RunQueryDsl, StoredTime};

/// The role that opens the admin pages.
pub const ADMIN: &str = "admin";

/// Where a role comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleSource {
    /// The provider's groups and app roles, by `ROLE_MAPPING`: replaced at each sync.
    Provider,
    /// An administrator, the command line or `ADMIN_USERS`: stays until revoked here.
    Local,
}

impl RoleSource {
    /// The name in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Local => "local",
        }
    }
}

/// A role that a user holds from one source.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = user_roles)]
pub struct UserRole {
    /// Who holds it.
    pub user_id: String,
    /// Which: `admin`.
    pub role: String,
    /// `provider` or `local`.
    pub source: String,
    /// Since when.
    #[diesel(deserialize_as = StoredTime)]
    pub granted_at: NaiveDateTime,
    /// By whom; empty for the provider.
    pub granted_by: String,
}

impl UserRole {
    /// The roles of a user, by name and source.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_user(conn: &mut DbConn, user_id: &str) -> QueryResult<Vec<Self>> {
        user_roles::table
            .filter(user_roles::user_id.eq(user_id))
            .order((user_roles::role, user_roles::source))
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// The names of all roles that anybody holds.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_names(conn: &mut DbConn) -> QueryResult<Vec<String>> {
        user_roles::table.select(user_roles::role).distinct().order(user_roles::role).load(conn).await
    }
}

/// Puts `text` for whoever granted roles and added mappings under one of `names`. Run it in a transaction.
///
/// # Errors
/// From the database.
pub async fn forget_granter(conn: &mut DbConn, names: &[String], text: &str) -> QueryResult<()> {
    diesel::update(user_roles::table.filter(user_roles::granted_by.eq_any(names)))
        .set(user_roles::granted_by.eq(text))
        .execute(conn)
        .await?;
    diesel::update(role_mappings::table.filter(role_mappings::created_by.eq_any(names)))
        .set(role_mappings::created_by.eq(text))
        .execute(conn)
        .await?;
    Ok(())
}

/// Grants `role` from `source`, in the name of `by`; says whether it is new. Run it in a transaction.
///
/// # Errors
/// From the database.
pub async fn grant_role(
    conn: &mut DbConn,
    user_id: &str,
    role: &str,
    source: RoleSource,
    by: &str,
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let row = UserRole {
        user_id: user_id.to_owned(),
        role: role.to_owned(),
        source: source.name().to_owned(),
        granted_at: now,
        granted_by: by.to_owned(),
    };
    let added =
        diesel::insert_into(user_roles::table).values(&row).on_conflict_do_nothing().prepared().execute(conn).await?;
    update_effective(conn, user_id).await?;
    Ok(added > 0)
}

/// Revokes `role` from `source`; says whether it was there. Run it in a transaction.
///
/// # Errors
/// From the database.
pub async fn revoke_role(conn: &mut DbConn, user_id: &str, role: &str, source: RoleSource) -> QueryResult<bool> {
    let row = user_roles::table.find((user_id, role, source.name()));
    let removed = diesel::delete(row).execute(conn).await?;
    update_effective(conn, user_id).await?;
    Ok(removed > 0)
}

/// Makes `roles` the provider's roles of the user; says whether anything changed. Run it in a
/// transaction.
///
/// # Errors
/// From the database.
pub async fn set_provider_roles(
    conn: &mut DbConn,
    user_id: &str,
    roles: &BTreeSet<String>,
    now: NaiveDateTime,
) -> QueryResult<bool> {
    let held: BTreeSet<String> = UserRole::list_by_user(conn, user_id)
        .await?
        .into_iter()
        .filter(|held| held.source == RoleSource::Provider.name())
        .map(|held| held.role)
        .collect();
    for role in held.difference(roles) {
        revoke_role(conn, user_id, role, RoleSource::Provider).await?;
    }
    for role in roles.difference(&held) {
        grant_role(conn, user_id, role, RoleSource::Provider, "", now).await?;
    }
    Ok(held != *roles)
}

/// Revokes what `granted_by` granted the user from here; says whether there was something. Run it in a transaction.
///
/// # Errors
/// From the database.
pub async fn revoke_granted_by(conn: &mut DbConn, user_id: &str, role: &str, granted_by: &str) -> QueryResult<bool> {
    let row = user_roles::table.find((user_id, role, RoleSource::Local.name()));
    let removed = diesel::delete(row.filter(user_roles::granted_by.eq(granted_by))).execute(conn).await?;
    if removed > 0 {
        update_effective(conn, user_id).await?;
    }
    Ok(removed > 0)
}

/// The users to whom `granted_by` granted `role` from here.
///
/// # Errors
/// From the database.
pub async fn list_granted_by(conn: &mut DbConn, role: &str, granted_by: &str) -> QueryResult<Vec<User>> {
    let granted = user_roles::role.eq(role).and(user_roles::granted_by.eq(granted_by));
    let query = user_roles::table.inner_join(users::table);
    let query = query.filter(granted.and(user_roles::source.eq(RoleSource::Local.name())));
    query.select(User::as_select()).load(conn).await
}

/// Users whose roles are changed by one statement.
const CHUNK: usize = 500;

/// Grants `role` from the provider to all of these, who do not have it from there yet, or takes it
/// from them. Run it in a transaction.
///
/// # Errors
/// From the database.
pub async fn set_provider_role_of_many(
    conn: &mut DbConn,
    user_ids: &[String],
    role: &str,
    is_granted: bool,
    now: NaiveDateTime,
) -> QueryResult<()> {
    let source = RoleSource::Provider.name();
    for chunk in user_ids.chunks(CHUNK) {
        if is_granted {
            let rows = users::table.filter(users::id.eq_any(chunk)).select((
                users::id,
                role.into_sql::<Text>(),
                source.into_sql::<Text>(),
                now.into_sql::<Timestamp>(),
            ));
            let columns = (user_roles::user_id, user_roles::role, user_roles::source, user_roles::granted_at);
            rows.insert_into(user_roles::table).into_columns(columns).execute(conn).await?;
        } else {
            let held = user_roles::role.eq(role).and(user_roles::source.eq(source));
            let rows = user_roles::table.filter(user_roles::user_id.eq_any(chunk).and(held));
            diesel::delete(rows).execute(conn).await?;
        }
        let effective = diesel::dsl::sql::<Text>(EFFECTIVE);
        let users = users::table.filter(users::id.eq_any(chunk));
        diesel::update(users).set(users::roles.eq(effective)).execute(conn).await?;
    }
    Ok(())
}

/// The union of all sources, as `users.roles` holds it.
#[cfg(feature = "sqlite")]
const EFFECTIVE: &str = "COALESCE((SELECT group_concat(role, ' ') FROM \
    (SELECT DISTINCT role FROM user_roles WHERE user_id = users.id ORDER BY role)), '')";
/// The union of all sources, as `users.roles` holds it.
#[cfg(feature = "postgres")]
const EFFECTIVE: &str = "COALESCE((SELECT string_agg(DISTINCT role, ' ' ORDER BY role) \
    FROM user_roles WHERE user_id = users.id), '')";

/// Writes the union of all sources to `users.roles`.
async fn update_effective(conn: &mut DbConn, user_id: &str) -> QueryResult<()> {
    let effective = diesel::dsl::sql::<Text>(EFFECTIVE);
    diesel::update(users::table.find(user_id)).set(users::roles.eq(effective)).prepared().execute(conn).await?;
    Ok(())
}
