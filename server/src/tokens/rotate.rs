//! `server keys rotate`: seals every grant anew with the ring's first key, beside a running server.
//!
//! A row is replaced only if it still holds what was read, and its version stays: a refresh under
//! way keeps its lease and writes its own result, sealed with the first key, over this one.

use store::DbError;
use store::models::{Grant, NewAuditEvent};

use super::{open, seal};
use crate::state::AppState;

/// Grants read at a time.
const BATCH: i64 = 200;
/// How often a row is tried that somebody else is writing.
const TRIES: usize = 5;

/// What a rotation came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Grants sealed anew.
    pub resealed: usize,
    /// Grants that had the first key already.
    pub current: usize,
    /// Ids of grants that no key of the ring opens; they stay as they are, and the next sign-in
    /// replaces them.
    pub unreadable: Vec<String>,
}

enum Resealed {
    Now,
    Before,
    Unreadable,
    Gone,
}

/// Seals every grant with the first key of `TOKEN_ENCRYPTION_KEYS` and records it.
///
/// # Errors
/// [`DbError`]; what was sealed until then stays so, and running it again goes on.
pub async fn rotate(state: &AppState) -> Result<Rotation, DbError> {
    let mut rotation = Rotation::default();
    let mut after = String::new();
    loop {
        let mut conn = state.db.conn().await?;
        let ids = Grant::ids(&mut conn, &after, BATCH).await?;
        drop(conn);
        let Some(last) = ids.last().cloned() else { break };
        after = last;
        for id in ids {
            match reseal(state, &id).await? {
                Resealed::Now => rotation.resealed += 1,
                Resealed::Before => rotation.current += 1,
                Resealed::Unreadable => rotation.unreadable.push(id),
                Resealed::Gone => {}
            }
        }
    }
    record(state, &rotation).await?;
    Ok(rotation)
}

async fn reseal(state: &AppState, id: &str) -> Result<Resealed, DbError> {
    let keys = &state.config.tokens.keys;
    for _ in 0..TRIES {
        let mut conn = state.db.conn().await?;
        let Some(grant) = Grant::find(&mut conn, id).await? else { return Ok(Resealed::Gone) };
        if keys.is_current(&grant.sealed) {
            return Ok(Resealed::Before);
        }
        let fresh = open(keys, &grant).and_then(|tokens| Ok(seal(keys, &grant.id, &tokens)?));
        let Ok(fresh) = fresh else { return Ok(Resealed::Unreadable) };
        if grant.reseal(&mut conn, fresh).await? {
            return Ok(Resealed::Now);
        }
    }
    Err(DbError::Unavailable(format!("the grant {id} is written again and again; run the command once more")))
}

async fn record(state: &AppState, rotation: &Rotation) -> Result<(), DbError> {
    let event = NewAuditEvent {
        kind: "keys.rotated",
        actor: Some(("command-line".to_owned(), "command line".to_owned())),
        detail: vec![
            ("key", state.config.tokens.keys.current_id().to_owned()),
            ("resealed", rotation.resealed.to_string()),
            ("current", rotation.current.to_string()),
            ("unreadable", rotation.unreadable.len().to_string()),
        ],
        ..NewAuditEvent::default()
    };
    let mut conn = state.db.conn().await?;
    event.insert(&mut conn, state.shared_now()).await?;
    Ok(())
}
