//! OpenID Connect, Microsoft Entra ID and Microsoft Graph as protocols: no web framework, no database.
//!
//! - [`oidc`] is the relying party: it builds the requests of a sign-in, redeems codes, checks ID tokens, logout tokens and
//!   access tokens, refreshes, and asks for tokens for other APIs.
//! - [`graph`] asks Microsoft Graph for a person's profile, photo, manager and groups, and for changes of the directory.
//! - [`http`] is the one way out, bounded in time and size.
//! - [`crypto`] seals what is stored, and makes what nobody may guess.
//! - [`clock`] tells the time; [`plain`] takes out of texts what misleads people; [`config`] is what clients are made from.

pub mod clock;
pub mod config;
pub mod crypto;
pub mod graph;
pub mod http;
pub mod oidc;
pub mod plain;
