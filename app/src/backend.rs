//! The one door between pages and the server: what a page may ask for, as plain data.
//!
//! The server implements [`Backend`] once for each request, for the person who looks, and checks
//! their role itself; pages find it with [`backend`] and know neither Diesel nor axum.

use std::sync::Arc;

use async_trait::async_trait;
use leptos::prelude::{expect_context, provide_context};

use crate::model::{
    AuditPage, AuditQuery, Dashboard, GrantRow, GrantState, GroupPage, Health, Listing, PageContext, Profile,
    SessionRow, UserDetail, UserPage, UserQuery,
};

/// Why a page has no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageError {
    /// 404: there is no such thing.
    NotFound,
    /// 403: not for this person.
    Forbidden,
    /// 503: the database does not answer.
    Unavailable,
    /// 500: anything else; the log has the reason under the request id.
    Internal,
}

impl PageError {
    /// The HTTP status that the response must have.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::NotFound => 404,
            Self::Forbidden => 403,
            Self::Unavailable => 503,
            Self::Internal => 500,
        }
    }
}

/// What pages may ask of the server, on behalf of the person who looks.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The viewer's profile.
    async fn profile(&self) -> Result<Profile, PageError>;
    /// `/admin`.
    async fn dashboard(&self) -> Result<Dashboard, PageError>;
    /// `/admin/users`.
    async fn users(&self, query: UserQuery) -> Result<UserPage, PageError>;
    /// `/admin/users/{id}`.
    async fn user(&self, id: String) -> Result<UserDetail, PageError>;
    /// `/admin/sessions`, from an opaque cursor on.
    async fn sessions(&self, after: Option<String>) -> Result<Listing<SessionRow>, PageError>;
    /// `/admin/groups`, from an opaque cursor on.
    async fn groups(&self, after: Option<String>) -> Result<GroupPage, PageError>;
    /// `/admin/grants` in one state or in any, from an opaque cursor on.
    async fn grants(&self, state: Option<GrantState>, after: Option<String>) -> Result<Listing<GrantRow>, PageError>;
    /// `/admin/audit`.
    async fn audit(&self, query: AuditQuery) -> Result<AuditPage, PageError>;
    /// `/admin/health`.
    async fn health(&self) -> Result<Health, PageError>;
}

/// Makes `backend` and `page` available to the pages of this request.
pub fn provide_backend(backend: Arc<dyn Backend>, page: PageContext) {
    provide_context(backend);
    provide_context(Arc::new(page));
}

/// The backend of this request.
///
/// # Panics
/// Outside a request that went through [`provide_backend`]: a mistake in the router.
#[must_use]
pub fn backend() -> Arc<dyn Backend> {
    expect_context::<Arc<dyn Backend>>()
}

/// The page context of this request.
///
/// # Panics
/// As [`backend`].
#[must_use]
pub fn page_context() -> Arc<PageContext> {
    expect_context::<Arc<PageContext>>()
}
