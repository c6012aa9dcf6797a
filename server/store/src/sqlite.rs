//! SQLite's connection, whose work is done by the thread that asks for it.
//!
//! A statement takes some microseconds, of which handing it to another thread and back would be the most. What may
//! take longer tells the runtime so first ([`tokio::task::block_in_place`]), and other requests go on elsewhere. Writers
//! wait for their turn as tasks: SQLite itself would let them sleep and try again.

use std::future::Future;
use std::sync::Arc;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use diesel::connection::{
    AnsiTransactionManager, Connection as _, Instrumentation, SimpleConnection as _, TransactionManager as _,
};
use diesel::query_dsl::methods::{ExecuteDsl, LimitDsl, LoadQuery};
use diesel::result::{DatabaseErrorKind, Error};
use diesel::{ConnectionError, ConnectionResult, QueryResult, SqliteConnection};
use futures_util::future::lazy;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::pool::WAIT;

/// WAL lets readers go on beside the writer; NORMAL is durable at each checkpoint and never
/// corrupts; what is deleted is overwritten; a writer waits 5 s for one of another process; 2 MiB of pages are cached a connection
/// (the system caches the file, and a dozen connections would hold it a dozen times).
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA secure_delete = ON; PRAGMA journal_mode = WAL; \
    PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -2000; \
    PRAGMA temp_store = MEMORY;";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Reads that take microseconds. It cannot write.
    ShortReads,
    /// Everything else: writes, and reads that may go through a whole table.
    Any,
}

/// A connection to the file.
#[expect(missing_debug_implementations, reason = "neither has Diesel's, and nothing in it is to be shown")]
pub struct Connection {
    inner: SqliteConnection,
    purpose: Purpose,
    /// Whose turn it is to write, among all connections of this process.
    writers: Arc<Semaphore>,
    /// The turn of the transaction that is open.
    turn: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn establish(path: &str, purpose: Purpose, writers: Arc<Semaphore>) -> ConnectionResult<Self> {
        let mut inner = SqliteConnection::establish(path)?;
        inner.batch_execute(PRAGMAS).map_err(ConnectionError::CouldntSetupConfiguration)?;
        if purpose == Purpose::ShortReads {
            inner.batch_execute("PRAGMA query_only = ON").map_err(ConnectionError::CouldntSetupConfiguration)?;
        }
        Ok(Self { inner, purpose, writers, turn: None })
    }

    /// Does `work` with Diesel's connection, when no other connection of this process writes.
    ///
    /// # Errors
    /// What `work` fails with; the database is locked when the turn does not come within five seconds.
    pub async fn write<T>(&mut self, work: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>) -> QueryResult<T> {
        if self.turn.is_some() {
            return work(&mut self.inner);
        }
        let _turn = turn(self.writers.clone()).await?;
        blocking(|| work(&mut self.inner))
    }

    /// Runs statements, separated by semicolons.
    ///
    /// # Errors
    /// From the database.
    pub async fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        self.write(|conn| conn.batch_execute(sql)).await
    }

    /// Tells `instrumentation` of every statement from now on.
    pub fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.inner.set_instrumentation(instrumentation);
    }

    /// Nobody else can make a statement of an open transaction wait.
    fn read<T>(&mut self, work: impl FnOnce(&mut SqliteConnection) -> T) -> T {
        match self.purpose {
            Purpose::Any if self.turn.is_none() => blocking(|| work(&mut self.inner)),
            Purpose::Any | Purpose::ShortReads => work(&mut self.inner),
        }
    }

    async fn begin(&mut self) -> QueryResult<()> {
        let turn = turn(self.writers.clone()).await?;
        blocking(|| AnsiTransactionManager::begin_transaction_sql(&mut self.inner, "BEGIN IMMEDIATE"))?;
        self.turn = Some(turn);
        Ok(())
    }

    fn commit(&mut self) -> QueryResult<()> {
        let committed = blocking(|| AnsiTransactionManager::commit_transaction(&mut self.inner));
        self.turn = None;
        committed
    }

    fn roll_back(&mut self) {
        // SQLite has rolled back by itself when the disk is full, and then says that there is nothing to roll back:
        // why the work failed says more. The pool drops a connection whose rollback failed.
        if let Err(rollback) = blocking(|| AnsiTransactionManager::rollback_transaction(&mut self.inner)) {
            tracing::debug!(%rollback, "a transaction could not be rolled back");
        }
        self.turn = None;
    }
}

