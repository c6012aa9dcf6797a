//! Changes of the role mappings: a dry run that names who gains or loses, then the change.

use axum::response::Response;
use store::models::User;
use url::form_urlencoded;

use crate::config::RoleRule;
use crate::error::AppError;
use crate::people::actor::ActResult;
use crate::people::role_mappings::{self, MappingChange, RoleChange};
use crate::session::access::Admin;
use crate::web::act_request::{ActRequest, Question};
use crate::web::cookies::Notice;
use crate::web::pages::{PeopleList, Target};
use crate::web::reply::redirect_with;

const LIST: &str = "/admin/groups";
/// People named in a dry run; the rest is a number.
const NAMED: usize = 20;

/// `POST /admin/groups/mappings` with `value` (a rule's condition), `role` and `action` =
/// `add` or `remove`; without `confirm=yes` it says what would happen. `GET` asks only.
///
/// # Errors
/// 400 for an unknown action.
pub async fn change_mapping(request: ActRequest<Admin>) -> Result<Response, AppError> {
    let is_added = match request.form.get("action") {
        "add" => true,
        "remove" => false,
        _ => return Err(AppError::bad_request("The action is to be add or remove.")),
    };
    let (value, role) = (request.form.get("value").trim(), request.form.get("role").trim());
    let Ok(rule) = RoleRule::parse(value, role) else {
        return Ok(redirect_with(&request.state, &filled_in(value, role), Notice::MappingInvalid));
    };
    let change = MappingChange { rule, is_added };
    if !request.is_confirmed() {
        return dry_run(&request, &change).await;
    }
    let (state, _, by) = request.into_parts();
    let result = role_mappings::apply(&state, change, by).await?;
    Ok(redirect_with(&state, LIST, notice(result, is_added)))
}

/// The list with what was typed still in the form.
fn filled_in(value: &str, role: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("value", value).append_pair("role", role);
    format!("{LIST}?{}", query.finish())
}

fn notice(result: ActResult, is_added: bool) -> Notice {
    match result {
        ActResult::Done if is_added => Notice::MappingAdded,
        ActResult::Done => Notice::MappingRemoved,
        ActResult::NotOneself => Notice::NotOneself,
        ActResult::LastAdministrator => Notice::LastAdministrator,
        ActResult::FromProvider => Notice::MappingOfSetting,
        ActResult::Unchanged => Notice::NothingChanged,
    }
}

async fn dry_run(request: &ActRequest<Admin>, change: &MappingChange) -> Result<Response, AppError> {
    let effect = match role_mappings::try_out(&request.state, change.clone(), request.by()).await? {
        Ok(effect) => effect,
        Err(refused) => return Ok(redirect_with(&request.state, LIST, notice(refused, change.is_added))),
    };
    let (value, role) = (change.rule.condition.to_string(), &change.rule.role);
    let nothing = RoleChange { is_gained: change.is_added, ..RoleChange::none(role) };
    let is_expected = |found: &&RoleChange| found.role == *role && found.is_gained == change.is_added;
    let expected = effect.changes.iter().find(is_expected).unwrap_or(&nothing);
    let others = effect.changes.iter().filter(|found| !is_expected(found) && !found.effective.is_empty());
    let mut conn = request.state.db.conn().await?;
    let mut lists = Vec::new();
    for found in [expected].into_iter().chain(others) {
        let shown: Vec<String> = found.effective.iter().take(NAMED).cloned().collect();
        lists.push(people_list(found, User::list_by_ids(&mut conn, &shown).await?));
    }
    drop(conn);
    let (title, action, button) = match change.is_added {
        true => ("Save this mapping?", "add", "Save"),
        false => ("Remove this mapping?", "remove", "Remove"),
    };
    request.confirm(&Question {
        title,
        target: Target { name: &value, detail: role },
        lists: &lists,
        consequences: &["It is done at once for everybody who is known here, and for others at their next sign-in."],
        action: "/admin/groups/mappings",
        fields: &[("value", &value), ("role", role), ("action", action)],
        button,
        cancel: LIST,
    })
}

/// `These 3 people would lose admin`, with their names.
fn people_list(change: &RoleChange, people: Vec<User>) -> PeopleList {
    let (verb, role) = (if change.is_gained { "gain" } else { "lose" }, &change.role);
    let heading = match change.effective.len() {
        0 => format!("Nobody who is known here would {verb} {role}"),
        1 => format!("This 1 person would {verb} {role}"),
        count => format!("These {count} people would {verb} {role}"),
    };
    let more = change.effective.len().saturating_sub(people.len()) as u64;
    let people = people.into_iter().map(|user| (user.name().to_owned(), user.upn)).collect();
    PeopleList { heading, people, more }
}
