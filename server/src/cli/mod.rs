//! The command line: `server serve | migrate | doctor | healthcheck | entra-setup | users … | keys …`.

#[cfg(all(feature = "dev-entra", debug_assertions))]
pub mod dev;
pub mod entra_setup;
pub mod healthcheck;

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use entra::crypto::KeyRing;
use entra::http::HttpClient;
use store::models::{ADMIN, User};
use store::{Database, migrate};

use crate::cli::entra_setup::{Format, Registration};
use crate::config::build::Build;
use crate::config::dotenv::Environment;
use crate::config::settings::Settings;
use crate::diagnostics::doctor;
use crate::diagnostics::findings::Level;
use crate::observe::telemetry;
use crate::people::actor::{ActResult, By};
use crate::people::acts::{self, Act};
use crate::serve::{self, ServeError};
use crate::state::{AppState, BuildError};
use crate::tokens;

/// A server-rendered web application behind Microsoft Entra ID.
#[derive(Debug, Parser)]
#[command(name = "server", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the application; also what happens without a command
    Serve(Box<Settings>),
    /// Bring the database's schema up to date and end
    Migrate(Box<Settings>),
    /// Check settings, database, provider and registration, and say what to do; exit code 1 if something fails
    Doctor(Box<DoctorArgs>),
    /// Ask the server that runs on this machine whether it lives; exit code 1 if not
    Healthcheck(Box<Settings>),
    /// Print how to register this application with Entra ID, from its settings
    EntraSetup(Box<EntraSetupArgs>),
    /// Grant and revoke roles, disable, enable and erase users
    Users(Box<UsersArgs>),
    /// Make encryption keys, and change to a new one
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
}

#[derive(Debug, Args)]
struct DoctorArgs {
    /// Print the findings as JSON, for scripts
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Box<Settings>,
}

#[derive(Debug, Args)]
struct EntraSetupArgs {
    /// What to print
    #[arg(value_enum, default_value_t = Format::Steps)]
    format: Format,
    #[command(flatten)]
    settings: Box<Settings>,
}

#[derive(Debug, Args)]
struct UsersArgs {
    #[command(subcommand)]
    command: UsersCommand,
}

#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// Grant a role to a user
    GrantRole(RoleArgs),
    /// Revoke a role that was granted here
    RevokeRole(RoleArgs),
    /// Disable a user: sessions end, tokens are forgotten, no further sign-in
    Disable(UserArgs),
    /// Let a disabled user sign in again
    Enable(UserArgs),
    /// Erase a user: everything stored about them goes, and audit events lose their name; this cannot be undone
    Delete(UserArgs),
}

#[derive(Debug, Args)]
struct RoleArgs {
    /// The user: their id here, or `tenant id/object id` (`issuer#subject` with another provider)
    user: String,
    /// The role, for example `admin`
    role: String,
    #[command(flatten)]
    settings: Box<Settings>,
}

#[derive(Debug, Args)]
struct UserArgs {
    /// The user: their id here, or `tenant id/object id` (`issuer#subject` with another provider)
    user: String,
    #[command(flatten)]
    settings: Box<Settings>,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Print a new key for `TOKEN_ENCRYPTION_KEYS`
    New {
        /// The key's id; it stands in front of the key and in every sealed row
        #[arg(long, default_value_t = default_key_id())]
        id: String,
    },
    /// Seal every stored token anew with the first key of `TOKEN_ENCRYPTION_KEYS`, while the server runs
    Rotate(Box<Settings>),
}

/// Threads besides the runtime's own, for work that may wait: SQLite's four connections for writes and long reads, files,
/// and names. Each keeps a heap; with as many as tokio allows, a burst of searches made the process half as large again.
const BLOCKING_THREADS: usize = 8;

/// Today, so that a ring tells how old its keys are.
fn default_key_id() -> String {
    format!("k{}", entra::clock::Clock::system().now().format("%Y%m%d"))
}

/// The process: reads the command line and the environment, does what is asked, says how it went.
/// 0 is success, 1 a failure, 2 wrong settings or a wrong command line.
#[must_use]
pub fn main() -> ExitCode {
    let environment = Environment::load();
    let cli = match std::env::args_os().len() {
        0 | 1 => Cli::parse_from(["server", "serve"]),
        _ => Cli::parse(),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.enable_all().max_blocking_threads(BLOCKING_THREADS).build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string(), 1),
    };
    match runtime.block_on(run(cli, environment)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ServeError::Settings(problems)) => fail(&problems.to_string(), 2),
        Err(error) => fail(&error.to_string(), 1),
    }
}

