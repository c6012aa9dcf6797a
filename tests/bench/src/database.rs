//! The databases under load: SQLite as a file, PostgreSQL on a server where databases may be created.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio_postgres::NoTls;

/// A database of the server's.
#[derive(Clone, Debug)]
pub enum Database {
    /// A file.
    Sqlite(PathBuf),
    /// A database on a server, by its URL.
    Postgres(String),
}

impl Database {
    /// An empty one: a file in `folder`.
    pub fn sqlite(folder: &Path, name: &str) -> Self {
        Self::Sqlite(folder.join(format!("{name}.db")))
    }

    /// An empty one on the server that has the database at `url`, where it is created.
    pub async fn postgres(url: &str, name: &str) -> Result<Self> {
        let name = format!("bench_{}_{name}", std::process::id());
        postgres(url).await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        Ok(Self::Postgres(beside(url, &name)?))
    }

    /// What `DATABASE_URL` has to be.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// A copy under another name. Nobody may use the database meanwhile.
    pub async fn copy(&self, name: &str) -> Result<Self> {
        match self {
            Self::Sqlite(path) => {
                rusqlite::Connection::open(path)?.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
                let copy = path.with_file_name(format!("{name}.db"));
                std::fs::copy(path, &copy)?;
                Ok(Self::Sqlite(copy))
            }
            Self::Postgres(url) => {
                let (from, name) = (name_of(url)?, format!("bench_{}_{name}", std::process::id()));
                let server = postgres(&beside(url, "postgres")?).await?;
                server.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {from} STRATEGY FILE_COPY")).await?;
                Ok(Self::Postgres(beside(url, &name)?))
            }
        }
    }

    /// Runs statements that both databases understand.
    pub async fn execute(&self, statements: &str) -> Result<()> {
        match self {
            Self::Sqlite(path) => Ok(rusqlite::Connection::open(path)?.execute_batch(statements)?),
            Self::Postgres(url) => Ok(postgres(url).await?.batch_execute(statements).await?),
        }
    }

    /// The number that `query` returns.
    pub async fn count(&self, query: &str) -> Result<i64> {
        match self {
            Self::Sqlite(path) => Ok(rusqlite::Connection::open(path)?.query_row(query, [], |row| row.get(0))?),
            Self::Postgres(url) => Ok(postgres(url).await?.query_one(query, &[]).await?.get(0)),
        }
    }

    /// Deletes it, whoever still uses it. A file goes with its folder.
    pub async fn remove(self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(url) => {
                let server = postgres(&beside(&url, "postgres")?).await?;
                Ok(server.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", name_of(&url)?)).await?)
            }
        }
    }
}

/// A connection of its own to `url`.
pub(crate) async fn postgres(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.context("PostgreSQL does not answer")?;
    tokio::spawn(connection);
    Ok(client)
}

fn beside(url: &str, name: &str) -> Result<String> {
    let (server, _) = url.rsplit_once('/').context("a URL has a path")?;
    Ok(format!("{server}/{name}"))
}

fn name_of(url: &str) -> Result<&str> {
    Ok(url.rsplit_once('/').context("a URL has a path")?.1)
}
