//! `server serve`: from settings to a listening process, and down again without losing work.

use std::time::Duration;

use entra::clock::Clock;
use store::models::AuditEvent;
use store::{DbError, migrate};
use tokio::net::TcpListener;

use crate::config::build::Build;
use crate::config::dotenv::Environment;
use crate::config::problems::Problems;
use crate::config::settings::Settings;
#[cfg(debug_assertions)]
use crate::config::{Config, Problem};
use crate::people::actor::ActError;
use crate::people::role_mappings;
use crate::state::{AppState, BuildError};
use crate::web::connections::{self, Limits};
use crate::web::monitoring;
use crate::{jobs, router};

/// How long a start waits for a database that does not answer yet.
const DATABASE_TRIES: u32 = 30;
/// How long requests and jobs may take to end at a shutdown.
const DRAIN: Duration = Duration::from_secs(30);

/// Why the server did not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The settings.
    #[error("{0}")]
    Settings(Problems),
    /// Building the application.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// What a command did to a user.
    #[error(transparent)]
    Act(#[from] ActError),
    /// What a command was asked cannot be done.
    #[error("{0}")]
    Command(String),
    /// The listener, or the emulator's.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Who can sign in during development, and where.
#[derive(Clone, Debug, Default)]
pub struct DevSignIn {
    /// The emulator's address.
    pub base_url: String,
    /// The personas.
    pub personas: Vec<String>,
}

/// Validates the settings and builds the application.
///
/// # Errors
/// [`ServeError`] with every problem of the settings at once.
pub fn build(settings: &Settings, environment: &Environment, dev: Option<&DevSignIn>) -> Result<AppState, ServeError> {
    let build = Build::current(settings, dev.is_some());
    let config = settings.validate(&build, environment).map_err(ServeError::Settings)?;
    let personas = dev.map(|dev| dev.personas.clone()).unwrap_or_default();
    Ok(AppState::new(config, Clock::system(), personas)?)
}

/// A debug build is for a developer's machine: slow, with checks of its own, and able to start an emulator that signs
/// anybody in.
///
/// # Errors
/// [`ServeError::Settings`] for a `PUBLIC_URL` at which others could reach it.
#[cfg(debug_assertions)]
pub fn refuse_the_public(config: &Config) -> Result<(), ServeError> {
    let text = "this is a debug build, which serves nobody but its developer; build with --release";
    match config.public_url.is_public() {
        true => Err(ServeError::Settings(Problems::new(vec![Problem::new(["PUBLIC_URL"], text)]))),
        false => Ok(()),
    }
}

/// Logs what the settings allow but probably do not mean; `dev` says whether the emulator signs people in.
pub fn warn(settings: &Settings, environment: &Environment, dev: bool) {
    for warning in settings.warnings(&Build::current(settings, dev), environment) {
        tracing::warn!(%warning, "a setting is probably not meant so");
    }
}

/// The application for a command that needs the database only: in development without a provider,
/// the provider's settings are made up, since nothing is asked of it.
///
/// # Errors
/// As [`build`].
pub fn build_for_command(settings: &Settings, environment: &Environment) -> Result<AppState, ServeError> {
    let mut settings = settings.clone();
    if cfg!(debug_assertions) && settings.name_no_provider() {
        settings.entra_tenant_id = Some(uuid::Uuid::nil().to_string());
        settings.entra_client_id = Some(uuid::Uuid::nil().to_string());
        settings.entra_client_secret = Some("not used".to_owned());
        let build = Build { dev: true, ..Build::current(&settings, true) };
        let config = settings.validate(&build, environment).map_err(ServeError::Settings)?;
        return Ok(AppState::new(config, Clock::system(), Vec::new())?);
    }
    build(&settings, environment, None)
}

/// Serves until the process is told to end (SIGTERM, SIGINT), then lets work under way finish.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(state: AppState, dev: Option<DevSignIn>) -> Result<(), ServeError> {
    migrate_when_there(&state).await?;
    keep_audit_events(&state).await?;
    role_mappings::reconcile_at_start(&state).await?;
    let address = state.config.bind_addr;
    let io = |source| ServeError::Io { what: format!("listening on {address} (BIND_ADDR)"), source };
    let listener = TcpListener::bind(address).await.map_err(io)?;
    if let Some(address) = state.config.metrics_addr {
        let io = |source| ServeError::Io { what: format!("listening on {address} (METRICS_ADDR)"), source };
        monitoring::listen(&state, address).await.map_err(io)?;
    }
    jobs::start(&state);
    announce(&state, dev.as_ref());
    let app = router::build(state.clone());
    let server = tokio::spawn(connections::serve(listener, app, Limits::of_process(), state.shutdown.clone()));
    told_to_end().await;
    tracing::info!("shutting down: no new requests, work under way may finish");
    state.shutdown.cancel();
    state.tasks.close();
    let drained = async {
        let _ = server.await;
        state.tasks.wait().await;
    };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("some work did not finish within 30 s");
    }
    state.db.close();
    Ok(())
}

/// Tells the database for how long it is to keep audit events: it refuses to delete them earlier.
///
/// # Errors
/// [`DbError`].
pub async fn keep_audit_events(state: &AppState) -> Result<(), DbError> {
    let mut conn = state.db.conn().await?;
    Ok(AuditEvent::keep_for(&mut conn, state.config.audit_retention).await?)
}

async fn migrate_when_there(state: &AppState) -> Result<(), ServeError> {
    let mut tries = 0;
    loop {
        match migrate::run(&state.db).await {
            Ok(applied) if applied.is_empty() => return Ok(()),
            Ok(applied) => {
                tracing::info!(?applied, "migrations ran");
                return Ok(());
            }
            Err(DbError::Unavailable(reason)) if tries < DATABASE_TRIES => {
                tries += 1;
                tracing::warn!(%reason, tries, "waiting for the database");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Tells a developer where to go and who can sign in; a log line for everybody else.
fn announce(state: &AppState, dev: Option<&DevSignIn>) {
    let url = state.config.public_url.origin();
    tracing::info!(%url, address = %state.config.bind_addr, "listening");
    let Some(dev) = dev else {
        return;
    };
    let personas: Vec<String> = dev.personas.iter().map(|persona| format!("    {persona}")).collect();
    eprintln!(
        "\n  {} is at {url}\n  Sign in with the Entra emulator ({}) as one of\n{}\n",
        app::brand::TITLE,
        dev.base_url,
        personas.join("\n"),
    );
}

#[cfg(unix)]
async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => drop(interrupt.await),
    }
}

#[cfg(not(unix))]
async fn told_to_end() {
    drop(tokio::signal::ctrl_c().await);
}
