//! The pool of connections, set up for each database.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::QueueMode;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::deadpool::{Object, Pool};

use super::{DbConn, DbError};
use crate::config::DatabaseConfig;

/// A connection on loan from the pool.
pub type Conn = Object<DbConn>;

/// How long a request waits for a free connection before it is answered with 503.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// The database. Cloning is cheap; clones share the pool.
#[derive(Clone)]
pub struct Database {
    pool: Pool<DbConn>,
    /// For short reads; with PostgreSQL the same pool.
    readers: Pool<DbConn>,
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
        let pool = pool(backend::manager(config, trusted)?)?;
        let readers = match backend::readers(config)? {
            Some(readers) => self::pool(readers)?,
            None => pool.clone(),
        };
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

/// How connections are made, and how many.
type Managed = (AsyncDieselConnectionManager<DbConn>, usize);

fn pool((manager, size): Managed) -> Result<Pool<DbConn>, DbError> {
    Pool::builder(manager)
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
pub(super) use backend::PRAGMAS;

#[cfg(feature = "sqlite")]
mod backend {
    //! SQLite: one file, many readers, one writer.

    use std::path::Path;

    use super::super::runner;
    use super::{AsyncDieselConnectionManager, DatabaseConfig, DbConn, DbError, Managed};
    use diesel::ConnectionError;
    use diesel_async::pooled_connection::{ManagerConfig, RecyclingMethod};
    use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};
    use futures_util::FutureExt as _;

    /// WAL lets readers go on beside the writer; NORMAL is durable at each checkpoint and never
    /// corrupts; a writer waits 5 s for another; 2 MiB of pages are cached a connection
    /// (the system caches the file, and a dozen connections would hold it a dozen times).
    pub(crate) const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
        PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -2000; \
        PRAGMA temp_store = MEMORY;";

    /// Connections for writes and for long reads. Writers queue for each other in any case.
    const CONNECTIONS: usize = 4;
    /// Connections for short reads. None is kept over an await of something else, so that a few
    /// serve every core.
    const READERS: usize = 8;

    pub(super) fn manager(config: &DatabaseConfig, _trusted: &[Vec<u8>]) -> Result<Managed, DbError> {
        let path = file(config)?;
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| DbError::Unavailable(format!("{}: {error}", folder.display())))?;
        }
        let mut manager = ManagerConfig::<DbConn>::default();
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(|path| {
            let path = path.to_owned();
            async move {
                let mut conn = DbConn::establish(&path).await?;
                conn.batch_execute(PRAGMAS).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(conn)
            }
            .boxed()
        });
        Ok((AsyncDieselConnectionManager::new_with_config(path.to_string_lossy(), manager), CONNECTIONS))
    }

    pub(super) fn readers(config: &DatabaseConfig) -> Result<Option<Managed>, DbError> {
        let path = file(config)?;
        let mut manager = ManagerConfig::<DbConn>::default();
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(|path| std::future::ready(runner::reader(path)).boxed());
        Ok(Some((AsyncDieselConnectionManager::new_with_config(path.to_string_lossy(), manager), READERS)))
    }

    fn file(config: &DatabaseConfig) -> Result<&Path, DbError> {
        match config {
            DatabaseConfig::Sqlite { path } => Ok(path),
            DatabaseConfig::Postgres { .. } => {
                Err(DbError::Unavailable("this build supports sqlite:// only".to_owned()))
            }
        }
    }
}

#[cfg(feature = "postgres")]
mod backend {
    //! PostgreSQL: pure Rust, TLS by rustls.

    use std::sync::Arc;

    use super::{AsyncDieselConnectionManager, DatabaseConfig, DbConn, DbError, Managed};
    use crate::config::SslMode;
    use diesel::ConnectionError;
    use diesel_async::SimpleAsyncConnection as _;
    use diesel_async::pooled_connection::{ManagerConfig, RecyclingMethod};
    use futures_util::FutureExt as _;
    use rustls::pki_types::CertificateDer;
    use rustls::{ClientConfig, RootCertStore};

    /// UTC, so that times need no zone; nobody may hold a transaction or run a query for ever.
    const SETUP: &str = "SET TIME ZONE 'UTC'; SET statement_timeout = '30s'; \
        SET idle_in_transaction_session_timeout = '30s';";

    const CONNECTIONS: usize = 16;

    /// Nothing is gained by connections of their own: a read waits for the network in any case.
    #[expect(clippy::unnecessary_wraps, reason = "SQLite's can fail")]
    pub(super) fn readers(_config: &DatabaseConfig) -> Result<Option<Managed>, DbError> {
        Ok(None)
    }

    pub(super) fn manager(config: &DatabaseConfig, trusted: &[Vec<u8>]) -> Result<Managed, DbError> {
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
        Ok((AsyncDieselConnectionManager::new_with_config(url.0.as_str(), manager), CONNECTIONS))
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
