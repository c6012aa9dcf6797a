//! A round: all pages of a delta query, what they tell that is new, and then writing it.

use std::collections::{BTreeMap, HashSet};

use chrono::NaiveDateTime;
use entra::graph::{DeltaPage, DeltaPosition, DirectoryUser, GraphClient, GraphError};
use store::models::{DirectorySync, DirectorySyncOutcome, User};
use uuid::Uuid;

use super::outcome::{RoundError, lease_end};
use super::{apply, guard};
use crate::state::AppState;

/// Known users read at a time when a whole round is compared with them.
const COMPARED: i64 = 1000;
/// Users written in one transaction.
const WRITTEN: usize = 100;

/// What a round tells of a known user that is new.
pub(super) struct News {
    /// In the order in which it was told.
    pub(super) told: Vec<DirectoryUser>,
    /// Whether it disables them.
    disables: bool,
}

pub(super) struct Round<'a> {
    state: &'a AppState,
    sync: DirectorySync,
    began: NaiveDateTime,
    /// Whether the directory is told of from the beginning: whom it leaves out is gone then.
    is_whole: bool,
    /// How many users were told of.
    told: usize,
    /// The known users that were told of, in a whole round.
    seen: HashSet<Uuid>,
    /// By user id.
    news: BTreeMap<String, News>,
}

type RoundResult<T> = Result<T, RoundError>;

impl<'a> Round<'a> {
    /// A round under the lease of `sync`.
    pub(super) fn new(state: &'a AppState, sync: DirectorySync, began: NaiveDateTime) -> Self {
        Self { state, sync, began, is_whole: false, told: 0, seen: HashSet::new(), news: BTreeMap::new() }
    }

    /// Runs it to its end. The sync comes back with the lease as it stands.
    pub(super) async fn run(mut self) -> Result<(DirectorySync, DirectorySyncOutcome), (DirectorySync, RoundError)> {
        match self.outcome().await {
            Ok(outcome) => Ok((self.sync, outcome)),
            Err(error) => Err((self.sync, error)),
        }
    }

    async fn outcome(&mut self) -> RoundResult<DirectorySyncOutcome> {
        let delta_link = self.read().await?;
        if self.is_whole {
            self.note_missing().await?;
        }
        let disables = count(self.news.values().filter(|news| news.disables).count());
        if disables > 0 {
            let mut conn = self.state.db.conn().await.map_err(RoundError::Database)?;
            let active = User::count_active(&mut conn, &self.sync.tenant_id).await?;
            if guard::is_too_many(disables, active, self.sync.allowed, self.is_whole && self.told == 0) {
                tracing::error!(
                    tenant = self.sync.tenant_id,
                    disables,
                    active,
                    "the directory sync is held back: it would disable too many users"
                );
                return Ok(DirectorySyncOutcome::Held { held: disables, held_of: active });
            }
        }
        let result = self.write().await?;
        Ok(DirectorySyncOutcome::Done { delta_link, result })
    }

    /// Reads every page; returns where the next round begins. What is too old begins anew, once.
    async fn read(&mut self) -> RoundResult<String> {
        let graph = self.state.graph.clone().ok_or(GraphError::Unexpected { detail: "there is no Graph" })?;
        // A link of another cloud, from before GRAPH_URL was changed, is of no use.
        let known = Some(self.sync.delta_link.clone()).filter(|link| graph.is_own_address(link));
        match self.read_from(&graph, known.clone()).await {
            Err(RoundError::Graph(GraphError::ResyncRequired)) if known.is_some() => {
                tracing::info!(tenant = self.sync.tenant_id, "the directory is read from the beginning");
                self.read_from(&graph, None).await
            }
            result => result,
        }
    }

    async fn read_from(&mut self, graph: &GraphClient, from: Option<String>) -> RoundResult<String> {
        self.is_whole = from.is_none();
        self.told = 0;
        self.seen.clear();
        self.news.clear();
        let mut from = from;
        loop {
            self.keep_lease().await?;
            let page = self.page(graph, from.as_deref()).await?;
            self.told += page.users.len();
            self.note(page.users).await?;
            match page.position {
                DeltaPosition::Page(link) => from = Some(link),
                DeltaPosition::End(link) => return Ok(link),
            }
        }
    }

