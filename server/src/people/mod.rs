//! The people who are known here.
//!
//! [`sync`] writes what a sign-in or a refresh tells of somebody, [`role_mappings`] says which roles follow from it, and
//! [`hooks`] are where a project adds its own work. [`acts`] are what administrators do to people, [`erasure`] forgets
//! them, [`user_data`] gives them what is stored about them. [`user_list`] finds people, with their number from [`counts`].

pub mod actor;
pub mod acts;
pub mod after_sync;
pub mod counts;
pub mod erasure;
pub mod hooks;
pub mod refusal;
pub mod role_mappings;
pub mod sync;
pub mod user_data;
pub mod user_list;
