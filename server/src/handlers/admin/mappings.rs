//! Changes of the role mappings: a dry run that names who gains or loses, then the change.

use axum::response::Response;
use url::form_urlencoded;

use crate::access::Admin;
use crate::acts::ActResult;
use crate::config::{RoleRule, is_role_name};
use crate::cookies::Notice;
use crate::error::AppError;
use crate::handlers::act_request::{ActRequest, Question};
use crate::handlers::redirect_with;
use crate::models::User;
use crate::pages::{PeopleList, Target};
use crate::role_mappings::{self, Effect, MappingChange};

const LIST: &str = "/admin/groups";
/// People named in a dry run; the rest is a number.
const NAMED: usize = 20;
/// Longest group id or app role in characters; Entra allows 120.
const MAX_VALUE: usize = 200;

/// `POST /admin/groups/mappings` with `value` (group object id or app role), `role` and `action` =
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
    let rule = RoleRule {
        value: request.form.get("value").trim().to_lowercase(),
        role: request.form.get("role").trim().to_owned(),
    };
    if !is_valid(&rule) {
        return Ok(redirect_with(&request.state, &filled_in(&rule), Notice::MappingInvalid));
    }
    let change = MappingChange { rule, is_added };
    if !request.is_confirmed() {
        return dry_run(&request, &change).await;
    }
    let (state, _, by) = request.into_parts();
    let result = role_mappings::apply(&state, change, by).await?;
    Ok(redirect_with(&state, LIST, notice(result, is_added)))
}

fn is_valid(rule: &RoleRule) -> bool {
    let length = rule.value.chars().count();
    let is_text = (1..=MAX_VALUE).contains(&length) && !rule.value.chars().any(char::is_control);
    is_text && is_role_name(&rule.role)
}

/// The list with what was typed still in the form.
fn filled_in(rule: &RoleRule) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("value", &rule.value).append_pair("role", &rule.role);
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
    let mut conn = request.state.db.conn().await?;
    let effect = role_mappings::effect(&request.state, &mut conn, change).await?;
    if let Some(refused) = role_mappings::refusal(&mut conn, change, &effect, &request.by()).await? {
        return Ok(redirect_with(&request.state, LIST, notice(refused, change.is_added)));
    }
    let shown: Vec<String> = effect.effective.iter().take(NAMED).cloned().collect();
    let people = User::list_by_ids(&mut conn, &shown).await?;
    drop(conn);
    let RoleRule { value, role } = &change.rule;
    let list = people_list(&effect, people, role, change.is_added);
    let (title, action, button) = match change.is_added {
        true => ("Save this mapping?", "add", "Save"),
        false => ("Remove this mapping?", "remove", "Remove"),
    };
    request.confirm(&Question {
        title,
        target: Target { name: value, detail: role },
        lists: &[list],
        consequences: &["It is done at once for everybody who is known here, and for others at their next sign-in."],
        action: "/admin/groups/mappings",
        fields: &[("value", value), ("role", role), ("action", action)],
        button,
        cancel: LIST,
    })
}

/// `These 3 people would lose admin`, with their names.
fn people_list(effect: &Effect, people: Vec<User>, role: &str, is_added: bool) -> PeopleList {
    let verb = if is_added { "gain" } else { "lose" };
    let heading = match effect.effective.len() {
        0 => format!("Nobody who is known here would {verb} {role}"),
        1 => format!("This 1 person would {verb} {role}"),
        count => format!("These {count} people would {verb} {role}"),
    };
    let more = effect.effective.len().saturating_sub(people.len()) as u64;
    let people = people.into_iter().map(|user| (user.name().to_owned(), user.upn)).collect();
    PeopleList { heading, people, more }
}
