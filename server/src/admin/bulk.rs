//! One act on many people at once: the boxes that are ticked in the list of users.

use axum::response::Response;
use store::models::User;

use crate::error::AppError;
use crate::people::actor::ActResult;
use crate::people::acts::{self, Act};
use crate::session::access::Admin;
use crate::web::act_request::{ActRequest, Question};
use crate::web::cookies::{BulkNotice, Notice};
use crate::web::pages::{PeopleList, Target};
use crate::web::reply::{redirect_with, redirect_with_code};

/// As many as a page of the list has at most.
const MOST: usize = 200;

/// What can be done to many.
#[derive(Clone, Copy)]
enum BulkAct {
    Disable,
    Enable,
    SignOut,
}

impl BulkAct {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "disable" => Some(Self::Disable),
            "enable" => Some(Self::Enable),
            "sign-out" => Some(Self::SignOut),
            _ => None,
        }
    }

    fn act(self, user_id: String) -> Act {
        match self {
            Self::Disable => Act::Disable { user_id },
            Self::Enable => Act::Enable { user_id },
            Self::SignOut => Act::SignOut { user_id },
        }
    }

    /// Title, button and consequences.
    fn words(self) -> (&'static str, &'static str, &'static [&'static str]) {
        match self {
            Self::Disable => (
                "Disable these users?",
                "Disable",
                &[
                    "Their sessions end immediately on every device.",
                    "Tokens stored for them are deleted.",
                    "They cannot sign in until someone enables them again.",
                ],
            ),
            Self::Enable => ("Enable these users?", "Enable", &["They may sign in here again."]),
            Self::SignOut => (
                "Sign these users out everywhere?",
                "Sign out",
                &[
                    "Their sessions end immediately on every device.",
                    "Tokens stored for them are deleted.",
                    "They can sign in again.",
                ],
            ),
        }
    }
}

/// `POST /admin/users/bulk` with `action` = `disable`, `enable` or `sign-out`, an `id` for each
/// person, and in `back` the query of the list to return to.
///
/// More people than fit into an address are not remembered across a step-up: the list says so.
///
/// # Errors
/// 400 for an unknown action, or more people than a page of the list has.
pub async fn act_on_many(request: ActRequest<Admin>) -> Result<Response, AppError> {
    let action = request.form.get("action").to_owned();
    if action.is_empty() && request.only_asks {
        return Ok(redirect_with(&request.state, "/admin/users", Notice::SelectAnew));
    }
    let bulk = BulkAct::parse(&action)
        .ok_or_else(|| AppError::bad_request("The action is to be disable, enable or sign-out."))?;
    let back = way_back(request.form.get("back"));
    let users = selected(&request).await?;
    if users.is_empty() {
        return Ok(redirect_with(&request.state, &back, Notice::NobodySelected));
    }
    if !request.is_confirmed() {
        return ask(&request, bulk, &users, &back).await;
    }
    let selected = users.len();
    let others = users.into_iter().filter(|user| !is_left_out(&request, bulk, user));
    let acts: Vec<Act> = others.map(|user| bulk.act(user.id)).collect();
    let left_out = selected - acts.len();
    let mut results = acts::run_all(&request.state, acts, request.by()).await?;
    results.extend(std::iter::repeat_n(ActResult::NotOneself, left_out));
    Ok(redirect_with_code(&request.state, &back, &summary(&results).code()))
}

/// Nobody signs themselves out by ticking all boxes, let alone disables themselves.
fn is_left_out(request: &ActRequest<Admin>, bulk: BulkAct, user: &User) -> bool {
    !matches!(bulk, BulkAct::Enable) && user.id == request.viewer.user.id
}

/// The list with the query that the form brings, read and written anew so that nothing else gets
/// into the address.
fn way_back(query: &str) -> String {
    let mut query = app::model::UserQuery::parse(query);
    query.select_all = false;
    app::query::address("/admin/users", &query.to_query_string())
}

/// The people of the form; ids of nobody are passed over.
async fn selected(request: &ActRequest<Admin>) -> Result<Vec<User>, AppError> {
    let mut ids: Vec<String> = request.form.all("id").map(str::to_owned).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.len() > MOST {
        return Err(AppError::bad_request(format!("At most {MOST} people can be acted on at once.")));
    }
    let mut conn = request.state.db.conn().await?;
    Ok(User::list_by_ids(&mut conn, &ids).await?)
}

async fn ask(request: &ActRequest<Admin>, bulk: BulkAct, users: &[User], back: &str) -> Result<Response, AppError> {
    let lists = concerned(request, bulk, users).await?;
    let (title, button, consequences) = bulk.words();
    let mut fields = vec![("action", request.form.get("action")), ("back", request.form.get("back"))];
    fields.extend(users.iter().map(|user| ("id", user.id.as_str())));
    request.confirm(&Question {
        title,
        target: Target::default(),
        lists: &lists,
        consequences,
        action: "/admin/users/bulk",
        fields: &fields,
        button,
        cancel: back,
    })
}

/// Everybody by name: those whom it will be done to, and those who will be left out and why.
async fn concerned(request: &ActRequest<Admin>, bulk: BulkAct, users: &[User]) -> Result<Vec<PeopleList>, AppError> {
    let by = request.by();
    let mut conn = request.state.db.conn().await?;
    let (mut done, mut oneself, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for user in users {
        let person = (user.name().to_owned(), user.upn.clone());
        if is_left_out(request, bulk, user) {
            oneself.push(person);
        } else if acts::refusal(&mut conn, &bulk.act(user.id.clone()), &by).await?.is_some() {
            last.push(person);
        } else {
            done.push(person);
        }
    }
    let count = if done.len() == 1 { "1 person".to_owned() } else { format!("{} people", done.len()) };
    let lists = [
        (count, done),
        ("Left out, because it is you".to_owned(), oneself),
        ("Left out, as the last administrator who can sign in".to_owned(), last),
    ];
    let filled = lists.into_iter().filter(|(_, people)| !people.is_empty());
    Ok(filled.map(|(heading, people)| PeopleList { heading, people, more: 0 }).collect())
}

fn summary(results: &[ActResult]) -> BulkNotice {
    let count = |wanted: ActResult| {
        u16::try_from(results.iter().filter(|result| **result == wanted).count()).unwrap_or(u16::MAX)
    };
    BulkNotice {
        done: count(ActResult::Done),
        unchanged: count(ActResult::Unchanged),
        oneself: count(ActResult::NotOneself),
        last_administrator: count(ActResult::LastAdministrator),
    }
}
