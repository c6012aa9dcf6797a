//! The admin pages: what they show ([`backend`]) and what their forms and links do.

pub mod actions;
pub mod backend;
pub mod bulk;
pub mod directory_sync;
pub mod export;
pub mod mappings;
pub mod suggestions;
