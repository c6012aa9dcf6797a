//! An emulator of Microsoft Entra ID (v2.0 endpoints) and Microsoft Graph, for development and tests.
//!
//! It answers what Entra answers, right and wrong, on a loopback port, with everything in memory
//! and no account at Microsoft. A test starts one, points its application at it, and makes it
//! misbehave at will:
//!
//! ```
//! use entra_emulator::{Emulator, Endpoint, Fault, Options, Rotation, Signing, TokenEdit};
//!
//! # #[tokio::main]
//! # async fn main() -> std::io::Result<()> {
//! let emulator = Emulator::start(Options::default())?;
//!
//! // What the application is configured with.
//! let authority = emulator.authority(); // instead of https://login.microsoftonline.com
//! let graph = emulator.graph_url(); // instead of https://graph.microsoft.com
//! let (tenant, client) = (emulator.tenant_id(), emulator.client_id());
//! let secret = emulator.client_secret();
//! # let _ = (authority, graph, tenant, client, secret);
//!
//! // What goes wrong next.
//! let control = emulator.control();
//! control.rotate_keys(Rotation { keep_old: false });
//! control.fault_next(Endpoint::Token, 2, Fault::retry_after(503, "1"));
//! control.edit_id_token(Some(1), TokenEdit::signing(Signing::None));
//! control.advance_clock(3600);
//! control.revoke("member1");
//!
//! // What the application did.
//! assert_eq!(control.count(Endpoint::Token), 0);
//! emulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A tour
//!
//! - [`Emulator`] is the running thing; [`Options`] say how it starts, [`Control`] changes it.
//! - A request comes in through `server` (accept loop), passes `observe` (recorded, faults and
//!   edits applied) and reaches its endpoint: `metadata`, `authorize`, `token`, `logout`, `graph`.
//! - `personas` is the directory, `sessions` the browsers that are signed in, `grants` what has
//!   been issued, `app` the registered application and its credentials.
//! - `tokens` writes claims, `jwt` signs them, `keys` holds the signing keys. RSA keys are made
//!   when they are first needed and shared by all emulators of a process.
//! - `errors` is the table of AADSTS codes, `pages` what people see, `faults` what goes wrong on
//!   demand ([`Fault`], [`JsonEdit`], [`TokenEdit`], [`AuthorizationEdit`]).
//! - `clock` is the emulator's own time, which [`Control::set_clock_offset`] moves.
//!
//! # What is as at Entra, and what is not
//!
//! As there: metadata and key sets (no `alg` on keys, a per-key `issuer`, the `{tenantid}`
//! template, no `code_challenge_methods_supported`), claims of ID tokens and of access tokens for
//! the application's own API, opaque tokens for Graph, group overage, refresh tokens that survive
//! their use, errors with AADSTS codes as a page, a redirect or JSON, and Graph's paging, errors
//! and permissions.
//!
//! Not as there: there is one registered application and no password; error pages have status 400
//! (Entra's have 200); a client assertion may be used once (Entra does not say that it checks);
//! all optional claims are always issued; `http` without TLS. What is not modelled at all: device
//! codes, implicit and hybrid flow, v1.0 endpoints, Conditional Access beyond one challenge.
//!
//! Nothing here is hardened. Keep it on loopback, and out of release builds.

mod admin_consent;
mod app;
mod authorize;
mod call;
mod clock;
mod control;
mod der;
mod emulator;
mod endpoint;
mod errors;
mod faults;
mod grants;
mod graph;
mod gzip;
mod jwt;
mod keys;
mod logout;
mod metadata;
mod observe;
mod options;
mod pages;
mod personas;
mod photo;
mod random;
mod recorder;
mod scopes;
mod server;
mod sessions;
mod state;
mod sync;
mod token;
mod tokens;

pub use control::Control;
pub use emulator::Emulator;
pub use endpoint::Endpoint;
pub use faults::merge as merge_patch;
pub use faults::{AuthorizationEdit, Fault, JsonEdit, ParameterEditor, Times, TokenEdit, TokenEditor, TokenKind};
pub use grants::RefreshRotation;
pub use jwt::Signing;
pub use keys::{ClientCertificate, KeySetShape, Rotation};
pub use options::{DEV_CLIENT_ID, DEV_TENANT_ID, Options, Port};
pub use personas::{DOMAIN, Group, Persona, Tenant};
pub use recorder::Recorded;
pub use state::{OverageForm, PERSONAL_TENANT_ID};
