//! Groups and who is in them. The object id is the key, the name a cache.

use std::collections::{BTreeSet, HashMap};

use chrono::NaiveDateTime;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::upsert::excluded;

use super::audit::lower;
use super::new_id;
use crate::schema::{group_members, groups};
use crate::{DbConn, Prepare, RunQueryDsl, StoredTime};

/// A group that somebody who signed in here is in.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = groups)]
pub struct Group {
    /// UUID.
    pub id: String,
    /// Tenant id, or issuer.
    pub realm: String,
    /// The provider's object id.
    pub object_id: String,
    /// Display name; empty when not known yet.
    pub name: String,
    /// Last seen in somebody's claims.
    #[diesel(deserialize_as = StoredTime)]
    pub seen_at: NaiveDateTime,
}

impl Group {
    /// The groups of a user, named ones first.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_by_user(conn: &mut DbConn, user_id: &str) -> QueryResult<Vec<Self>> {
        group_members::table
            .inner_join(groups::table)
            .filter(group_members::user_id.eq(user_id))
            .order((groups::name.desc(), groups::object_id.asc()))
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// Up to `limit` groups after the object id `after`, each with its number of members.
    ///
    /// # Errors
    /// From the database.
    pub async fn list(conn: &mut DbConn, after: &str, limit: i64) -> QueryResult<Vec<(Self, i64)>> {
        let page: Vec<Self> = groups::table
            .filter(groups::id.gt(after))
            .order(groups::id)
            .limit(limit)
            .select(Self::as_select())
            .load(conn)
            .await?;
        let ids: Vec<&String> = page.iter().map(|group| &group.id).collect();
        let counts: Vec<(String, i64)> = group_members::table
            .filter(group_members::group_id.eq_any(ids))
            .group_by(group_members::group_id)
            .select((group_members::group_id, count_star()))
            .load(conn)
            .await?;
        let members = |group: &Self| counts.iter().find(|(id, _)| *id == group.id).map_or(0, |(_, count)| *count);
        Ok(page.into_iter().map(|group| (group.clone(), members(&group))).collect())
    }

    /// The names of these groups by their object ids (lower case); those without a name are absent.
    ///
    /// # Errors
    /// From the database.
    pub async fn list_names(conn: &mut DbConn, object_ids: Vec<String>) -> QueryResult<HashMap<String, String>> {
        let query = groups::table.filter(lower(groups::object_id).eq_any(object_ids).and(groups::name.ne("")));
        let names: Vec<(String, String)> = query.select((groups::object_id, groups::name)).load(conn).await?;
        Ok(names.into_iter().map(|(id, name)| (id.to_lowercase(), name)).collect())
    }

    /// The first of these object ids (lower case) that is that of a known group.
    ///
    /// # Errors
    /// From the database.
    pub async fn first_known(conn: &mut DbConn, object_ids: Vec<String>) -> QueryResult<Option<String>> {
        let query = groups::table.filter(lower(groups::object_id).eq_any(object_ids));
        query.order(groups::object_id).select(groups::object_id).first(conn).await.optional()
    }

    /// Caches the display name of a group.
    ///
    /// # Errors
    /// From the database.
    pub async fn set_name(conn: &mut DbConn, realm: &str, object_id: &str, name: &str) -> QueryResult<usize> {
        diesel::update(groups::table.filter(groups::realm.eq(realm).and(groups::object_id.eq(object_id))))
            .set(groups::name.eq(name))
            .prepared()
            .execute(conn)
            .await
    }
}

/// Makes `object_ids` the groups of the user; returns who was added and who removed. Only the
/// difference is written. Run it in a transaction.
///
/// # Errors
/// From the database.
pub async fn set_memberships(
    conn: &mut DbConn,
    user_id: &str,
    realm: &str,
    object_ids: &BTreeSet<String>,
    now: NaiveDateTime,
) -> QueryResult<(Vec<String>, Vec<String>)> {
    let current = Group::list_by_user(conn, user_id).await?;
    let held: BTreeSet<String> = current.iter().map(|group| group.object_id.clone()).collect();
    let removed: Vec<String> = held.difference(object_ids).cloned().collect();
    let added: Vec<String> = object_ids.difference(&held).cloned().collect();
    for group in current.iter().filter(|group| removed.contains(&group.object_id)) {
        let member = group_members::table.find((user_id, &group.id));
        diesel::delete(member).execute(conn).await?;
    }
    for object_id in &added {
        let group_id = upsert(conn, realm, object_id, now).await?;
        diesel::insert_into(group_members::table)
            .values((group_members::user_id.eq(user_id), group_members::group_id.eq(group_id)))
            .on_conflict_do_nothing()
            .prepared()
            .execute(conn)
            .await?;
    }
    Ok((added, removed))
}

/// Forgets who is in which group.
///
/// # Errors
/// From the database.
pub async fn delete_memberships(conn: &mut DbConn) -> QueryResult<usize> {
    diesel::delete(group_members::table).execute(conn).await
}

/// The id of the group, made if it is new.
async fn upsert(conn: &mut DbConn, realm: &str, object_id: &str, now: NaiveDateTime) -> QueryResult<String> {
    let group = Group {
        id: new_id(),
        realm: realm.to_owned(),
        object_id: object_id.to_owned(),
        name: String::new(),
        seen_at: now,
    };
    diesel::insert_into(groups::table)
        .values(&group)
        .on_conflict((groups::realm, groups::object_id))
        .do_update()
        .set(groups::seen_at.eq(excluded(groups::seen_at)))
        .returning(groups::id)
        .prepared()
        .get_result(conn)
        .await
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