    /// One page. A token that Graph does not take is replaced once.
    async fn page(&self, graph: &GraphClient, from: Option<&str>) -> RoundResult<DeltaPage> {
        let scope = self.state.config.graph_scope().ok_or(GraphError::Unexpected { detail: "there is no Graph" })?;
        let tenant = &self.sync.tenant_id;
        let token = self.state.oidc.app_token(tenant, &scope).await?;
        match graph.users_delta(&token, from).await {
            Err(GraphError::Unauthorized { .. }) => {
                self.state.oidc.forget_app_tokens(tenant);
                let token = self.state.oidc.app_token(tenant, &scope).await?;
                Ok(graph.users_delta(&token, from).await?)
            }
            page => Ok(page?),
        }
    }

    /// Extends the lease.
    async fn keep_lease(&mut self) -> RoundResult<()> {
        if self.state.shutdown.is_cancelled() {
            return Err(RoundError::Shutdown);
        }
        let mut conn = self.state.db.conn().await.map_err(RoundError::Database)?;
        match self.sync.lease(&mut conn, self.began, lease_end(self.state)).await? {
            true => Ok(()),
            false => Err(RoundError::Lost),
        }
    }

    /// Notes of whom something new is told, among those who are known.
    async fn note(&mut self, told: Vec<DirectoryUser>) -> RoundResult<()> {
        let mut conn = self.state.db.conn().await.map_err(RoundError::Database)?;
        let subjects: Vec<&str> = told.iter().map(|user| user.id.as_str()).collect();
        let known = User::list_by_subjects(&mut conn, &self.sync.tenant_id, &subjects).await?;
        let known: BTreeMap<&str, &User> = known.iter().map(|user| (user.subject.as_str(), user)).collect();
        for entry in told {
            if let Some(user) = known.get(entry.id.as_str()) {
                if self.is_whole
                    && let Ok(id) = Uuid::parse_str(&user.id)
                {
                    self.seen.insert(id);
                }
                self.note_one(user, entry);
            }
        }
        Ok(())
    }

    fn note_one(&mut self, user: &User, entry: DirectoryUser) {
        let mut told = self.news.remove(&user.id).map(|news| news.told).unwrap_or_default();
        told.push(entry);
        let after = apply::told(&self.state.config.sync, user, &told);
        if after.differs_from(user) {
            let disables = user.is_active() && !after.is_active();
            self.news.insert(user.id.clone(), News { told, disables });
        }
    }

    /// Notes the known users of whom a whole round did not tell. Who has signed in since it began is there.
    async fn note_missing(&mut self) -> RoundResult<()> {
        let mut after = String::new();
        loop {
            self.keep_lease().await?;
            let mut conn = self.state.db.conn().await.map_err(RoundError::Database)?;
            let users = User::list_of_realm(&mut conn, &self.sync.tenant_id, &after, COMPARED).await?;
            let Some(last) = users.last() else {
                return Ok(());
            };
            after.clone_from(&last.subject);
            let began = self.began;
            for user in users.iter().filter(|user| user.last_sign_in_at < began) {
                let is_seen = Uuid::parse_str(&user.id).is_ok_and(|id| self.seen.contains(&id));
                if !is_seen {
                    self.note_one(user, DirectoryUser::missing(&user.subject));
                }
            }
        }
    }

    /// Writes the news, some users in a transaction each; returns what was done, in words.
    async fn write(&mut self) -> RoundResult<String> {
        let mut news = std::mem::take(&mut self.news).into_iter();
        let mut done = apply::Done { told: self.told, ..apply::Done::default() };
        loop {
            let some: Vec<(String, News)> = news.by_ref().take(WRITTEN).collect();
            if some.is_empty() {
                return Ok(done.in_words());
            }
            self.keep_lease().await?;
            done += apply::write(self.state, &self.sync, some).await?;
        }
    }
}

fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
