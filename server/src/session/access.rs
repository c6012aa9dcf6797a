//! Who may: extractors that handlers name in their signature. [`crate::web::group`] takes no handler that names none.
//!
//! The guard by path ([`crate::session::guard`]) stands before all of it and knows nothing of it. A role of your own is a
//! line next to that of [`Admin`].

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use store::models::ADMIN;

use crate::error::AppError;
use crate::people::actor::By;
use crate::session::current_user::CurrentUser;
use crate::state::AppState;

/// An extractor that lets some callers in and refuses the others.
pub trait Guard: FromRequestParts<AppState, Rejection = AppError> + Send + 'static {
    /// Its name in [`crate::router::list`].
    const NAME: &'static str;
}

/// A guard that lets people in by their session.
pub trait SessionGuard: Guard {
    /// The role that it asks for, if it asks for one.
    const ROLE: Option<&'static str>;

    /// Whom it let in.
    fn user(&self) -> &CurrentUser;

    /// Them as the actor of an act, which asks again whether they still may.
    fn by(&self) -> By {
        By::person(self.user(), Self::ROLE)
    }
}

/// Everyone, signed in or not.
#[derive(Clone, Debug)]
pub struct Everyone(pub Option<CurrentUser>);

impl<S: Send + Sync> FromRequestParts<S> for Everyone {
    type Rejection = AppError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, AppError> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

impl Guard for Everyone {
    const NAME: &'static str = "Everyone";
}

/// Makes a guard of people by their session, with the role that it asks for.
macro_rules! session_guard {
    ($(#[$attribute:meta])* $name:ident, $role:expr) => {
        $(#[$attribute])*
        #[derive(Clone, Debug)]
        pub struct $name(pub CurrentUser);

        impl FromRequestParts<AppState> for $name {
            type Rejection = AppError;

            async fn from_request_parts(parts: &mut Parts, _state: &AppState) -> Result<Self, AppError> {
                CurrentUser::of(parts, Self::ROLE).map(Self)
            }
        }

        impl Guard for $name {
            const NAME: &'static str = stringify!($name);
        }

        impl SessionGuard for $name {
            const ROLE: Option<&'static str> = $role;

            fn user(&self) -> &CurrentUser {
                &self.0
            }
        }
    };
}

session_guard!(
    /// Whoever is signed in; strangers get 401.
    SignedIn,
    None
);

session_guard!(
    /// Administrators; other people get 403, strangers 401.
    Admin,
    Some(ADMIN)
);
