//! The relying party against a scripted provider: a good answer passes, each single edit fails with
//! its own reason.

mod bearer;
mod credential;
mod errors;
mod flow;
mod id_token;
mod keys;
mod logout;
mod metadata;
mod refresh;
