//! The pool of connections, set up for each database.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Object, QueueMode};

use super::DbError;
use crate::config::DatabaseConfig;

type Pool = deadpool::managed::Pool<backend::Opener>;

/// A connection on loan from the pool.
pub type Conn = Object<backend::Opener>;

/// How long a request waits for a free connection before it is answered with 503.
pub const WAIT: Duration = Duration::from_secs(5);

/// The database. Cloning is cheap; clones share the pool.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    /// For short reads; with PostgreSQL the same pool.
    readers: Pool,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Database({:?})", self.pool.status())
    }
}

impl Database {
    /// A pool for `config`. Connects lazily: a database that is down does not stop the start.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] when the folder of a SQLite file cannot be made, the trust store
    /// cannot be read, or the build lacks the database that is asked for.
    pub fn open(config: &DatabaseConfig, trusted: &[Vec<u8>]) -> Result<Self, DbError> {
        let (pool, readers) = backend::pools(config, trusted)?;
        Ok(Self { pool, readers })
    }

    /// A connection, within five seconds.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub async fn conn(&self) -> Result<Conn, DbError> {
        self.pool.get().await.map_err(|error| DbError::Unavailable(error.to_string()))
    }

    /// A connection for short reads that use an index, within five seconds. It cannot write, and
    /// with SQLite its queries hold up the thread that asks.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    pub async fn read(&self) -> Result<Conn, DbError> {
        self.readers.get().await.map_err(|error| DbError::Unavailable(error.to_string()))
    }

    /// How the pools fare, by name.
    #[must_use]
    pub fn status(&self) -> Vec<(&'static str, deadpool::Status)> {
        let mut pools = vec![("main", self.pool.status())];
        if cfg!(feature = "sqlite") {
            pools.push(("readers", self.readers.status()));
        }
        pools
    }

    /// Closes all connections; later calls fail.
    pub fn close(&self) {
        self.pool.close();
        self.readers.close();
    }
}

fn pool(opener: backend::Opener, size: usize) -> Result<Pool, DbError> {
    Pool::builder(opener)
        .max_size(size)
        // Those that were used last have the pages in their caches that are asked for next.
        .queue_mode(QueueMode::Lifo)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .recycle_timeout(Some(WAIT))
        .build()
        .map_err(|error| DbError::Unavailable(error.to_string()))
}

#[cfg(feature = "sqlite")]
mod backend {
    //! SQLite: one file, many readers, one writer.

    use std::fs::{self, DirBuilder, OpenOptions};
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    pub(super) use super::super::sqlite::Opener;
    use super::super::sqlite::Purpose;
    use super::{DatabaseConfig, DbError, Pool, pool};

    /// Connections for writes and for long reads.
    const CONNECTIONS: usize = 4;
    /// Connections for short reads. None is kept over an await of something else, so that a few
    /// serve every core.
    const READERS: usize = 8;

    pub(super) fn pools(config: &DatabaseConfig, _trusted: &[Vec<u8>]) -> Result<(Pool, Pool), DbError> {
        let DatabaseConfig::Sqlite { path } = config else {
            return Err(DbError::Unavailable("this build supports sqlite:// only".to_owned()));
        };
        own(path).map_err(|error| DbError::Unavailable(format!("{}: {error}", path.display())))?;
        let writers = Arc::new(Semaphore::new(1));
        let opener = |purpose| Opener::new(path.to_string_lossy().into_owned(), purpose, writers.clone());
        Ok((pool(opener(Purpose::Any), CONNECTIONS)?, pool(opener(Purpose::ShortReads), READERS)?))
    }

