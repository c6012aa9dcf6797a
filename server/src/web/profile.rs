//! One's own profile: the photo, what is stored about oneself, ending one's sessions.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entra::crypto::digest;
use store::models::GraphCache;

use crate::error::AppError;
use crate::paths::SIGNED_OUT;
use crate::people::actor::{self, ActResult};
use crate::people::acts::{self, Act};
use crate::people::user_data;
use crate::session::access::{SessionGuard as _, SignedIn};
use crate::sign_in::sign_out::leave;
use crate::state::AppState;
use crate::web::act_request::ActRequest;
use crate::web::cookies::Notice;
use crate::web::reply::{RowId, redirect_with};

/// `GET /profile/photo`: the cached photo, an image and nothing else.
///
/// # Errors
/// 404 when there is none.
pub async fn photo(
    SignedIn(viewer): SignedIn,
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, AppError> {
    let mut conn = state.db.read().await?;
    let photo = GraphCache::find(&mut conn, &viewer.user.id, "photo").await?;
    let photo = photo.filter(|photo| photo.content_type.starts_with("image/")).ok_or(AppError::NotFound)?;
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(digest(&photo.body)));
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == etag.as_bytes());
    let content_type = HeaderValue::from_str(&photo.content_type).map_err(AppError::internal)?;
    // The address is the same for everybody: whoever signs in next in this browser has another cookie.
    let caching = [(header::CACHE_CONTROL, "private, max-age=300"), (header::VARY, "Cookie")];
    let common = ([(header::ETAG, etag)], caching);
    if known {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    Ok((common, [(header::CONTENT_TYPE, content_type)], photo.body).into_response())
}

/// `GET /profile/data`: everything that is stored about oneself, as a file.
///
/// # Errors
/// 503 when the database does not answer.
pub async fn data(viewer: SignedIn, State(state): State<AppState>) -> Result<Response, AppError> {
    let user_id = viewer.0.user.id.clone();
    actor::record(&state, viewer.by(), "user.data_downloaded", Some(&user_id), Vec::new()).await?;
    let mut conn = state.db.conn().await?;
    let data = user_data::stored_about(&mut conn, viewer.0.user, state.live_at()).await?;
    drop(conn);
    let disposition = format!("attachment; filename=\"my-data-{}.json\"", state.shared_now().date());
    Ok(([(header::CONTENT_DISPOSITION, disposition)], Json(data)).into_response())
}

/// `POST /profile/sessions/{id}/end`: one of one's own.
///
/// # Errors
/// 404 for a session that is somebody else's or over, 400 for a form that is not from this session.
pub async fn end_own_session(RowId(id): RowId, request: ActRequest<SignedIn>) -> Result<Response, AppError> {
    let (state, viewer, by) = request.into_parts();
    let act = Act::EndSession { session_id: id.clone(), only_of: Some(viewer.user.id.clone()) };
    if acts::run(&state, act, by).await? != ActResult::Done {
        return Err(AppError::NotFound);
    }
    if viewer.session.id == id {
        return Ok(leave(&state, SIGNED_OUT));
    }
    Ok(redirect_with(&state, "/profile", Notice::SessionEnded))
}

/// `POST /profile/sign-out-everywhere`: all of one's sessions, this one too.
///
/// # Errors
/// As [`end_own_session`].
pub async fn sign_out_everywhere(request: ActRequest<SignedIn>) -> Result<Response, AppError> {
    let (state, viewer, by) = request.into_parts();
    acts::run(&state, Act::SignOut { user_id: viewer.user.id }, by).await?;
    Ok(leave(&state, SIGNED_OUT))
}
