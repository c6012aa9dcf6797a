//! Whether everything works: the checks of `server doctor` and of `/admin/health`, and `/readyz`.

pub mod doctor;
pub mod examination;
pub mod findings;
pub mod readiness;
