//! Instances as processes of their own, which can be killed: beside a [`TestApp`], on its database and provider.
//!
//! The process is the test program itself, so that it is the same build with the same features; with `SERVER_BIN` it is
//! that binary instead (for the soak test, a release build).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use chrono::DateTime;
use entra::clock::Clock;
use server::config::settings::definitions;
use server::state::AppState;

use crate::test_app::config_of;
use crate::{Browser, TestApp};

/// Says that the process is an instance and no test, and what time it is (RFC 3339): the clock of the [`TestApp`] at the
/// start, which goes on from there. What is due for one is then due for the other, whatever the machine's clock says.
const STARTED_AT: &str = "SUITE_INSTANCE_STARTED_AT";
/// Nothing that a test waits for takes this long, on the slowest of machines.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// The test that is an instance's process.
const TEST: &str = "the_process_of_an_instance";

/// A running instance; killed when it is dropped.
#[derive(Debug)]
pub struct Instance {
    child: Child,
    origin: String,
}

/// Serves until the process is told to end, if it was started as an instance; `false` when it was not.
///
/// # Panics
/// When it cannot serve: the process has failed then.
pub fn serve_if_instance() -> bool {
    let Ok(started_at) = std::env::var(STARTED_AT) else {
        return false;
    };
    let started_at = DateTime::parse_from_rfc3339(&started_at).expect("a time");
    let clock = Clock::wrong(started_at.to_utc() - Clock::system().now());
    let _telemetry = server::observe::telemetry::start();
    let settings: BTreeMap<String, String> = std::env::vars().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let served = runtime.block_on(async {
        let state = AppState::new(config_of(&settings, true), clock, Vec::new()).expect("an application");
        server::serve::serve(state, None).await
    });
    served.expect("served and drained");
    true
}

/// Waits until `condition` holds, which another process brings about; `what` says it in words.
///
/// # Panics
/// When it does not hold after [`PATIENCE`].
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waited = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waited).await.is_ok(), "not within {PATIENCE:?}: {what}");
}

fn program(descriptors: Option<u32>) -> Command {
    let own = || std::env::current_exe().expect("a program").into_os_string();
    let (binary, arguments) = match std::env::var_os("SERVER_BIN") {
        Some(binary) => (binary, &["serve"][..]),
        None => (own(), &[TEST, "--exact", "--nocapture", "--test-threads=1"][..]),
    };
    let mut command = match descriptors {
        None => Command::new(binary),
        Some(most) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", r#"ulimit -n "$0" && exec "$@""#, &most.to_string()]).arg(binary);
            shell
        }
    };
    command.args(arguments);
    command
}

/// A port of loopback that nobody listens on.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

impl Instance {
    /// Starts an instance as [`Instance::spawn`] does, and waits until it serves.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn start(app: &TestApp, settings: &[(&str, &str)]) -> Self {
        let instance = Self::spawn(app, settings);
        instance.serving().await;
        instance
    }

    /// Starts an instance beside `app` with these settings besides its own.
    ///
    /// # Panics
    /// When there is no such program.
    #[must_use]
    pub fn spawn(app: &TestApp, settings: &[(&str, &str)]) -> Self {
        Self::spawn_program(program(None), app, settings, Stdio::piped())
    }

    /// As [`Instance::start`], with its standard error somewhere else.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn start_with_log(app: &TestApp, settings: &[(&str, &str)], log: Stdio) -> Self {
        let instance = Self::spawn_program(program(None), app, settings, log);
        instance.serving().await;
        instance
    }

    /// [`Instance::start`] with so many file descriptors at most.
    ///
    /// # Panics
    /// When it does not serve.
    pub async fn start_with_descriptors(most: u32, app: &TestApp, settings: &[(&str, &str)]) -> Self {
        let instance = Self::spawn_program(program(Some(most)), app, settings, Stdio::piped());
        instance.serving().await;
        instance
    }

    fn spawn_program(mut command: Command, app: &TestApp, settings: &[(&str, &str)], log: Stdio) -> Self {
        let port = free_port();
        let origin = format!("http://localhost:{port}");
        for setting in definitions() {
            command.env_remove(setting.name);
        }
        command.envs(app.settings()).env(STARTED_AT, app.state.clock.now().to_rfc3339()).env("RUST_LOG", "info");
        command.env("PUBLIC_URL", &origin).env("BIND_ADDR", format!("127.0.0.1:{port}"));
        command.envs(settings.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().expect("a process");
        if let Some(log) = child.stderr.take() {
            // Printed by a thread of this test, its log is shown when the test fails.
            thread::spawn(move || {
                BufReader::new(log).lines().map_while(Result::ok).for_each(|line| println!("{line}"))
            });
        }
        Self { child, origin }
    }

    async fn serving(&self) {
        let address = self.origin.trim_start_matches("http://");
        until("the instance serves", || std::net::TcpStream::connect(address).is_ok()).await;
    }

    /// Its `PUBLIC_URL`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// A browser that nobody has used yet.
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::new(&self.origin)
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a power cut would (SIGKILL).
    ///
    /// # Panics
    /// When there is no such process.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Panics
    /// When it cannot be asked.
    pub fn terminate(&self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.expect("a shell tool").success());
    }

    /// Waits for its end: whether it was one of its own accord, with success.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(mut self) -> bool {
        let mut status = None;
        until("the instance ends", || {
            status = self.child.try_wait().expect("a process");
            status.is_some()
        })
        .await;
        status.is_some_and(|status| status.success())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
