//! Forgetting people: whatever is stored about somebody goes, and the audit log keeps what happened without saying to whom.
//!
//! Rows of theirs go with the user's (`ON DELETE CASCADE`; tables of a project do well to say so, too). Audit events stay
//! and keep their ids; names, addresses and facts that name the person give way to a pseudonym. The database lets that
//! happen only to people who are gone and whose erasure is itself in the log (`erased_users` in the migrations).

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use store::models::{AuditEvent, Grant, GraphCache, Group, SessionRecord, User, UserRole, forget_granter, is_known_as};
use store::{Conn, DbConn, DbError, lock, to_end, write_transaction};
use url::form_urlencoded;

use crate::people::actor::{ActResult, By};
use crate::state::AppState;

/// People erased in one run of the job; the next run goes on.
const BATCH: i64 = 500;

/// What stands for an erased person in the audit log; the database knows it, too.
#[must_use]
pub fn pseudonym(user_id: &str) -> String {
    format!("erased-{}", user_id.get(24..).unwrap_or_default())
}

/// What is stored about a person, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Sessions, those past their time as well.
    pub sessions: usize,
    /// Tokens, one grant a resource.
    pub grants: usize,
    /// Groups that they are in.
    pub groups: usize,
    /// Roles, one a source.
    pub roles: usize,
    /// Whether there is a photo.
    pub has_photo: bool,
    /// Other answers of Microsoft Graph.
    pub graph_parts: usize,
    /// Audit events by or on them.
    pub events: usize,
}

impl Inventory {
    /// Counts what is stored about the user with this id.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn of(conn: &mut DbConn, user_id: &str) -> Result<Self, DbError> {
        let graph = GraphCache::list(conn, user_id).await?;
        Ok(Self {
            sessions: usize::try_from(SessionRecord::count_by_user(conn, user_id).await?).unwrap_or_default(),
            grants: Grant::list_by_user(conn, user_id).await?.len(),
            groups: Group::list_by_user(conn, user_id).await?.len(),
            roles: UserRole::list_by_user(conn, user_id).await?.len(),
            has_photo: graph.iter().any(GraphCache::is_photo),
            graph_parts: graph.iter().filter(|part| part.is_text()).count(),
            events: usize::try_from(AuditEvent::count_by_person(conn, user_id).await?).unwrap_or_default(),
        })
    }

    /// For the audit event.
    fn detail(&self) -> Vec<(&'static str, String)> {
        [
            ("sessions", self.sessions),
            ("grants", self.grants),
            ("groups", self.groups),
            ("roles", self.roles),
            ("photo", usize::from(self.has_photo)),
            ("graph_parts", self.graph_parts),
            ("events", self.events),
        ]
        .map(|(name, count)| (name, count.to_string()))
        .to_vec()
    }
}

/// Erases the user with this id. Run it in a write transaction.
///
/// # Errors
/// [`DbError`]; nothing is to be committed then.
pub(crate) async fn erase(conn: &mut DbConn, user_id: &str, by: &By, now: NaiveDateTime) -> Result<ActResult, DbError> {
    let Some(user) = User::find(conn, user_id).await? else {
        return Ok(ActResult::Unchanged);
    };
    lock::audit_log(conn).await?;
    let inventory = Inventory::of(conn, user_id).await?;
    let own = AuditEvent::list_by_person(conn, user_id).await?;
    let names = Names::of(&user, &own);
    let pseudonym = pseudonym(user_id);
    if !User::delete(conn, user_id).await? {
        return Ok(ActResult::Unchanged);
    }
    forget_granter(conn, &names.addresses, &pseudonym).await?;
    GraphCache::delete_where_manager(conn, &user.subject).await?;
    // Before the events change: the database looks for it.
    let subject = Some((user_id.to_owned(), pseudonym.clone()));
    by.event_on("user.erased", subject, inventory.detail()).insert(conn, now).await?;
    for event in own {
        save(conn, event, |event| names.forget_own(event, user_id, &pseudonym)).await?;
    }
    let unique = names.of_nobody_else(conn).await?;
    for event in AuditEvent::list_that_mention(conn, unique.texts.iter().map(String::as_str)).await? {
        save(conn, event, |event| unique.forget_in_detail(event, &pseudonym)).await?;
    }
    for event in AuditEvent::list_by_kinds(conn, &EXPORTS).await? {
        save(conn, event, |event| {
            event.replace_facts(&pseudonym, |key, value| key == FILTERS && looks_for(value, &user));
        })
        .await?;
    }
    Ok(ActResult::Done)
}

