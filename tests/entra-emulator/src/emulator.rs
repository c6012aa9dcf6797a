//! The handle to a running emulator.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::control::Control;
use crate::keys;
use crate::options::{Options, Port};
use crate::personas::Persona;
use crate::server::{self, Mode};
use crate::state::State;

/// A running emulator. Dropping the handle stops it.
pub struct Emulator {
    state: Arc<State>,
    control: Control,
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    reached: watch::Receiver<Mode>,
    task: Option<JoinHandle<()>>,
}

impl Emulator {
    /// Binds and starts serving on the current tokio runtime; returns as soon as connections
    /// are accepted.
    ///
    /// # Errors
    /// If the address cannot be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = server::bind(options.bind_address, options.port)?;
        let address = listener.local_addr()?;
        let base_url = format!("http://{}:{}", options.host, address.port());
        let state = Arc::new(State::new(options, base_url));
        let router = server::router(Arc::clone(&state));
        let (mode, wanted) = watch::channel(Mode::Online);
        let (done, reached) = watch::channel(Mode::Offline);
        let task = tokio::spawn(server::serve(listener, router, wanted, done));
        tokio::task::spawn_blocking(keys::warm_up);
        Ok(Self { control: Control::new(Arc::clone(&state)), state, address, mode, reached, task: Some(task) })
    }

    /// As [`Emulator::start`], on port 3001 or the next free one.
    ///
    /// # Errors
    /// If no port can be bound.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start_for_development(options: Options) -> io::Result<Self> {
        Self::start(Options { port: Port::From(3001), ..options })
    }

    /// Where it is reachable, e.g. `http://localhost:3001`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.state.base_url
    }

    /// What an application takes for `https://login.microsoftonline.com`.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.base_url()
    }

    /// What an application takes for `https://graph.microsoft.com`.
    #[must_use]
    pub fn graph_url(&self) -> String {
        self.state.graph_url()
    }

    /// The issuer in ID tokens of the first tenant.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.state.issuer(self.tenant_id())
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first tenant's id.
    #[must_use]
    pub fn tenant_id(&self) -> Uuid {
        self.state.options.tenant_id
    }

    /// The application's client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.state.options.client_id
    }

    /// The application's first client secret.
    #[must_use]
    pub fn client_secret(&self) -> &str {
        &self.state.client_secret
    }

    /// The personas, in the order of the account picker.
    #[must_use]
    pub fn personas(&self) -> Vec<Persona> {
        self.control.personas()
    }

    /// Time, keys, faults, personas: everything that a test changes.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Closes the listener and all connections; what was issued is kept.
    pub async fn go_offline(&self) {
        self.switch(Mode::Offline).await;
    }

    /// Listens again on the same address.
    pub async fn go_online(&self) {
        self.switch(Mode::Online).await;
    }

    async fn switch(&self, mode: Mode) {
        self.mode.send_replace(mode);
        let mut reached = self.reached.clone();
        // An error means that the server task is gone: there is nothing to wait for.
        let _ = reached.wait_for(|reached| *reached == mode).await;
    }

    /// Stops serving; returns when the port is free again.
    pub async fn shutdown(mut self) {
        self.mode.send_replace(Mode::Stopped);
        if let Some(task) = self.task.take() {
            // A cancelled task has stopped too.
            let _ = task.await;
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.mode.send_replace(Mode::Stopped);
    }
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator")
            .field("base_url", &self.state.base_url)
            .field("options", &self.state.options)
            .finish_non_exhaustive()
    }
}
