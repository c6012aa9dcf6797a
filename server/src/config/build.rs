//! What a build of the server is: the facts about it that the settings depend on.

use std::path::PathBuf;

use super::defaults::{API, GRAPH, TENANCY, Tenancy};
use super::settings::Settings;

/// Facts about the running build, which tests choose for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The database compiled in.
    pub database: Database,
    /// Whether this start is one of a developer: keys are then made in `dev_keys` if none are given.
    pub dev: bool,
    /// Whether the project has its Microsoft Graph parts.
    pub graph: bool,
    /// Whether the project has its API.
    pub api: bool,
    /// Whose users may sign in by default.
    pub tenancy: Tenancy,
    /// Where dev mode keeps its encryption keys.
    pub dev_keys: PathBuf,
}

impl Build {
    /// This build, started with `settings`; `emulator_started` says whether the Entra emulator runs beside it.
    ///
    /// Only a debug build is ever in dev mode: with the emulator, or without any provider to sign in with.
    #[must_use]
    pub fn current(settings: &Settings, emulator_started: bool) -> Self {
        Self {
            database: Database::COMPILED,
            dev: cfg!(debug_assertions) && (emulator_started || settings.name_no_provider()),
            graph: GRAPH,
            api: API,
            tenancy: TENANCY,
            dev_keys: PathBuf::from("data/dev-keys"),
        }
    }
}

/// A database that a build can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// Feature `sqlite`.
    Sqlite,
    /// Feature `postgres`.
    Postgres,
}

impl Database {
    /// The one that this build holds.
    pub const COMPILED: Self = if cfg!(feature = "sqlite") { Self::Sqlite } else { Self::Postgres };
}