async fn save(conn: &mut DbConn, mut event: AuditEvent, forget: impl FnOnce(&mut AuditEvent)) -> Result<(), DbError> {
    let before = event.clone();
    forget(&mut event);
    if event.names_differ(&before) {
        event.save_names(conn).await?;
    }
    Ok(())
}

/// Events that record what somebody looked for, and the fact that says it: a query of an address.
const EXPORTS: [&str; 2] = ["users.exported", "audit.exported"];
const FILTERS: &str = "filters";
/// Filters that take words or names.
const TEXT_FILTERS: [&str; 3] = ["q", "actor", "target"];

/// Whether one of the words that were looked for is the beginning of a name or an address of `user`.
fn looks_for(filters: &str, user: &User) -> bool {
    let names = [&user.upn, &user.email, &user.display_name].map(|name| name.to_lowercase());
    let begins_a_name = |word: &str| {
        let mut parts = names.iter().flat_map(|name| name.split_whitespace().chain(name.split(['@', '.', '-', ' '])));
        word.chars().count() > 2 && parts.any(|part| part.starts_with(word))
    };
    form_urlencoded::parse(filters.as_bytes()).any(|(filter, text)| {
        TEXT_FILTERS.contains(&filter.as_ref()) && text.to_lowercase().split_whitespace().any(begins_a_name)
    })
}

/// Facts in which events of others may name a person; the database lets no other ones go.
const MENTIONS: [&str; 6] = [FILTERS, "upn", "login_hint", "email", "display_name", "error_description"];

/// Facts of an event that are a person's own, whatever they say.
const PERSONAL: [&str; 8] =
    ["upn", "display_name", "email", "given_name", "family_name", "job_title", "department", "login_hint"];

/// Texts by which a person is known, now and before.
#[derive(Debug, Default)]
struct Names {
    /// As they are spelled, and as they are in the query of an address.
    texts: BTreeSet<String>,
    /// Those of them that are user names: what stands beside what they granted.
    addresses: Vec<String>,
}

impl Names {
    /// From their row, and from events by and on them, which have the names that they had then.
    fn of(user: &User, own: &[AuditEvent]) -> Self {
        let mut names = Self::default();
        names.add_address(&user.upn);
        for text in [&user.email, &user.subject, &user.id] {
            names.add(text);
        }
        names.add_full_name(&user.display_name);
        for event in own {
            if event.actor_id.as_ref() == Some(&user.id) {
                names.add_address(&event.actor_name);
            }
            if event.subject_id.as_ref() != Some(&user.id) {
                continue;
            }
            names.add_address(&event.subject_name);
            for (key, value) in event.facts() {
                for text in value.split(" → ") {
                    match key.as_str() {
                        "upn" | "email" => names.add(text),
                        "display_name" => names.add_full_name(text),
                        _ => {}
                    }
                }
            }
        }
        names
    }

    fn add_address(&mut self, text: &str) {
        self.add(text);
        if !text.is_empty() && !self.addresses.iter().any(|known| known == text) {
            self.addresses.push(text.to_owned());
        }
    }

    /// One word may be anything: `Admin` is no name that could be looked for.
    fn add_full_name(&mut self, text: &str) {
        if text.trim().contains(char::is_whitespace) {
            self.add(text);
        }
    }

    fn add(&mut self, text: &str) {
        if text.chars().count() < 4 {
            return;
        }
        self.texts.insert(text.to_owned());
        self.texts.insert(form_urlencoded::byte_serialize(text.as_bytes()).collect());
    }

    /// Those that nobody else here is known by: in events of others, the rest may mean the others.
    async fn of_nobody_else(self, conn: &mut DbConn) -> Result<Self, DbError> {
        let mut unique = Self::default();
        for text in self.texts {
            let decoded = form_urlencoded::parse(text.as_bytes()).next().map(|(name, _)| name.into_owned());
            if !is_known_as(conn, &text).await? && !is_known_as(conn, &decoded.unwrap_or_default()).await? {
                unique.texts.insert(text);
            }
        }
        Ok(unique)
    }

