//! The test kit: a whole application on a port of its own, with a database and an Entra emulator of
//! its own, and a browser without scripts to drive it.
//!
//! ```text
//! let app = TestApp::start().await;
//! let admin = app.sign_in("admin").await;
//! let users = admin.get("/admin/users?q=member1").await;
//! ```
//!
//! Tests go through HTTP. What no page shows yet is read with the helpers called `db_*`. The clock
//! of the application stands still until [`TestApp::advance`] moves it; nothing sleeps.

mod browser;
mod database;
mod fill;
mod instance;
pub mod log;
mod refusal;
mod test_app;
mod wire;

pub use browser::{Browser, Form, Page};
pub use database::TestDatabase;
#[cfg(feature = "sqlite")]
pub use fill::db_plan;
pub use fill::{db_fill, db_grants, db_join};
pub use instance::{Instance, PATIENCE, free_port, serve_if_instance, until};
pub use log::LogMark;
pub use refusal::Refusal;
pub use test_app::{OTHER_TENANT, TestApp, TestAppBuilder};
pub use wire::Wire;
