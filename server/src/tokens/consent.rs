//! Permissions that a page asks for when somebody wants what needs them, beyond `ENTRA_SCOPES` (incremental consent:
//! Microsoft identity platform, "Permissions and consent overview").
//!
//! A page that finds a permission missing offers a form to `/auth/sign-in` with the hidden field `scope`; the person
//! agrees at the provider, comes back to the page, and the grant has the permission from then on: refreshes and later
//! sign-ins of the same session ask for it again. Who declines stays signed in as before.
//!
//! What may be asked for is listed here, so that nobody can be led to agree to more. To let a page of your own ask, add
//! its scope to [`PAGE_SCOPES`].

use store::models::Grant;

use crate::state::AppState;

/// To read the manager of whoever is signed in (Microsoft Graph, "List manager").
pub const READ_MANAGER: &str = "User.Read.All";

/// What pages may ask for.
pub const PAGE_SCOPES: &[&str] = &[READ_MANAGER];

/// The scope of this name, in any case, if pages may ask for it.
#[must_use]
pub fn page_scope(name: &str) -> Option<&'static str> {
    PAGE_SCOPES.iter().find(|scope| scope.eq_ignore_ascii_case(name)).copied()
}

/// Those of `granted` that a page had asked for and that `settings` do not ask for anyway.
pub fn page_scopes_of<'a>(
    granted: impl IntoIterator<Item = &'a str>,
    settings: &[String],
) -> impl Iterator<Item = &'static str> {
    let is_asked_anyway = |scope: &str| settings.iter().any(|asked| asked.eq_ignore_ascii_case(scope));
    granted.into_iter().filter_map(page_scope).filter(move |scope| !is_asked_anyway(scope))
}

/// `scope`, when asking the person for it would help: the provider is Entra ID and none of their grants has it.
#[must_use]
pub fn missing(state: &AppState, grants: &[Grant], scope: &'static str) -> Option<&'static str> {
    let has = |grant: &Grant| grant.scopes.split(' ').any(|granted| granted.eq_ignore_ascii_case(scope));
    (state.oidc.is_entra() && !grants.iter().any(has)).then_some(scope)
}
