//! The pages of administrators. The server lets nobody else in; the backend checks again.

pub(crate) mod audit;
pub(crate) mod dashboard;
pub(crate) mod grants;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod sessions;
pub(crate) mod user;
pub(crate) mod users;
