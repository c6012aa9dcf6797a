//! Every way in which a provider can misbehave beyond the OpenID Foundation's cases, by what it spoils.

mod authorization_response;
mod clock;
mod errors;
mod id_token;
mod keys;
mod metadata;
mod tenants;
mod token_response;
mod user_info;

use crate::case::Case;

/// The cases of `modes.tsv`.
pub(crate) fn all() -> Vec<Case> {
    let by_kind = [
        id_token::all(),
        keys::all(),
        metadata::all(),
        authorization_response::all(),
        token_response::all(),
        user_info::all(),
        errors::all(),
        clock::all(),
        tenants::all(),
    ];
    by_kind.into_iter().flatten().collect()
}
