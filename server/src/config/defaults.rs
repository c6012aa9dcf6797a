//! What this project decided when it was generated: defaults that the settings build on.

/// Whether the project reads profiles, photos and groups from Microsoft Graph.
pub const GRAPH: bool = true;

/// Whether the project serves `/api/v1` to callers with an Entra access token.
pub const API: bool = true;

/// Whose users may sign in unless `ENTRA_TENANT_ID` says otherwise.
pub const TENANCY: Tenancy = Tenancy::Single;

/// Whose users may sign in by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenancy {
    /// Those of one tenant, which `ENTRA_TENANT_ID` names.
    Single,
    /// Those of the tenants in `ENTRA_ALLOWED_TENANTS`; `ENTRA_TENANT_ID` is then `organizations` by default.
    Multi,
}
