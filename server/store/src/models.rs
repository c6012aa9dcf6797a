//! Rows and queries, one file a table. Everything returns [`diesel::QueryResult`]; nothing here
//! knows axum or the provider.
//!
//! Naming: `find_*` returns an `Option`, `list_*` rows in order, `delete_*` says how many went.
//! `User` is a row, `NewUser` what is written. Functions take `&mut DbConn`, so that they run
//! alone or inside a [`write_transaction!`](crate::write_transaction) alike.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::NaiveDateTime;

mod audit;
mod cursor;
mod directory_sync;
mod grant;
mod graph_cache;
mod group;
mod role;
mod role_mapping;
mod role_rule;
mod session;
mod used_transaction;
mod user;
mod user_search;

pub use audit::{AuditEvent, AuditFilter, EventQuery, NewAuditEvent, changed_from};
pub use cursor::Cursor;
pub use directory_sync::{DirectorySync, SyncOutcome as DirectorySyncOutcome};
pub use grant::{Grant, GrantFailure, GrantFilter, NewGrant, RefreshedGrant};
pub use graph_cache::GraphCache;
pub use group::{Group, GroupChanges, delete_memberships, set_memberships};
pub use role::{
    ADMIN, RoleSource, UserRole, forget_granter, grant_role, list_granted_by, revoke_granted_by, revoke_role,
    set_provider_role_of_many, set_provider_roles,
};
pub use role_mapping::{RoleMapping, list_app_roles, list_role_holders, set_app_roles};
pub use role_rule::{RoleReason, delete_other_reasons, insert_reasons, list_unreasoned, set_role_reasons};
pub use session::{EndedAtProvider, LiveAt, NewSession, SessionRecord};
pub use used_transaction::UsedTransaction;
pub use user::{NewUser, User, UserFilter, UserQuery, UserWindow, is_known_as};

/// A new id: a UUID of version 7, whose text orders by time.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Whether `text` is the id of a row: what is none need not be looked up.
#[must_use]
pub fn is_id(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok()
}

/// The id of an event at `at`: a UUID of version 7 (RFC 9562, section 5.7) whose text orders by time,
/// and among events of one millisecond by the order in which they were made here.
#[must_use]
pub fn event_id(at: NaiveDateTime) -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(since_epoch.as_nanos()).unwrap_or_default();
    let last = LAST.fetch_max(nanos, Ordering::Relaxed);
    // A clock that stands still or goes back must not give an order twice.
    let order = if nanos > last { nanos } else { LAST.fetch_add(1, Ordering::Relaxed) + 1 };
    // 74 free bits: the order, then what tells two instances apart.
    let free = (u128::from(order) << 12) | u128::from(rand::random::<u16>() & 0xFFF);
    let (rand_a, rand_b) = (free >> 62 & 0xFFF, free & ((1 << 62) - 1));
    let bytes = (rand_a << 64 | rand_b).to_be_bytes();
    let mut last_ten = [0; 10];
    last_ten.copy_from_slice(bytes.last_chunk::<10>().unwrap_or(&[0; 10]));
    uuid::Builder::from_unix_timestamp_millis(millis(at), &last_ten).into_uuid().to_string()
}

/// The smallest id that an event at `at` can have.
#[must_use]
pub fn first_event_id(at: NaiveDateTime) -> String {
    uuid::Builder::from_unix_timestamp_millis(millis(at), &[0; 10]).into_uuid().to_string()
}

fn millis(at: NaiveDateTime) -> u64 {
    u64::try_from(at.and_utc().timestamp_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_events_order_by_time_and_then_by_their_making() {
        let at = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap().naive_utc();
        let ids: Vec<String> = (0..1000).map(|_| event_id(at(1_000))).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "one instant");
        assert!(first_event_id(at(1_000)) <= ids[0] && ids[999] < first_event_id(at(1_001)));
        assert!(event_id(at(999)) < ids[0], "a later event of an earlier time comes first");
    }
}
