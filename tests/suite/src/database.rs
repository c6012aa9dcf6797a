//! A database for each test: SQLite as a file in a temporary folder, PostgreSQL as a database of its
//! own on the server of `TEST_DATABASE_URL`; both are gone when the test is.

/// A database that nobody else uses.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    #[cfg(feature = "sqlite")]
    _folder: tempfile::TempDir,
    #[cfg(feature = "postgres")]
    name: String,
    #[cfg(feature = "postgres")]
    ahead: chrono::Duration,
}

#[cfg(feature = "sqlite")]
impl TestDatabase {
    /// A new, empty one.
    pub async fn create() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("test.db").display());
        Self { url, _folder: folder }
    }
}

#[cfg(feature = "postgres")]
impl TestDatabase {
    /// A new, empty one.
    ///
    /// # Panics
    /// Without `TEST_DATABASE_URL`: `tests/run` starts a server and sets it.
    pub async fn create() -> Self {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let server = server_url();
        let ahead = run_on_server(&server, format!("CREATE DATABASE {name}")).await;
        let mut url: url::Url = server.parse().expect("TEST_DATABASE_URL is a URL");
        url.set_path(&name);
        Self { url: url.to_string(), name, ahead }
    }
}

#[cfg(feature = "postgres")]
impl TestDatabase {
    /// Takes the database away: its connections end, and new ones are refused until it is given back.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn set_reachable(&self, is_reachable: bool) {
        let name = &self.name;
        run_on_server(&server_url(), format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {is_reachable}")).await;
        if !is_reachable {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
            run_on_server(&server_url(), format!("{end} '{name}'")).await;
        }
    }
}

#[cfg(feature = "postgres")]
fn server_url() -> String {
    std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL names a PostgreSQL server: tests/run starts one")
}

/// Returns by how many whole seconds the server's clock is ahead of this machine's.
#[cfg(feature = "postgres")]
async fn run_on_server(server: &str, statement: String) -> chrono::Duration {
    let (client, connection) =
        tokio_postgres::connect(server, tokio_postgres::NoTls).await.expect("the server of TEST_DATABASE_URL answers");
    let connection = tokio::spawn(connection);
    client.batch_execute(&statement).await.expect("the statement runs");
    let now = "SELECT extract(epoch FROM clock_timestamp())::bigint";
    let now: i64 = client.query_one(now, &[]).await.expect("the time").get(0);
    drop(client);
    let _ = connection.await;
    chrono::Duration::seconds(now - entra::clock::Clock::system().now().timestamp())
}

#[cfg(feature = "postgres")]
impl Drop for TestDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = server_url();
        // The test's runtime is on its way out: a thread with one of its own cleans up.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                let _ = runtime.block_on(run_on_server(&server, statement));
            }
        });
        let _ = thread.join();
    }
}

#[cfg(feature = "sqlite")]
impl TestDatabase {
    /// By how much its clock is ahead of this machine's: it has no other.
    #[must_use]
    pub fn ahead(&self) -> chrono::Duration {
        chrono::Duration::zero()
    }
}

#[cfg(feature = "postgres")]
impl TestDatabase {
    /// By how many whole seconds its clock is ahead of this machine's.
    #[must_use]
    pub fn ahead(&self) -> chrono::Duration {
        self.ahead
    }
}

impl TestDatabase {
    /// For `DATABASE_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}
