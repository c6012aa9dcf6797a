//! What the fuzz targets share: a provider inside the process, and the application's router.

mod provider;
mod site;

pub use provider::{Provider, TENANT};
pub use site::{Answer, Site};
