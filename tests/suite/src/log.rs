//! The log of the application under test: to prove what is in it and what never is, and to show with a test that fails.
//!
//! All applications of a test process write to one log; a test looks at what came after its mark. Besides, each line is
//! printed: the test harness captures what the threads of a test print, and shows it when the test fails.

use std::cell::RefCell;
use std::io;
use std::sync::{Mutex, Once};

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// What the emulator's tokens, codes and secrets begin with, and any JWT.
const SECRETS: [&str; 3] = ["eyJ", "EwB.", "1.AXoA"];

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

thread_local! {
    /// What this thread has logged, where a harness asked to keep it.
    static KEPT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Starts the log of the process, once.
pub(crate) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        let everything = EnvFilter::new("info,server=trace,openidconnect=trace");
        let in_brief = EnvFilter::new("info,server=debug");
        let log = fmt::layer().json().with_writer(|| Log).with_filter(everything);
        let shown = fmt::layer().compact().with_ansi(false).with_writer(|| Shown).with_filter(in_brief);
        // Another subscriber would only keep the log empty, which `assert_has` notices.
        let _ = tracing_subscriber::registry().with(log).with(shown).try_init();
    });
}

/// Keeps what this thread logs from now on, for a harness that captures no output. [`kept`] takes it.
pub fn keep() {
    KEPT.set(Some(String::new()));
}

/// What this thread has logged since [`keep`].
#[must_use]
pub fn kept() -> String {
    KEPT.take().unwrap_or_default()
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub struct LogMark(usize);

impl LogMark {
    /// The end of the log so far.
    #[must_use]
    pub fn here() -> Self {
        start();
        Self(lock().len())
    }

    /// What has been logged since, by all tests of the process.
    #[must_use]
    pub fn since(self) -> String {
        String::from_utf8_lossy(lock().get(self.0..).unwrap_or_default()).into_owned()
    }

    /// Panics unless a line logged since holds `text`.
    ///
    /// # Panics
    /// See above.
    #[track_caller]
    pub fn assert_has(self, text: &str) {
        assert!(self.since().contains(text), "no {text:?} in the log");
    }

    /// Panics if a line logged since holds a token, a code or a secret.
    ///
    /// # Panics
    /// See above.
    #[track_caller]
    pub fn assert_no_token(self) {
        let log = self.since();
        let leak = log.lines().find(|line| holds_token(line));
        assert_eq!(leak, None, "a token is in the log");
    }
}

/// Whether a text holds what begins like a token, a code or a secret of the emulator.
pub(crate) fn holds_token(text: &str) -> bool {
    SECRETS.iter().any(|secret| text.contains(secret))
}

fn lock() -> std::sync::MutexGuard<'static, Vec<u8>> {
    LOG.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The log that tests look at.
struct Log;

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log that is shown with a test that fails.
struct Shown;

impl io::Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        // Threads that end have no place to keep anything any more.
        let is_kept = KEPT.try_with(|kept| kept.borrow_mut().as_mut().map(|kept| kept.push_str(&text)));
        if !matches!(is_kept, Ok(Some(()))) {
            print!("{text}");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
