//! Places at which a test kills the process, as a power cut would. A release build has none.

/// Ends the process here at once if `FAILPOINT` in the environment is `name`.
#[cfg(debug_assertions)]
pub(crate) fn here(name: &str) {
    if std::env::var_os("FAILPOINT").is_some_and(|asked| asked == name) {
        // No destructor runs and nothing is drained. An abort would leave a core file where those are on.
        std::process::exit(137);
    }
}

/// Nothing in a release build.
#[cfg(not(debug_assertions))]
pub(crate) fn here(_name: &str) {}
