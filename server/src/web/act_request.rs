//! The request of an act: a form post of a signed-in person, checked before anything is looked at; or the `GET` that
//! asks for it once more.

use std::marker::PhantomData;

use askama::Template as _;
use axum::Form;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse as _, Response};
use store::models::User;

use crate::error::AppError;
use crate::people::actor::{ActError, ActResult, By};
use crate::people::acts::{self, Act};
use crate::session::access::SessionGuard;
use crate::session::current_user::CurrentUser;
use crate::state::AppState;
use crate::web::cookies::Notice;
use crate::web::pages::{ConfirmPage, PeopleList, Target};
use crate::web::reply::{frame, redirect_with};

/// The fields of a posted form, in their order.
#[derive(Clone, Debug, Default)]
pub struct ActForm(Vec<(String, String)>);

impl ActForm {
    /// The first value of a field; empty when there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Every value of a field that may come more than once, such as a checkbox.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let name = name.to_owned();
        self.0.iter().filter(move |(field, _)| *field == name).map(|(_, value)| value.as_str())
    }
}

/// An act's request: who asks, from where, with which form. `G` says who may.
pub struct ActRequest<G> {
    /// The application.
    pub state: AppState,
    /// Who asks.
    pub viewer: CurrentUser,
    /// What they filled in.
    pub form: ActForm,
    /// Whether this is the `GET` with which an act is taken up again after a step-up: it only asks.
    pub only_asks: bool,
    by: By,
    headers: HeaderMap,
    guard: PhantomData<fn() -> G>,
}

impl<G: SessionGuard> ActRequest<G> {
    /// Whether the question has been answered.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.form.get("confirm") == "yes" && !self.only_asks
    }

    /// Who acts, for the audit log.
    #[must_use]
    pub fn by(&self) -> By {
        self.by.clone()
    }

    /// The application, who asks, and who acts for the audit log.
    #[must_use]
    pub fn into_parts(self) -> (AppState, CurrentUser, By) {
        (self.state, self.viewer, self.by)
    }

    /// Runs the act and goes back to `path` with what came of it.
    ///
    /// # Errors
    /// 401 or 403 when whoever asks may no longer, 503 when the database does not answer.
    pub async fn run(self, act: Act, path: &str) -> Result<Response, AppError> {
        let (state, _, by) = self.into_parts();
        let result = acts::run(&state, act.clone(), by).await?;
        Ok(redirect_with(&state, path, notice(&act, result)))
    }

    /// The page that asks first.
    ///
    /// # Errors
    /// When the page cannot be rendered.
    pub fn confirm(&self, question: &Question<'_>) -> Result<Response, AppError> {
        let csrf = self.viewer.csrf_token(&self.state);
        let page = ConfirmPage {
            frame: frame(&self.headers).with_csrf(&csrf),
            title: question.title,
            target: question.target,
            lists: question.lists,
            consequences: question.consequences,
            action: question.action,
            fields: question.fields,
            button: question.button,
            cancel: question.cancel,
        };
        Ok(Html(page.render()?).into_response())
    }

    /// The user with this id.
    ///
    /// # Errors
    /// 404 when there is none.
    pub async fn user(&self, id: &str) -> Result<User, AppError> {
        let mut conn = self.state.db.conn().await?;
        User::find(&mut conn, id).await?.ok_or(AppError::NotFound)
    }
}

/// What is asked before an act that takes something away; see [`ConfirmPage`].
pub struct Question<'a> {
    /// The question: `Disable this user?`
    pub title: &'a str,
    /// Who or what is acted on, when it is one.
    pub target: Target<'a>,
    /// Who is concerned, when they are several.
    pub lists: &'a [PeopleList],
    /// What will happen, a sentence each.
    pub consequences: &'a [&'a str],
    /// Where the form posts to.
    pub action: &'a str,
    /// Its fields.
    pub fields: &'a [(&'a str, &'a str)],
    /// The words on the button.
    pub button: &'a str,
    /// Where the way back leads to.
    pub cancel: &'a str,
}

/// A person as the target of an act.
#[must_use]
pub fn target(user: &User) -> Target<'_> {
    Target { name: user.name(), detail: &user.upn }
}

fn notice(act: &Act, result: ActResult) -> Notice {
    match (result, act) {
        (ActResult::Unchanged, _) => Notice::NothingChanged,
        (ActResult::NotOneself, _) => Notice::NotOneself,
        (ActResult::LastAdministrator, _) => Notice::LastAdministrator,
        (ActResult::FromProvider, _) => Notice::FromProvider,
        (ActResult::Done, Act::Disable { .. }) => Notice::UserDisabled,
        (ActResult::Done, Act::Erase { .. }) => Notice::UserErased,
        (ActResult::Done, Act::Enable { .. }) => Notice::UserEnabled,
        (ActResult::Done, Act::SignOut { .. }) => Notice::UserSignedOut,
        (ActResult::Done, Act::GrantRole { .. }) => Notice::RoleGranted,
        (ActResult::Done, Act::RevokeRole { .. }) => Notice::RoleRevoked,
        (ActResult::Done, Act::EndSession { .. }) => Notice::SessionEnded,
        (ActResult::Done, Act::ForgetGrant { .. }) => Notice::GrantForgotten,
    }
}

impl<G: SessionGuard> FromRequest<AppState> for ActRequest<G> {
    type Rejection = AppError;

    /// Checks the form's token before anything is looked at. A `GET` has none, and does nothing.
    ///
    /// A body takes its time, so whoever sent it is asked again whether they still may.
    async fn from_request(request: Request, state: &AppState) -> Result<Self, AppError> {
        let (mut parts, body) = request.into_parts();
        let guard = G::from_request_parts(&mut parts, state).await?;
        let (by, viewer) = (guard.by(), guard.user().clone());
        let (headers, only_asks) = (parts.headers.clone(), parts.method.is_safe());
        let request = Request::from_parts(parts, body);
        let Form(fields) = Form::<Vec<(String, String)>>::from_request(request, state).await?;
        let form = ActForm(fields);
        if !only_asks {
            viewer.check_csrf(state, form.get("csrf"))?;
            by.still_may(&mut *state.db.read().await?, state.live_at()).await?;
        }
        Ok(Self { state: state.clone(), viewer, form, only_asks, by, headers, guard: PhantomData })
    }
}

impl From<ActError> for AppError {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Database(error) => error.into(),
            ActError::SignedOut => Self::Unauthorized,
            ActError::RoleLost(_) => Self::forbidden(error.to_string()),
        }
    }
}
