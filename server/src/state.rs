//! The running application: everything that handlers, pages and jobs share.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::QueryResult;
use entra::clock::Clock;
use entra::graph::GraphClient;
use entra::http::{HttpClient, HttpError};
use entra::oidc::OidcClient;
use store::models::{LiveAt, User};
use store::{Database, DatabaseClock, DbConn, DbError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::diagnostics::findings::Examinations;
use crate::jobs::board::JobBoard;
use crate::observe::row_budget::RowBudgets;
use crate::observe::{audit_log, telemetry};
use crate::people::counts::CountCache;
use crate::people::hooks::{self, SyncHooks};
use crate::people::refusal::Refusal;
use crate::tokens::TenantPacing;

/// How many people's profiles and groups are asked for at once after refreshes.
const PROFILE_TURNS: usize = 8;

/// What the application is made of. Main and tests build it by [`AppState::new`] alike.
pub struct App {
    /// The settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub db: Database,
    /// The provider that signs people in.
    pub oidc: OidcClient,
    /// Microsoft Graph, if the project has it.
    pub graph: Option<GraphClient>,
    /// Who can sign in at the emulator, in development; shown on the sign-in page.
    pub dev_personas: Vec<String>,
    /// Counts that are shown on pages and may be some seconds old.
    pub counts: CountCache,
    /// How far the database's clock is ahead of this machine's.
    pub database_clock: DatabaseClock,
    /// Which tenants are not to be called now.
    pub pacing: TenantPacing,
    /// Turns of those whose news of a refresh take further calls.
    pub profile_turns: Semaphore,
    /// How many rows of the audit log strangers may cause.
    pub row_budgets: RowBudgets,
    /// How the background jobs fare, and the way to wake them.
    pub jobs: JobBoard,
    /// What the checks of [`crate::diagnostics::doctor`] found last.
    pub examinations: Examinations,
    /// Background work that a shutdown waits for.
    pub tasks: TaskTracker,
    /// What this project does after a sync.
    pub hooks: Arc<dyn SyncHooks>,
    /// Cancelled at shutdown.
    pub shutdown: CancellationToken,
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("App").field("db", &self.db).finish_non_exhaustive()
    }
}

/// A shared handle to the [`App`]; axum's state.
#[derive(Clone, Debug)]
pub struct AppState(Arc<App>);

impl Deref for AppState {
    type Target = App;

    fn deref(&self) -> &App {
        &self.0
    }
}

/// Why the application could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The outgoing client.
    #[error("outgoing calls cannot be set up: {0}")]
    Http(#[from] HttpError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
}

impl AppState {
    /// Builds the application from its settings. Makes no call to the provider or the database.
    ///
    /// # Errors
    /// [`BuildError`] when the pool or the outgoing client cannot be set up.
    pub fn new(config: Config, clock: Clock, dev_personas: Vec<String>) -> Result<Self, BuildError> {
        Self::with_hooks(config, clock, dev_personas, hooks::registered())
    }

    /// The same with other hooks than those of [`hooks::registered`].
    ///
    /// # Errors
    /// As [`AppState::new`].
    pub fn with_hooks(
        config: Config,
        clock: Clock,
        dev_personas: Vec<String>,
        hooks: Arc<dyn SyncHooks>,
    ) -> Result<Self, BuildError> {
        if config.audit_log {
            audit_log::write_out();
        }
        let http = HttpClient::new(&config.http)?.with_trace(telemetry::pass_on);
        let db = Database::open(&config.database, http.extra_certificates())?;
        let oidc = OidcClient::new(config.provider.clone(), http.clone(), clock.clone());
        let graph = config.graph_url.clone().map(|url| GraphClient::new(url, http, clock.clone()));
        Ok(Self(Arc::new(App {
            config,
            clock,
            db,
            oidc,
            graph,
            dev_personas,
            counts: CountCache::default(),
            database_clock: DatabaseClock::default(),
            pacing: TenantPacing::default(),
            profile_turns: Semaphore::new(PROFILE_TURNS),
            row_budgets: RowBudgets::default(),
            jobs: JobBoard::default(),
            examinations: Examinations::default(),
            tasks: TaskTracker::new(),
            hooks,
            shutdown: CancellationToken::new(),
        })))
    }
}

impl App {
    /// Now by the clock that all instances share: the database's. Whatever is written to the database, or compared with
    /// what stands there, goes by it: sessions, leases, due times, events.
    #[must_use]
    pub fn shared_now(&self) -> NaiveDateTime {
        (self.clock.now() + self.database_clock.ahead()).naive_utc()
    }

    /// Measures how far the database's clock is ahead. One that a test moves by hand stands for the database's, too.
    ///
    /// # Errors
    /// From the database.
    pub async fn measure_database_clock(&self, conn: &mut DbConn) -> QueryResult<()> {
        if self.clock.is_manual() {
            return Ok(());
        }
        self.database_clock.measure(conn, || self.clock.now_utc()).await
    }

    /// The instant `time` before now.
    #[must_use]
    pub fn ago(&self, time: Duration) -> NaiveDateTime {
        let time = chrono::Duration::from_std(time).unwrap_or(chrono::Duration::MAX);
        self.shared_now().checked_sub_signed(time).unwrap_or_default()
    }

    /// Whether somebody who has signed in before may still come in, by session or by access token.
    ///
    /// # Errors
    /// Why not.
    pub fn admits(&self, user: &User) -> Result<(), Refusal> {
        let is_blocked_guest = self.config.sync.block_guest_users && user.user_type == "guest";
        match (user.is_active(), is_blocked_guest) {
            (false, _) => Err(Refusal::Disabled),
            (true, true) => Err(Refusal::Guest),
            (true, false) => Ok(()),
        }
    }

    /// What a session must satisfy to be live now.
    #[must_use]
    pub fn live_at(&self) -> LiveAt {
        let now = self.shared_now();
        let idle = chrono::Duration::from_std(self.config.session.idle_timeout).unwrap_or(chrono::Duration::MAX);
        LiveAt { now, seen_since: now - idle }
    }
}
