//! The yardstick: the least that axum, askama and rusqlite can do to send the same pages.
//!
//! `bare PORT DATABASE PAGES COOKIE`: serves copies of the server's pages from the folder `PAGES`. `/profile` costs one
//! look-up of the session whose cookie is `COOKIE`, `/admin/users` a `COUNT(*)` and 50 rows by `OFFSET`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Html;
use axum::routing::get;
use rusqlite::{Connection, OpenFlags, Row};
use sha2::{Digest, Sha256};

type Answer = Result<Html<String>, StatusCode>;

/// A page of the server, cut where the data goes.
struct Page {
    before: String,
    after: String,
}

impl Page {
    /// The file `path` without what lies between `start` and `end`.
    fn cut(path: &Path, start: &str, end: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let (before, rest) = text.split_once(start).with_context(|| format!("no {start} in {}", path.display()))?;
        let (_, after) = rest.split_once(end).with_context(|| format!("no {end} in {}", path.display()))?;
        Ok(Self { before: format!("{before}{start}"), after: format!("{end}{after}") })
    }
}

struct Bare {
    database: PathBuf,
    sign_in: String,
    profile: Page,
    users: Page,
}

thread_local! {
    static DATABASE: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

impl Bare {
    /// Runs `query` on this thread's connection.
    fn with_database<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StatusCode> {
        DATABASE.with_borrow_mut(|slot| {
            let connection = match slot {
                Some(connection) => connection,
                None => slot.insert(open(&self.database).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?),
            };
            query(connection).map_err(|_| StatusCode::UNAUTHORIZED)
        })
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

#[derive(Template)]
#[template(source = "{{ page|safe }}", ext = "html")]
struct SignInPage<'a> {
    page: &'a str,
}

#[derive(Template)]
#[template(source = "{{ page.before|safe }}{{ upn }}{{ page.after|safe }}", ext = "html")]
struct ProfilePage<'a> {
    page: &'a Page,
    upn: &'a str,
}

#[derive(Template)]
#[template(
    source = "{{ page.before|safe }}{% for user in users %}<tr><th scope=\"row\"><a href=\"/admin/users/{{ user.id }}\">{{ user.name }}</a></th><td>{{ user.upn }}</td><td>{{ user.email }}</td><td>{{ user.kind }}</td><td>{{ user.status }}</td><td>{{ user.roles }}</td><td><time datetime=\"{{ user.seen }}\">{{ user.seen }}</time></td></tr>{% endfor %}{{ page.after|safe }}<!-- {{ total }} -->",
    ext = "html"
)]
struct UsersPage<'a> {
    page: &'a Page,
    users: Vec<User>,
    total: i64,
}

struct User {
    id: String,
    upn: String,
    name: String,
    email: String,
    kind: String,
    status: String,
    roles: String,
    seen: String,
}

const COLUMNS: &str = "id, upn, display_name, email, user_type, status, roles, last_sign_in_at";

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get(0)?,
        upn: row.get(1)?,
        name: row.get(2)?,
        email: row.get(3)?,
        kind: row.get(4)?,
        status: row.get(5)?,
        roles: row.get(6)?,
        seen: row.get(7)?,
    })
}

fn render(template: &impl Template) -> Answer {
    template.render().map(Html).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn sign_in(State(bare): State<Arc<Bare>>) -> Answer {
    render(&SignInPage { page: &bare.sign_in })
}

async fn profile(State(bare): State<Arc<Bare>>, headers: HeaderMap) -> Answer {
    let cookie = headers.get(header::COOKIE).ok_or(StatusCode::UNAUTHORIZED)?;
    let key = Sha256::digest(cookie.as_bytes());
    let upn: String = bare.with_database(|database| {
        let mut query = database.prepare_cached(
            "SELECT upn FROM bare_sessions JOIN users ON users.id = bare_sessions.user_id WHERE bare_sessions.key = ?1",
        )?;
        query.query_row([key.as_slice()], |row| row.get(0))
    })?;
    render(&ProfilePage { page: &bare.profile, upn: &upn })
}

async fn users(State(bare): State<Arc<Bare>>) -> Answer {
    let (total, users) = bare.with_database(|database| {
        let total = database.prepare_cached("SELECT COUNT(*) FROM users")?.query_row([], |row| row.get(0))?;
        let sql = format!("SELECT {COLUMNS} FROM users ORDER BY upn_fold, id LIMIT 50 OFFSET 0");
        let users = database.prepare_cached(&sql)?.query_map([], user)?.collect::<rusqlite::Result<_>>()?;
        Ok((total, users))
    })?;
    render(&UsersPage { page: &bare.users, users, total })
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, database, pages, cookie] = arguments.as_slice() else {
        anyhow::bail!("usage: bare PORT DATABASE PAGES COOKIE");
    };
    let pages = Path::new(pages);
    remember_session(Path::new(database), cookie)?;
    let bare = Bare {
        database: database.into(),
        sign_in: std::fs::read_to_string(pages.join("sign-in.html"))?,
        profile: Page::cut(&pages.join("profile.html"), "admin@", "contoso.example")?,
        users: Page::cut(&pages.join("users.html"), "<tbody>", "</tbody>")?,
    };
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/auth/sign-in", get(sign_in))
        .route("/profile", get(profile))
        .route("/admin/users", get(users))
        .with_state(Arc::new(bare));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    Ok(axum::serve(listener, router).await?)
}

/// The session that `/profile` looks up: keyed, as the server's, by a digest of the cookie.
fn remember_session(database: &Path, cookie: &str) -> Result<()> {
    let database = Connection::open(database)?;
    database.execute_batch("CREATE TABLE bare_sessions (key BLOB PRIMARY KEY NOT NULL, user_id TEXT NOT NULL)")?;
    let user: String = database.query_row("SELECT id FROM users WHERE upn LIKE 'admin@%'", [], |row| row.get(0))?;
    database.execute("INSERT INTO bare_sessions VALUES (?1, ?2)", (Sha256::digest(cookie).as_slice(), user))?;
    Ok(())
}
