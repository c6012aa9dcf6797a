//! What the directory tells of a user, applied to what is known of them.

use std::ops::AddAssign;

use entra::graph::DirectoryUser;
use store::models::{ADMIN, DirectorySync, GroupChanges, NewAuditEvent, User};
use store::{DbConn, DbError, lock, to_end, write_transaction};

use super::outcome::{RoundError, event};
use super::round::News;
use crate::config::{SyncConfig, TextColumn};
use crate::people::actor::shut_out;
use crate::people::sync::{changes, clean};
use crate::state::AppState;

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Users that the directory told of.
    pub(super) told: usize,
    pub(super) changed: usize,
    pub(super) disabled: usize,
    pub(super) enabled: usize,
}

impl Done {
    pub(super) fn in_words(self) -> String {
        let Self { told, changed, disabled, enabled } = self;
        format!("{told} changes received, {changed} users updated, {disabled} disabled, {enabled} enabled")
    }
}

impl AddAssign for Done {
    fn add_assign(&mut self, more: Self) {
        self.told += more.told;
        self.changed += more.changed;
        self.disabled += more.disabled;
        self.enabled += more.enabled;
    }
}

/// `user` after everything that is `told` of them. What is not told or not filled in stays, and so does what
/// `CLAIM_MAPPING` fills from claims.
pub(super) fn told(config: &SyncConfig, user: &User, told: &[DirectoryUser]) -> User {
    told.iter().fold(user.clone(), |user, entry| told_once(config, user, entry))
}

fn told_once(config: &SyncConfig, mut user: User, entry: &DirectoryUser) -> User {
    if entry.shut_out().is_some() {
        if user.is_active() {
            "disabled".clone_into(&mut user.status);
            "directory".clone_into(&mut user.disabled_by);
        }
    } else if entry.account_enabled == Some(true) && user.disabled_by == "directory" {
        "active".clone_into(&mut user.status);
        user.disabled_by.clear();
    }
    // Of who is deleted the rest is not told, and a guest's UPN in the directory is not the name that they sign in with.
    let upn = entry.user_principal_name.as_ref().filter(|_| !entry.is_guest() && user.user_type != "guest");
    set(&mut user.upn, upn);
    let mapped = |column: TextColumn| config.claim_mapping.iter().any(|(mapped, _)| *mapped == column);
    for (column, value, text) in [
        (TextColumn::DisplayName, &entry.display_name, &mut user.display_name),
        (TextColumn::GivenName, &entry.given_name, &mut user.given_name),
        (TextColumn::FamilyName, &entry.surname, &mut user.family_name),
        (TextColumn::Email, &entry.mail, &mut user.email),
    ] {
        set(text, value.as_ref().filter(|_| !mapped(column)));
    }
    user
}

fn set(column: &mut String, value: Option<&String>) {
    if let Some(value) = value.map(|value| clean(value)).filter(|value| !value.is_empty()) {
        *column = value;
    }
}

/// Writes the news of some users in one transaction that runs to its end, if the lease of `sync` still holds. What
/// happened to a user since the page was read counts: it is compared again.
pub(super) async fn write(
    state: &AppState,
    sync: &DirectorySync,
    news: Vec<(String, News)>,
) -> Result<Done, RoundError> {
    let (state, sync) = (state.clone(), sync.clone());
    to_end(async move {
        let mut conn = state.db.conn().await?;
        let done = write_transaction!(conn, async |conn| {
            lock::role_rules(conn).await?;
            let mut done = Done::default();
            if !sync.is_leased(conn).await? {
                return Err(RoundError::Lost);
            }
            for (user_id, News { told, .. }) in &news {
                done += write_one(&state, conn, user_id, told).await?;
            }
            Ok(done)
        })?;
        state.counts.clear();
        Ok(done)
    })
    .await
}

async fn write_one(state: &AppState, conn: &mut DbConn, id: &str, news: &[DirectoryUser]) -> Result<Done, DbError> {
    let Some(user) = User::find(conn, id).await? else {
        return Ok(Done::default());
    };
    let after = told(&state.config.sync, &user, news);
    if !after.differs_from(&user) {
        return Ok(Done::default());
    }
    let now = state.shared_now();
    after.save_from_directory(conn, now).await?;
    let mut done = Done::default();
    let mut changes = changes(&user, &after, &GroupChanges::default());
    if !changes.is_empty() {
        done.changed = 1;
        changes.push(("source", "directory".to_owned()));
        of(&after, event("user.synced", changes)).insert(conn, now).await?;
    }
    match (user.is_active(), after.is_active()) {
        (true, false) => {
            done.disabled = 1;
            let reason = news.iter().rev().find_map(DirectoryUser::shut_out).unwrap_or_default();
            disabled(conn, &after, reason).await?.insert(conn, now).await?;
        }
        (false, true) => {
            done.enabled = 1;
            let detail = vec![("status", "disabled → active".to_owned())];
            of(&after, event("user.enabled", detail)).insert(conn, now).await?;
        }
        _ => {}
    }
    Ok(done)
}

/// Sessions end, grants and what Graph told are forgotten; returns the event that tells of it.
async fn disabled(conn: &mut DbConn, user: &User, reason: &str) -> Result<NewAuditEvent, DbError> {
    let sessions = shut_out(conn, &user.id).await?;
    let mut detail = vec![
        ("status", "active → disabled".to_owned()),
        ("reason", reason.to_owned()),
        ("sessions_ended", sessions.to_string()),
    ];
    if user.has_role(ADMIN) && User::count_others_with_role(conn, ADMIN, &user.id).await? == 0 {
        tracing::error!(
            user = user.id,
            "the directory has disabled the last administrator: ADMIN_USERS or `server users grant-role` makes one"
        );
        detail.push(("last_administrator", "true".to_owned()));
    }
    Ok(of(user, event("user.disabled", detail)))
}

fn of(user: &User, event: NewAuditEvent) -> NewAuditEvent {
    NewAuditEvent { subject: Some((user.id.clone(), user.upn.clone())), ..event }
}
