//! Instances as processes of their own, which can be killed: beside a [`TestApp`], on its database and provider.
//!
//! The process is the test program itself, so that it is the same build with the same features; with `SERVER_BIN` it is
//! that binary instead (for the soak test, a release build).

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use server::clock::Clock;
use server::state::AppState;

use crate::test_app::config_of;
use crate::{Browser, TestApp};

/// Says that the process is an instance and no test.
const IS_INSTANCE: &str = "SUITE_INSTANCE";
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
    if std::env::var_os(IS_INSTANCE).is_none() {
        return false;
    }
    let _telemetry = server::telemetry::start();
    let settings: BTreeMap<String, String> = std::env::vars().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let served = runtime.block_on(async {
        let state = AppState::new(config_of(&settings, true), Clock::system(), Vec::new()).expect("an application");
        server::serve::serve(state, None).await
    });
    served.expect("served and drained");
    true
}

fn program() -> Command {
    if let Some(binary) = std::env::var_os("SERVER_BIN") {
        let mut command = Command::new(binary);
        command.arg("serve");
        return command;
    }
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args([TEST, "--exact", "--nocapture", "--test-threads=1"]);
    command
}

fn free_port() -> u16 {
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
        let port = free_port();
        let origin = format!("http://localhost:{port}");
        let mut command = program();
        let own = ["PATH", "HOME", "TMPDIR"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
        command.env_clear().envs(own).envs(app.settings()).env(IS_INSTANCE, "1").env("RUST_LOG", "error");
        command.env("PUBLIC_URL", &origin).env("BIND_ADDR", format!("127.0.0.1:{port}"));
        command.envs(settings.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        Self { child: command.spawn().expect("a process"), origin }
    }

    async fn serving(&self) {
        for _ in 0..3000 {
            if std::net::TcpStream::connect(self.origin.trim_start_matches("http://")).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the instance does not serve");
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
    /// When there is no such process.
    pub async fn ended(mut self) -> bool {
        loop {
            if let Some(status) = self.child.try_wait().expect("a process") {
                return status.success() && status.signal().is_none();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