fn fail(text: &str, code: u8) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(code)
}

async fn run(cli: Cli, environment: Environment) -> Result<(), ServeError> {
    match cli.command {
        Some(Command::Serve(settings)) => {
            let _telemetry = telemetry::start();
            serve_with(*settings, &environment).await
        }
        Some(Command::Migrate(settings)) => migrate_with(&settings, &environment).await,
        Some(Command::Users(args)) => users_with(args.command, &environment).await,
        Some(Command::Doctor(args)) => doctor_with(*args, &environment).await,
        Some(Command::Healthcheck(settings)) => healthcheck_with(&settings, &environment),
        Some(Command::EntraSetup(args)) => entra_setup_with(&args, &environment),
        Some(Command::Keys { command: KeysCommand::New { id } }) => new_key(&id),
        Some(Command::Keys { command: KeysCommand::Rotate(settings) }) => rotate_with(&settings, &environment).await,
        None => {
            // `server --flag` without a command never gets here: clap refuses it.
            drop(Cli::command().print_help());
            Ok(())
        }
    }
}

async fn serve_with(settings: Settings, environment: &Environment) -> Result<(), ServeError> {
    let provider = Provider::start_if_needed(settings)?;
    let state = serve::build(&provider.settings, environment, provider.sign_in.as_ref())?;
    #[cfg(debug_assertions)]
    serve::refuse_the_public(&state.config)?;
    serve::warn(&provider.settings, environment, provider.sign_in.is_some());
    serve::serve(state, provider.sign_in.clone()).await
}

/// The settings with who signs people in: in a debug build without any, the emulator, for as long
/// as this lives.
struct Provider {
    settings: Settings,
    sign_in: Option<serve::DevSignIn>,
    #[cfg(all(feature = "dev-entra", debug_assertions))]
    _emulator: Option<crate::cli::dev::DevEntra>,
}

impl Provider {
    #[cfg(all(feature = "dev-entra", debug_assertions))]
    fn start_if_needed(mut settings: Settings) -> Result<Self, ServeError> {
        let io = |source| ServeError::Io { what: "starting the Entra emulator".to_owned(), source };
        let emulator = crate::cli::dev::DevEntra::start_if_needed(&mut settings).map_err(io)?;
        let sign_in = emulator
            .as_ref()
            .map(|entra| serve::DevSignIn { base_url: entra.base_url().to_owned(), personas: entra.personas() });
        Ok(Self { settings, sign_in, _emulator: emulator })
    }

    #[cfg(not(all(feature = "dev-entra", debug_assertions)))]
    #[expect(clippy::unnecessary_wraps, reason = "the other one can fail")]
    fn start_if_needed(settings: Settings) -> Result<Self, ServeError> {
        Ok(Self { settings, sign_in: None })
    }
}

async fn doctor_with(args: DoctorArgs, environment: &Environment) -> Result<(), ServeError> {
    let provider = Provider::start_if_needed(*args.settings)?;
    let state = serve::build(&provider.settings, environment, provider.sign_in.as_ref())?;
    let findings = doctor::examine(&state).await;
    match args.json {
        true => say(&serde_json::to_string_pretty(&findings).unwrap_or_default()),
        false => say(&doctor::in_words(&findings)),
    }
    let failed = findings.iter().filter(|finding| finding.level == Level::Failure).count();
    match failed {
        0 => Ok(()),
        1 => Err(ServeError::Command("1 check failed".to_owned())),
        _ => Err(ServeError::Command(format!("{failed} checks failed"))),
    }
}

fn healthcheck_with(settings: &Settings, environment: &Environment) -> Result<(), ServeError> {
    let address = settings.validate_bind_addr(environment).map_err(ServeError::Settings)?;
    let asked = healthcheck::ask(address);
    asked.map_err(|source| ServeError::Io { what: format!("asking the server on {address} (BIND_ADDR)"), source })
}

fn entra_setup_with(args: &EntraSetupArgs, environment: &Environment) -> Result<(), ServeError> {
    let build = Build::current(&args.settings, false);
    let config = args.settings.validate_registration(&build, environment).map_err(ServeError::Settings)?;
    let registration = Registration::new(&config, app::brand::TITLE, crate::config::defaults::API);
    let text = registration.write(args.format).map_err(|error| ServeError::Command(error.to_string()))?;
    say(text.trim_end());
    Ok(())
}

