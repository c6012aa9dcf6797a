//! Where SQLite does its work: on a thread for blocking work, or at once on the thread that asks.
//!
//! A page's reads take some microseconds each, and in WAL mode they wait for nobody; handing them to
//! another thread and back costs several times as much. Writers may wait for each other, and a
//! search may read the whole table: those go to a thread that may block.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use diesel::connection::{AnsiTransactionManager, Connection as _};
use diesel_async::sync_connection_wrapper::SpawnBlocking;
use diesel_async::{AsyncConnection, TransactionManager as _};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle, block_in_place};

use super::DbConn;

/// Where the work of a connection is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runner {
    /// On a thread for blocking work.
    Beside,
    /// On the thread that asks: for short reads alone.
    Here,
}

impl SpawnBlocking for Runner {
    fn spawn_blocking<'a, R: Send + 'static>(
        &mut self,
        task: impl FnOnce() -> R + Send + 'static,
    ) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync>>> {
        match self {
            Self::Here => ready(Ok(task())).boxed(),
            Self::Beside => beside(task),
        }
    }

    fn get_runtime() -> Self {
        Self::Beside
    }
}

/// Does `task` on a thread for blocking work. Every query is a type of its own, so the runtime is handed a box: otherwise
/// the compiler would make its whole machinery again for each of them.
fn beside<'a, R: Send + 'static>(
    task: impl FnOnce() -> R + Send + 'static,
) -> BoxFuture<'a, Result<R, Box<dyn Error + Send + Sync>>> {
    let (sender, mut receiver) = oneshot::channel();
    let work: Box<dyn FnOnce() + Send> = Box::new(move || drop(sender.send(task())));
    let work = Finishing { handle: Handle::current(), task: tokio::task::spawn_blocking(work) };
    async move {
        work.await?;
        Ok(receiver.try_recv()?)
    }
    .boxed()
}

/// Work that is waited for even when nobody wants its result any more: until it has ended, its
/// connection must not go back to the pool.
struct Finishing {
    handle: Handle,
    task: JoinHandle<()>,
}

impl Future for Finishing {
    type Output = Result<(), JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(context)
    }
}

impl Drop for Finishing {
    fn drop(&mut self) {
        if !self.task.is_finished() {
            // Its outcome is of no interest, only its end.
            let _ = block_in_place(|| self.handle.block_on(&mut self.task));
        }
    }
}

/// Runs `work` in a transaction that takes the write lock at its begin; its `Err` rolls back.
///
/// # Errors
/// What `work` fails with, or the database.
pub async fn immediate_transaction<T, E>(
    conn: &mut DbConn,
    work: impl AsyncFnOnce(&mut DbConn) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<diesel::result::Error>,
{
    type Manager = <DbConn as AsyncConnection>::TransactionManager;
    conn.spawn_blocking(|conn| AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")).await?;
    match work(conn).await {
        Ok(value) => {
            Manager::commit_transaction(conn).await?;
            Ok(value)
        }
        Err(error) => {
            // SQLite has rolled back by itself when the disk is full, and then says that there is nothing to roll back:
            // why the work failed says more. The pool drops a connection whose rollback failed.
            if let Err(rollback) = Manager::rollback_transaction(conn).await {
                tracing::debug!(%rollback, "a transaction could not be rolled back");
            }
            Err(error)
        }
    }
}

/// A connection for short reads: its work is done at once, and it cannot write.
///
/// # Errors
/// When the file cannot be opened.
pub(super) fn reader(path: &str) -> diesel::ConnectionResult<DbConn> {
    use diesel::connection::SimpleConnection as _;
    let mut conn = diesel::SqliteConnection::establish(path)?;
    let pragmas = [super::pool::PRAGMAS, " PRAGMA query_only = ON;"].concat();
    conn.batch_execute(&pragmas).map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(DbConn::with_runtime(conn, Runner::Here))
}
