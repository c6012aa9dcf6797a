//! The reader's choice of colours, in a cookie, so that the first paint is right without a script.

use axum::Form;
use axum::extract::State;
use axum::response::{IntoResponse as _, Redirect, Response};
use cookie::SameSite;
use serde::Deserialize;

use crate::error::AppError;
use crate::session::access::Everyone;
use crate::session::guard::safe_next;
use crate::state::AppState;
use crate::web::cookies;

/// The form of the choice.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ThemeForm {
    theme: String,
    back: Option<String>,
}

/// `POST /theme` with `theme` = `system`, `light` or `dark`, and `back`, a path.
///
/// # Errors
/// 400 for anything else.
pub async fn choose(
    _: Everyone,
    State(state): State<AppState>,
    form: Result<Form<ThemeForm>, axum::extract::rejection::FormRejection>,
) -> Result<Response, AppError> {
    let form = form.map(|Form(form)| form).unwrap_or_default();
    let https = state.config.public_url.is_https();
    let name = cookies::host_name("theme", https);
    let mut response = Redirect::to(&safe_next(form.back.as_deref())).into_response();
    match form.theme.as_str() {
        "system" => cookies::remove(response.headers_mut(), name, https, SameSite::Lax),
        "light" | "dark" => {
            let cookie = cookies::build(name, form.theme, https, SameSite::Lax, time::Duration::days(365));
            cookies::set(response.headers_mut(), &cookie);
        }
        _ => return Err(AppError::bad_request("The theme is to be system, light or dark.")),
    }
    Ok(response)
}