async fn rotate_with(settings: &Settings, environment: &Environment) -> Result<(), ServeError> {
    let state = serve::build_for_command(settings, environment)?;
    let rotation = tokens::rotate(&state).await?;
    say(&format!("sealed anew: {}; had the first key already: {}", rotation.resealed, rotation.current));
    match rotation.unreadable.as_slice() {
        [] => Ok(()),
        ids => Err(ServeError::Command(format!("no key of the ring opens the grants {}", ids.join(", ")))),
    }
}

async fn migrate_with(settings: &Settings, environment: &Environment) -> Result<(), ServeError> {
    let build = Build::current(settings, false);
    let (database, http) = settings.validate_database(&build, environment).map_err(ServeError::Settings)?;
    let http = HttpClient::new(&http).map_err(BuildError::from)?;
    let applied = migrate::run(&Database::open(&database, http.extra_certificates())?).await?;
    match applied.as_slice() {
        [] => say("the schema is up to date"),
        names => say(&format!("ran {}", names.join(", "))),
    }
    Ok(())
}

async fn users_with(command: UsersCommand, environment: &Environment) -> Result<(), ServeError> {
    let (settings, name) = match &command {
        UsersCommand::GrantRole(args) | UsersCommand::RevokeRole(args) => (&args.settings, &args.user),
        UsersCommand::Disable(args) | UsersCommand::Enable(args) | UsersCommand::Delete(args) => {
            (&args.settings, &args.user)
        }
    };
    let state = serve::build_for_command(settings, environment)?;
    let user = find_user(&state, name).await?;
    let user_id = user.id.clone();
    let act = match command {
        UsersCommand::GrantRole(args) => Act::GrantRole { user_id, role: known_role(&state, args.role).await? },
        UsersCommand::RevokeRole(args) => Act::RevokeRole { user_id, role: args.role },
        UsersCommand::Disable(_) => Act::Disable { user_id },
        UsersCommand::Enable(_) => Act::Enable { user_id },
        UsersCommand::Delete(_) => Act::Erase { user_id },
    };
    match acts::run(&state, act, By::command_line()).await? {
        ActResult::Done => say(&format!("done: {}", user.upn)),
        _ => say(&format!("nothing to do: {}", user.upn)),
    }
    let mut conn = state.db.conn().await?;
    let admins = User::count_others_with_role(&mut conn, ADMIN, "").await.map_err(store::DbError::from)?;
    if admins == 0 {
        say("nobody is an administrator now: `server users grant-role` makes one");
    }
    Ok(())
}

async fn known_role(state: &AppState, role: String) -> Result<String, ServeError> {
    let mut conn = state.db.conn().await?;
    let known = acts::known_roles(state, &mut conn).await?;
    if known.contains(&role) {
        return Ok(role);
    }
    let known: Vec<String> = known.into_iter().collect();
    Err(ServeError::Command(format!("there is no role {role}; there are: {}", known.join(", "))))
}

async fn find_user(state: &AppState, name: &str) -> Result<User, ServeError> {
    let mut conn = state.db.conn().await?;
    let found = match name.rsplit_once('#').or_else(|| name.split_once('/')) {
        Some((realm, subject)) if name.contains('#') => User::find_by_identity(&mut conn, realm, subject).await,
        Some((realm, subject)) => {
            User::find_by_identity(&mut conn, &realm.to_lowercase(), &subject.to_lowercase()).await
        }
        None => User::find(&mut conn, name).await,
    };
    let found = found.map_err(store::DbError::from)?;
    found.ok_or_else(|| ServeError::Command(format!("no user {name}: they have not signed in here yet")))
}

fn new_key(id: &str) -> Result<(), ServeError> {
    let entry = KeyRing::generate_entry(id).and_then(|entry| KeyRing::parse(&entry).map(|_| entry));
    match entry {
        Ok(entry) => {
            say(&entry);
            Ok(())
        }
        Err(error) => Err(ServeError::Command(error.to_string())),
    }
}

#[expect(clippy::print_stdout, reason = "what a command answers belongs on standard output")]
fn say(text: &str) {
    println!("{text}");
}

/// Logs to standard error: JSON in release builds, text in debug builds; `RUST_LOG` filters.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