    fn forget_own(&self, event: &mut AuditEvent, user_id: &str, pseudonym: &str) {
        let is_them = |id: &Option<String>| id.as_deref() == Some(user_id);
        // The address is of whoever acted; of the person concerned when nobody is known to have.
        if is_them(&event.actor_id) || (event.actor_id.is_none() && is_them(&event.subject_id)) {
            event.address.clear();
        }
        if is_them(&event.actor_id) {
            pseudonym.clone_into(&mut event.actor_name);
        }
        let is_on_them = is_them(&event.subject_id);
        if is_on_them {
            pseudonym.clone_into(&mut event.subject_name);
        }
        event.replace_facts(pseudonym, |key, value| {
            (is_on_them && PERSONAL.contains(&key)) || self.texts.iter().any(|name| mentions(value, name))
        });
    }

    fn forget_in_detail(&self, event: &mut AuditEvent, pseudonym: &str) {
        let has_changed = event.replace_facts(pseudonym, |key, value| {
            MENTIONS.contains(&key) && self.texts.iter().any(|name| mentions(value, name))
        });
        if has_changed && event.actor_id.is_none() && event.subject_id.is_none() {
            event.address.clear();
        }
    }
}

/// Whether `text` has `name` in it, in any case and not as a part of a longer one: `al@contoso.example` is not in
/// `sal@contoso.example`.
fn mentions(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(&name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let mut after = text[at + name.len()..].chars();
        let next = after.next();
        let goes_on = next.is_some_and(is_part) || (next == Some('.') && after.next().is_some_and(is_part));
        !before.is_some_and(|c| is_part(c) || matches!(c, '.' | '+')) && !goes_on
    })
}

/// Whom `ERASE_USERS_AFTER` is about at the next run: how many, and the first of them, those who were here least lately
/// first.
///
/// # Errors
/// [`DbError`].
pub async fn due(state: &AppState, limit: i64) -> Result<Option<(i64, Vec<User>)>, DbError> {
    let Some(since) = since(state) else {
        return Ok(None);
    };
    let mut conn = state.db.conn().await?;
    let users = User::list_unseen(&mut conn, since, limit).await?;
    Ok(Some((User::count_unseen(&mut conn, since).await?, users)))
}

/// Erases who is due; how many.
///
/// # Errors
/// [`DbError`], after the others: one who cannot be erased holds up nobody.
pub async fn run_due(state: &AppState) -> Result<usize, DbError> {
    let Some(since) = since(state) else {
        return Ok(0);
    };
    let mut conn = state.db.conn().await?;
    let users = User::list_unseen(&mut conn, since, BATCH).await?;
    drop(conn);
    let (mut erased, mut failure) = (0, None);
    for user in users {
        if state.shutdown.is_cancelled() {
            break;
        }
        match erase_if_due(state, user.id.clone(), since).await {
            Ok(ActResult::Done) => erased += 1,
            Ok(_) => {}
            Err(error) => {
                tracing::error!(user = user.id, %error, "somebody could not be erased");
                failure = Some(error);
            }
        }
    }
    state.counts.clear();
    failure.map_or(Ok(erased), Err)
}

/// Whoever comes back at the last moment stays.
async fn erase_if_due(state: &AppState, user_id: String, since: NaiveDateTime) -> Result<ActResult, DbError> {
    let state = state.clone();
    to_end(async move {
        let mut conn: Conn = state.db.conn().await?;
        write_transaction!(conn, async |conn| {
            lock::role_rules(conn).await?;
            lock::user(conn, &user_id).await?;
            match User::is_unseen(conn, &user_id, since).await? {
                true => erase(conn, &user_id, &By::system(), state.shared_now()).await,
                false => Ok(ActResult::Unchanged),
            }
        })
    })
    .await
}

/// Who has not been here since is due; `None` while nobody is.
fn since(state: &AppState) -> Option<NaiveDateTime> {
    let after = chrono::Duration::from_std(state.config.erase_users_after?).ok()?;
    state.shared_now().checked_sub_signed(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_in_any_case_and_not_within_another() {
        for text in ["al@x.de", "AL@X.DE → al@y.de", "q=al@x.de&role=admin", "(al@x.de).", "ends with al@x.de."] {
            assert!(mentions(text, "al@x.de"), "{text}");
        }
        for text in ["sal@x.de", "al@x.de.example", "s.al@x.de", "al@x.dev", "s-al@x.de", ""] {
            assert!(!mentions(text, "al@x.de"), "{text}");
        }
    }
}
