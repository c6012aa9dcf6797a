//! The settings, as the rest of the server reads them: typed, validated, complete.
//!
//! [`Settings`] is the one definition of names, defaults and help texts;
//! [`Settings::validate`] turns it into a [`Config`] or into the
//! list of everything that is wrong. This module is a leaf: it knows no other part of the server
//! but [`entra::crypto`] and [`crate::config::defaults`].

pub mod build;
mod credential;
mod database;
pub mod defaults;
mod dev_keys;
pub mod dotenv;
mod names;
mod parse;
pub mod problems;
mod provider;
mod reader;
pub mod reference;
pub mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod types;
mod urls;
mod validate;

pub use entra::config::{
    ClientCredential, HttpConfig, IdentityKey, ProviderConfig, ProviderKind, ResponseMode, Tenant,
};
pub use store::config::{DatabaseConfig, RedactedUrl, SslMode};
pub use store::rule::{Condition, Holdings, RoleRule, RuleError, fold};

pub use self::build::{Build, Database};
pub use self::defaults::Tenancy;
pub use self::dotenv::Environment;
pub use self::problems::{Problem, Problems};
pub use self::settings::Settings;
pub use self::types::{
    Accounts, AdminActsConfig, ApiConfig, BooleanColumn, Config, OnGrantRevoked, PublicUrl, RateLimit,
    RegistrationConfig, SessionConfig, SyncConfig, TextColumn, TokenConfig,
};
pub(crate) use self::urls::admin_center;
