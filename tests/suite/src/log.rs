//! The log of the application under test, to prove what is in it and what never is.
//!
//! All applications of a test process write to one log; a test looks at what came after its mark.

use std::io;
use std::sync::{Mutex, Once};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What the emulator's tokens, codes and secrets begin with, and any JWT.
const SECRETS: [&str; 3] = ["eyJ", "EwB.", "1.AXoA"];

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub struct LogMark(usize);

impl LogMark {
    /// The end of the log so far; the first mark starts the logging.
    #[must_use]
    pub fn here() -> Self {
        static START: Once = Once::new();
        START.call_once(|| {
            let filter = EnvFilter::new("info,server=trace,openidconnect=trace");
            let subscriber = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(Log).finish();
            // Another subscriber would only keep the log empty, which `assert_has` notices.
            let _ = tracing::subscriber::set_global_default(subscriber);
        });
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

#[derive(Clone, Copy)]
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

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
