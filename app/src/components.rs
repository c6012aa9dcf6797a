//! The parts that pages are made of.

pub(crate) mod avatar;
pub(crate) mod chips;
pub(crate) mod empty;
pub(crate) mod error;
pub(crate) mod events;
pub(crate) mod facts;
pub mod flash;
pub mod form;
pub(crate) mod grants;
pub(crate) mod icon;
pub mod layout;
pub(crate) mod markup;
pub mod nav;
pub(crate) mod pager;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod time;
