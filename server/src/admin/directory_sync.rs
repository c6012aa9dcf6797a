//! Letting a round of the directory sync through that was held back.

use axum::response::Response;

use crate::directory_sync;
use crate::error::AppError;
use crate::people::actor::ActResult;
use crate::session::access::Admin;
use crate::web::act_request::{ActRequest, Question};
use crate::web::cookies::Notice;
use crate::web::pages::Target;
use crate::web::reply::redirect_with;

const PAGE: &str = "/admin/health";

/// `POST /admin/health/directory-sync` with `tenant` and `held`, the number that was shown; without `confirm=yes` it
/// asks first. `GET` asks only.
///
/// # Errors
/// 400 for a number that is none.
pub async fn allow_directory_sync(request: ActRequest<Admin>) -> Result<Response, AppError> {
    let tenant = request.form.get("tenant").to_owned();
    let held = request.form.get("held").to_owned();
    let count: i64 = held.parse().map_err(|_| AppError::bad_request("The number of users is to be a number."))?;
    if request.is_confirmed() {
        let (state, _, by) = request.into_parts();
        let notice = match directory_sync::allow(&state, &tenant, count, by).await? {
            ActResult::Done => Notice::DirectoryAllowed,
            _ => Notice::NothingChanged,
        };
        return Ok(redirect_with(&state, PAGE, notice));
    }
    request.confirm(&Question {
        title: "Let the directory sync disable these users?",
        target: Target { name: &format!("{count} users"), detail: &format!("of tenant {tenant}") },
        lists: &[],
        consequences: &[
            "The directory says that they are disabled, deleted, or no longer there.",
            "Their sessions end at once, and the tokens that this application holds for them are forgotten.",
            "They are enabled again when the directory says so. If it is wrong, do not do this: nothing changes then.",
        ],
        action: "/admin/health/directory-sync",
        fields: &[("tenant", &tenant), ("held", &held)],
        button: "Disable them",
        cancel: PAGE,
    })
}