/// The turn to write, within five seconds.
async fn turn(writers: Arc<Semaphore>) -> QueryResult<OwnedSemaphorePermit> {
    match tokio::time::timeout(WAIT, writers.acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        // In SQLite's words.
        _ => Err(Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new("database is locked".to_owned()))),
    }
}

/// Does what may take some time; on a runtime with threads to spare, others take over what waits for this one.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Runs `work` in a transaction that takes the write lock at its begin; its `Err` rolls back.
///
/// # Errors
/// What `work` fails with, or the database.
pub async fn immediate_transaction<T, E>(
    conn: &mut Connection,
    work: impl AsyncFnOnce(&mut Connection) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<Error>,
{
    conn.begin().await?;
    match work(conn).await {
        Ok(value) => {
            conn.commit()?;
            Ok(value)
        }
        Err(error) => {
            conn.roll_back();
            Err(error)
        }
    }
}

/// Diesel's trait of this name, on [`DbConn`](super::DbConn).
pub trait RunQueryDsl: Sized {
    /// Runs a statement; returns how many rows it changed.
    ///
    /// # Errors
    /// From the database.
    fn execute<'a>(self, conn: &'a mut Connection) -> impl Future<Output = QueryResult<usize>> + Send + 'a
    where
        Self: ExecuteDsl<SqliteConnection> + Send + 'a,
    {
        conn.write(move |conn| ExecuteDsl::execute(self, conn))
    }

    /// All rows.
    ///
    /// # Errors
    /// From the database.
    fn load<'a, U: Send + 'a>(self, conn: &'a mut Connection) -> impl Future<Output = QueryResult<Vec<U>>> + Send + 'a
    where
        Self: LoadQuery<'a, SqliteConnection, U> + Send + 'a,
    {
        lazy(move |_| conn.read(|conn| diesel::RunQueryDsl::load(self, conn)))
    }

    /// All rows of a statement that changes them.
    ///
    /// # Errors
    /// From the database.
    fn get_results<'a, U: Send + 'a>(
        self,
        conn: &'a mut Connection,
    ) -> impl Future<Output = QueryResult<Vec<U>>> + Send + 'a
    where
        Self: LoadQuery<'a, SqliteConnection, U> + Send + 'a,
    {
        conn.write(move |conn| diesel::RunQueryDsl::load(self, conn))
    }

    /// The one row.
    ///
    /// # Errors
    /// [`Error::NotFound`] without one, or from the database.
    fn get_result<'a, U: Send + 'a>(self, conn: &'a mut Connection) -> impl Future<Output = QueryResult<U>> + Send + 'a
    where
        Self: LoadQuery<'a, SqliteConnection, U> + Send + 'a,
    {
        lazy(move |_| conn.read(|conn| diesel::RunQueryDsl::get_result(self, conn)))
    }

    /// The first row.
    ///
    /// # Errors
    /// [`Error::NotFound`] without one, or from the database.
    fn first<'a, U: Send + 'a>(self, conn: &'a mut Connection) -> impl Future<Output = QueryResult<U>> + Send + 'a
    where
        Self: LimitDsl + Send + 'a,
        diesel::dsl::Limit<Self>: LoadQuery<'a, SqliteConnection, U>,
    {
        lazy(move |_| conn.read(|conn| diesel::RunQueryDsl::get_result(self.limit(1), conn)))
    }
}

impl<Q> RunQueryDsl for Q {}

/// Opens connections for a pool.
#[derive(Debug)]
pub struct Opener {
    path: String,
    purpose: Purpose,
    writers: Arc<Semaphore>,
}

impl Opener {
    /// Opens the file at `path`; `writers` is the turn that all its connections share.
    pub(super) fn new(path: String, purpose: Purpose, writers: Arc<Semaphore>) -> Self {
        Self { path, purpose, writers }
    }
}

impl Manager for Opener {
    type Type = Connection;
    type Error = ConnectionError;

    async fn create(&self) -> Result<Connection, ConnectionError> {
        blocking(|| Connection::establish(&self.path, self.purpose, self.writers.clone()))
    }

    /// A connection whose transaction was left open is not given to anybody else.
    async fn recycle(&self, conn: &mut Connection, _: &Metrics) -> RecycleResult<ConnectionError> {
        if conn.turn.is_some() || AnsiTransactionManager::is_broken_transaction_manager(&mut conn.inner) {
            return Err(RecycleError::message("a transaction is open"));
        }
        Ok(())
    }
}
