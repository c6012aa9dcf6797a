//! The programs under load: started, timed, looked at, ended.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::database::Database;
use crate::http::Connection;

/// Where the binaries are.
#[derive(Debug)]
pub struct Binaries {
    /// The server, release build for SQLite.
    pub server: PathBuf,
    /// The same for PostgreSQL, where that is measured.
    pub server_postgres: Option<PathBuf>,
    /// The Entra emulator.
    pub emulator: PathBuf,
    /// The yardstick.
    pub bare: PathBuf,
}

impl Binaries {
    /// From the environment, as `tests/bench/run` sets it.
    pub fn from_environment() -> Result<Self> {
        let optional = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let path = |name: &str| optional(name).with_context(|| format!("{name}: use tests/bench/run"));
        Ok(Self {
            server: path("SERVER_BIN")?,
            server_postgres: optional("SERVER_POSTGRES_BIN"),
            emulator: path("EMULATOR_BIN")?,
            bare: path("BARE_BIN")?,
        })
    }
}

/// A running program.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From the start of the process to its first 200.
    pub start: Duration,
}

impl Program {
    /// Starts `command`, which will listen on `address`, and waits for a 200 from `path`.
    pub async fn start(mut command: Command, address: SocketAddr, path: &str) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let begin = Instant::now();
        let child = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut program = Self { child, address, start: Duration::ZERO };
        while status(address, path).await != Some(200) {
            ensure!(program.child.try_wait()?.is_none(), "{command:?} stopped");
            ensure!(begin.elapsed() < Duration::from_secs(30), "{command:?} does not answer");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        program.start = begin.elapsed();
        Ok(program)
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("VmRSS")?;
        Ok(line.split_whitespace().nth(1).context("VmRSS")?.parse()?)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut connection = Connection::open(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", address.port());
    Some(connection.send(request.as_bytes()).await.ok()?.status)
}

/// An address of loopback that is free now.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

const TENANT: &str = "11111111-2222-4333-8444-555555555555";
const CLIENT: &str = "22222222-2222-4333-8444-555555555555";
const SECRET: &str = "only-for-the-bench";

/// Starts the emulator, which does what its control API is told.
pub async fn emulator(binaries: &Binaries) -> Result<Program> {
    let address = free_address()?;
    let mut command = Command::new(&binaries.emulator);
    command.args(["--host", "127.0.0.1", "--port", &address.port().to_string()]);
    command.args(["--tenant-id", TENANT, "--client-id", CLIENT, "--control"]).env("EMULATOR_CLIENT_SECRET", SECRET);
    Program::start(command, address, &format!("/{TENANT}/v2.0/.well-known/openid-configuration")).await
}

/// Starts the server on `database`, with `emulator` as its Entra ID.
pub async fn server(binaries: &Binaries, database: &Database, emulator: &Program) -> Result<Program> {
    let (address, authority) = (free_address()?, format!("http://{}", emulator.address));
    let binary = match database {
        Database::Sqlite(_) => &binaries.server,
        Database::Postgres(_) => binaries.server_postgres.as_ref().context("SERVER_POSTGRES_BIN")?,
    };
    let mut command = Command::new(binary);
    command.arg("serve").current_dir(std::env::temp_dir());
    command.env("BIND_ADDR", address.to_string()).env("PUBLIC_URL", format!("http://localhost:{}", address.port()));
    command.env("DATABASE_URL", database.url());
    command.env("ENTRA_AUTHORITY", &authority).env("GRAPH_URL", format!("{authority}/graph"));
    command.env("ENTRA_TENANT_ID", TENANT).env("ENTRA_CLIENT_ID", CLIENT).env("ENTRA_CLIENT_SECRET", SECRET);
    command.env("TOKEN_ENCRYPTION_KEYS", "bench:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    Program::start(command, address, "/healthz").await
}

/// Starts the yardstick on `database`, with the pages in `pages`.
pub async fn bare(binaries: &Binaries, database: &Path, pages: &Path, cookie: &str) -> Result<Program> {
    let address = free_address()?;
    let mut command = Command::new(&binaries.bare);
    command.arg(address.port().to_string()).args([database, pages]).arg(cookie);
    Program::start(command, address, "/healthz").await
}
