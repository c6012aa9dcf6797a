//! How a page chooses the HTTP status of its response without knowing the web framework.

use std::sync::Arc;

/// Sets the status of the response that is being rendered. The server provides one for each
/// request, as context, beside the backend:
///
/// ```text
/// let options = expect_context::<leptos_axum::ResponseOptions>();
/// provide_context(ResponseStatus::new(move |code| {
///     options.set_status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
/// }));
/// ```
#[derive(Clone)]
pub struct ResponseStatus(Arc<dyn Fn(u16) + Send + Sync>);

impl ResponseStatus {
    /// Wraps what tells the framework the status code.
    pub fn new(set: impl Fn(u16) + Send + Sync + 'static) -> Self {
        Self(Arc::new(set))
    }

    /// Makes `code` the status of the response. The last call wins.
    pub fn set(&self, code: u16) {
        (self.0)(code);
    }
}
