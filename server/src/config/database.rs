//! `DATABASE_URL`: never guessed. What is not understood is refused with advice.

use std::path::PathBuf;

use entra::http::is_loopback;
use store::config::{DatabaseConfig, RedactedUrl, SslMode};
use url::Url;

use super::build::Database;
use super::parse::Parsed;

const SQLITE_DEFAULT: &str = "sqlite://data/app.db";

/// What is meant when nothing is given: a file beside the program, where the build can use one.
pub(super) fn default_url(database: Database) -> Option<&'static str> {
    (database == Database::Sqlite).then_some(SQLITE_DEFAULT)
}

/// Understands `text`, for a build that holds `database`.
pub(super) fn parse(text: &str, database: Database) -> Parsed<DatabaseConfig> {
    let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match (scheme.as_str(), database) {
        ("sqlite", Database::Sqlite) => sqlite(text),
        ("postgres" | "postgresql", Database::Postgres) => postgres(text),
        ("sqlite", Database::Postgres) => Err(other_build("PostgreSQL", "postgres://user@host/name", "sqlite")),
        ("postgres" | "postgresql", Database::Sqlite) => Err(other_build("SQLite", SQLITE_DEFAULT, "postgres")),
        _ => Err("must start with sqlite:// or postgres://; other databases are not supported".to_owned()),
    }
}

fn other_build(held: &str, example: &str, feature: &str) -> String {
    format!("this build holds {held} alone; write {example}, or build with --no-default-features --features {feature}")
}

fn sqlite(text: &str) -> Parsed<DatabaseConfig> {
    if text.to_ascii_lowercase().contains(":memory:") {
        return Err(format!("a database in memory is lost with each connection; write {SQLITE_DEFAULT}"));
    }
    let path = text.split_once("://").map(|(_, path)| path).ok_or_else(|| {
        format!("needs two slashes before the path; write {SQLITE_DEFAULT} or sqlite:///absolute/path")
    })?;
    if path.is_empty() || path.ends_with('/') {
        return Err(format!("names no file; write {SQLITE_DEFAULT} or sqlite:///absolute/path"));
    }
    if path.contains(['?', '#']) {
        return Err("takes a path alone, without parameters (?) or a fragment (#)".to_owned());
    }
    Ok(DatabaseConfig::Sqlite { path: PathBuf::from(path) })
}

fn postgres(text: &str) -> Parsed<DatabaseConfig> {
    let mut url = Url::parse(text).map_err(|_| {
        "is not a URL; write postgres://user:password@host/name and escape special characters with %".to_owned()
    })?;
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if parameters.iter().any(|(name, _)| matches!(name.as_str(), "sslrootcert" | "sslcert" | "sslkey")) {
        return Err(
            "sslrootcert, sslcert and sslkey are not supported; put the CA's certificate into EXTRA_CA_FILE".to_owned()
        );
    }
    let ssl_mode = match parameters.iter().rfind(|(name, _)| name == "sslmode") {
        Some((_, mode)) => ssl_mode(mode)?,
        None if is_local(&url, &parameters) => SslMode::Disable,
        None => SslMode::VerifyFull,
    };
    let others: Vec<&(String, String)> = parameters.iter().filter(|(name, _)| name != "sslmode").collect();
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others.iter().map(|(name, value)| (name, value)));
    }
    Ok(DatabaseConfig::Postgres { url: RedactedUrl(url), ssl_mode })
}

fn ssl_mode(text: &str) -> Parsed<SslMode> {
    match text {
        "disable" => Ok(SslMode::Disable),
        "verify-full" => Ok(SslMode::VerifyFull),
        "allow" | "prefer" | "require" | "verify-ca" => {
            Err("this sslmode does not prove who the server is; write sslmode=verify-full (with EXTRA_CA_FILE for a CA of your own)".to_owned())
        }
        _ => Err("sslmode must be verify-full or disable".to_owned()),
    }
}

/// Whether passwords and data cross a network in clear.
pub(super) fn is_exposed(config: &DatabaseConfig) -> bool {
    match config {
        DatabaseConfig::Postgres { url, ssl_mode: SslMode::Disable } => {
            let parameters: Vec<(String, String)> = url.0.query_pairs().into_owned().collect();
            !is_local(&url.0, &parameters)
        }
        _ => false,
    }
}

/// Whether the server is on this machine: a loopback host or a Unix socket.
fn is_local(url: &Url, parameters: &[(String, String)]) -> bool {
    let parameter = parameters.iter().rfind(|(name, _)| name == "host").map(|(_, host)| host.as_str());
    let host = parameter.or(url.host_str()).unwrap_or_default().to_ascii_lowercase();
    let is_socket = host.is_empty() || host.starts_with('/') || host.starts_with("%2f");
    is_socket
        || url::Host::parse(&host).is_ok_and(|host| match host {
            url::Host::Domain(domain) => is_loopback(Some(url::Host::Domain(&domain))),
            url::Host::Ipv4(address) => is_loopback(Some(url::Host::Ipv4(address))),
            url::Host::Ipv6(address) => is_loopback(Some(url::Host::Ipv6(address))),
        })
}