    /// Makes the folders and the file of a database that is not there yet, and takes the file from everybody but its
    /// owner, an old one too; SQLite gives the files beside it the same rights. A folder that was there is left as it is:
    /// other things may be in it.
    fn own(path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let mut folders = DirBuilder::new();
            folders.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut folders, 0o700);
            folders.create(folder)?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => restrict(path),
            opened => opened.map(drop),
        }
    }

    #[cfg(unix)]
    fn restrict(path: &Path) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;

        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            let Ok(metadata) = fs::metadata(&file) else { continue };
            let mode = metadata.permissions().mode();
            if metadata.is_file() && mode & 0o077 != 0 {
                let narrower = fs::Permissions::from_mode(mode & 0o700);
                let changed = fs::set_permissions(&file, narrower);
                let file = Path::new(&file).display();
                match changed {
                    Ok(()) => tracing::warn!(%file, "others could open the database; now its owner alone can"),
                    Err(error) => tracing::warn!(%file, %error, "others can open the database"),
                }
            }
        }
        Ok(())
    }

    #[cfg(not(unix))]
    fn restrict(_path: &Path) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "postgres")]
mod backend {
    //! PostgreSQL: pure Rust, TLS by rustls.

    use std::sync::Arc;

    use super::super::DbConn;
    use super::{DatabaseConfig, DbError, Pool, pool};
    use crate::config::SslMode;
    use diesel::ConnectionError;
    use diesel_async::SimpleAsyncConnection as _;
    use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
    use futures_util::FutureExt as _;
    use rustls::pki_types::CertificateDer;
    use rustls::{ClientConfig, RootCertStore};

    /// UTC, so that times need no zone; nobody may hold a transaction or run a query for ever; a transaction that has
    /// waited for a lock sees what the one before it has done.
    const SETUP: &str = "SET TIME ZONE 'UTC'; SET statement_timeout = '30s'; \
        SET idle_in_transaction_session_timeout = '30s'; \
        SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;";

    const CONNECTIONS: usize = 16;

    pub(super) type Opener = AsyncDieselConnectionManager<DbConn>;

    /// Short reads would gain nothing by connections of their own: each waits for the network in any case.
    pub(super) fn pools(config: &DatabaseConfig, trusted: &[Vec<u8>]) -> Result<(Pool, Pool), DbError> {
        let pool = pool(opener(config, trusted)?, CONNECTIONS)?;
        Ok((pool.clone(), pool))
    }

    fn opener(config: &DatabaseConfig, trusted: &[Vec<u8>]) -> Result<Opener, DbError> {
        let DatabaseConfig::Postgres { url, ssl_mode } = config else {
            return Err(DbError::Unavailable("this build supports postgres:// only".to_owned()));
        };
        let tls = match ssl_mode {
            SslMode::Disable => None,
            SslMode::VerifyFull => Some(tls_config(trusted)?),
        };
        let mut manager = ManagerConfig::<DbConn>::default();
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(move |url| {
            let (url, tls) = (url.to_owned(), tls.clone());
            async move {
                let mut conn = match tls {
                    Some(tls) => connect_tls(&url, tls).await?,
                    None => connect_plain(&url).await?,
                };
                conn.batch_execute(SETUP).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(conn)
            }
            .boxed()
        });
        Ok(Opener::new_with_config(url.0.as_str(), manager))
    }

    /// The system's certificates, the public ones, and `EXTRA_CA_FILE`'s.
    fn tls_config(trusted: &[Vec<u8>]) -> Result<ClientConfig, DbError> {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(trusted.iter().map(|der| CertificateDer::from(der.clone())));
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map(|builder| builder.with_root_certificates(roots).with_no_client_auth())
            .map_err(|error| DbError::Unavailable(error.to_string()))
    }

    async fn connect_tls(url: &str, tls: ClientConfig) -> diesel::ConnectionResult<DbConn> {
        let config: tokio_postgres::Config = url.parse().map_err(bad_connection)?;
        let mut config = config;
        config.ssl_mode(tokio_postgres::config::SslMode::Require);
        let (client, connection) =
            config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)).await.map_err(bad_connection)?;
        DbConn::try_from_client_and_connection(client, connection).await
    }

    async fn connect_plain(url: &str) -> diesel::ConnectionResult<DbConn> {
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.map_err(bad_connection)?;
        DbConn::try_from_client_and_connection(client, connection).await
    }

    /// tokio-postgres' short text, with its cause and without the URL.
    fn bad_connection(error: tokio_postgres::Error) -> ConnectionError {
        use std::error::Error as _;
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        ConnectionError::BadConnection(format!("{error}{cause}"))
    }
}
