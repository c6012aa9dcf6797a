//! What this project decided when it was generated: defaults that the settings build on.

use crate::config::Tenancy;

/// Whether the project reads profiles, photos and groups from Microsoft Graph.
pub const GRAPH: bool = true;

/// Whether the project serves `/api/v1` to callers with an Entra access token.
pub const API: bool = true;

/// Whose users may sign in unless `ENTRA_TENANT_ID` says otherwise.
pub const TENANCY: Tenancy = Tenancy::Single;
