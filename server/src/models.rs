//! Rows and queries, one file a table. Everything returns [`diesel::QueryResult`]; nothing here
//! knows axum or the provider.
//!
//! Naming: `find_*` returns an `Option`, `list_*` rows in order, `delete_*` says how many went.
//! `User` is a row, `NewUser` what is written. Functions take `&mut DbConn`, so that they run
//! alone or inside a [`write_transaction!`](crate::write_transaction) alike.

mod audit;
mod cursor;
mod grant;
mod graph_cache;
mod group;
mod role;
mod session;
mod used_transaction;
mod user;

pub use audit::{AuditEvent, NewAuditEvent};
pub use cursor::Cursor;
pub use grant::{Grant, GrantFailure, NewGrant, RefreshedGrant};
pub use graph_cache::GraphCache;
pub use group::{Group, set_memberships};
pub use role::{RoleSource, UserRole, grant_role, revoke_role, set_provider_roles};
pub use session::{EndedAtProvider, LiveAt, NewSession, SessionRecord};
pub use used_transaction::UsedTransaction;
pub use user::{NewUser, User, UserFilter, UserWindow};

/// A new id: a UUID of version 7, whose text orders by time.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}
