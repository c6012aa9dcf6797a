//! tower-sessions on Diesel. A row exists only for somebody who has signed in; the table holds a
//! digest of the id, and the columns that the admin pages need.
//!
//! A save never brings an ended session back (it is an `UPDATE`), and the
//! absolute end travels with the sign-in, so that a renewed id does not extend it.

use async_trait::async_trait;
use chrono::{DateTime, NaiveDateTime, Utc};
use entra::crypto::digest;
use serde::{Deserialize, Serialize};
use store::models::{NewSession, SessionRecord};
use store::{DbError, to_end};
use time::OffsetDateTime;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{Error, Result, SessionStore};

use crate::state::AppState;

/// The one key of a session's data.
pub const SIGNED_IN: &str = "signed_in";

/// What a session knows about its sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInDetails {
    /// The row's id: the same for the whole life of the session, also when the cookie is renewed.
    pub session_id: String,
    /// Who signed in.
    pub user_id: String,
    /// The provider's session id, for front-channel logout.
    pub sid: Option<String>,
    /// Entra's opaque `login_hint` claim, sent as `logout_hint` at sign-out.
    pub login_hint: Option<String>,
    /// When the provider authenticated the person; when they signed in here, if that is not known.
    pub auth_time: DateTime<Utc>,
    /// Whether it is known. Sessions from before this was noted do not count as fresh.
    #[serde(default)]
    pub auth_time_is_known: bool,
    /// The authentication contexts that were proven (Entra's `acrs`, else `acr`).
    pub auth_contexts: Vec<String>,
    /// How the person proved who they are, if the provider said so (`amr`).
    pub auth_methods: Vec<String>,
    /// Client address at the sign-in.
    pub address: String,
    /// User agent at the sign-in.
    pub user_agent: String,
    /// Absolute end.
    pub expires_at: DateTime<Utc>,
}

impl SignInDetails {
    /// When the provider authenticated the person, if that is known.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<DateTime<Utc>> {
        self.auth_time_is_known.then_some(self.auth_time)
    }

    /// Reads it from a session's row; `None` if the row holds none.
    #[must_use]
    pub fn of(session: &SessionRecord) -> Option<Self> {
        #[derive(Deserialize)]
        struct Data {
            signed_in: SignInDetails,
        }
        Some(serde_json::from_str::<Data>(&session.data).ok()?.signed_in)
    }
}

/// Stores sessions in the table `sessions`.
#[derive(Clone, Debug)]
pub struct DieselStore {
    state: AppState,
}

impl DieselStore {
    /// A store on the application's database, clock and time-outs.
    #[must_use]
    pub fn new(state: AppState) -> Self {
        Self { state }
    }

    fn new_session(&self, record: &Record) -> Result<NewSession> {
        let value = record.data.get(SIGNED_IN).cloned().unwrap_or_default();
        let signed_in: SignInDetails =
            serde_json::from_value(value).map_err(|error| Error::Encode(error.to_string()))?;
        let now = self.state.shared_now();
        Ok(NewSession {
            id: signed_in.session_id,
            id_hash: hash(record.id),
            user_id: signed_in.user_id,
            sid: signed_in.sid,
            address: signed_in.address,
            user_agent: signed_in.user_agent,
            data: encode(record)?,
            created_at: now,
            last_seen_at: now,
            expires_at: signed_in.expires_at.naive_utc(),
        })
    }
}

#[async_trait]
impl SessionStore for DieselStore {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let mut session = self.new_session(record)?;
        let mut conn = self.state.db.conn().await.map_err(backend)?;
        while !session.insert(&mut conn).await.map_err(query)? {
            record.id = Id::default();
            session.id_hash = hash(record.id);
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let (hash, data) = (hash(record.id), encode(record)?);
        // The session's layer saves once more what a sign-in has just saved.
        let mut conn = self.state.db.read().await.map_err(backend)?;
        let stored = SessionRecord::find_live(&mut conn, &hash, self.state.live_at()).await.map_err(query)?;
        drop(conn);
        if stored.is_none_or(|stored| stored.data == data) {
            return Ok(());
        }
        let mut conn = self.state.db.conn().await.map_err(backend)?;
        SessionRecord::save_data(&mut conn, &hash, &data).await.map_err(query)?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let mut conn = self.state.db.read().await.map_err(backend)?;
        let found = SessionRecord::find_live(&mut conn, &hash(*id), self.state.live_at()).await;
        let Some(session) = found.map_err(query)? else {
            return Ok(None);
        };
        let data = serde_json::from_str(&session.data).map_err(|error| Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data, expiry_date: offset(session.expires_at) }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let (db, hash) = (self.state.db.clone(), hash(*id));
        let deleted = to_end(async move {
            let mut conn = db.conn().await?;
            SessionRecord::delete_by_hash(&mut conn, &hash).await.map_err(DbError::from)
        });
        deleted.await.map_err(backend)?;
        Ok(())
    }
}

/// What the table has in place of the id.
#[must_use]
pub fn hash(id: Id) -> Vec<u8> {
    digest(&id.0.to_le_bytes())
}

fn encode(record: &Record) -> Result<String> {
    serde_json::to_string(&record.data).map_err(|error| Error::Encode(error.to_string()))
}

fn backend(error: DbError) -> Error {
    Error::Backend(error.to_string())
}

fn query(error: diesel::result::Error) -> Error {
    backend(error.into())
}

fn offset(at: NaiveDateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.and_utc().timestamp()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
