//! Where the data is.

use std::path::PathBuf;

use url::Url;

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseConfig {
    /// A file of the embedded database: the path after `sqlite://`.
    Sqlite {
        /// Relative to the working directory, or absolute.
        path: PathBuf,
    },
    /// A PostgreSQL server.
    Postgres {
        /// The URL without `sslmode`, as `tokio-postgres` takes it. It may hold a password, so
        /// its `Debug` is redacted.
        url: RedactedUrl,
        /// How TLS is used.
        ssl_mode: SslMode,
    },
}

/// A URL whose user information never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl(pub Url);

impl std::fmt::Debug for RedactedUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}://[redacted]@{}{}", self.0.scheme(), self.0.host_str().unwrap_or_default(), self.0.path())
    }
}

/// libpq's `sslmode`, as far as this server offers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// No TLS: the default on loopback.
    Disable,
    /// TLS with the certificate chain and host name verified: the default elsewhere.
    VerifyFull,
}
