//! Single parts of a request: `cargo bench -p suite`. `tests/bench/run` measures whole ones, from outside.

use std::sync::{Arc, LazyLock};

use app::backend::{Backend, PageError, provide_backend};
use app::model::{
    AuditPage, AuditQuery, Dashboard, GrantRow, GrantState, GroupPage, Health, Listing, PageContext, Profile,
    SessionRow, UserDetail, UserPage, UserQuery, UserRow, Viewer,
};
use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use diesel::QueryDsl as _;
use divan::{Bencher, black_box};
use leptos::prelude::{Owner, RenderHtml as _, provide_context};
use store::RunQueryDsl as _;
use store::models::SessionRecord;
use store::schema::sessions;
use suite::TestApp;
use tower::ServiceExt as _;

/// As long as what is sealed for a grant: an access token of Entra with a few groups, a refresh token.
const SECRET: [u8; 4096] = [b'x'; 4096];

/// An application with an administrator who has signed in, and fifty users.
struct Fixture {
    runtime: tokio::runtime::Runtime,
    app: TestApp,
    router: Router,
    /// The administrator's `Cookie` header.
    cookie: String,
    /// The digest of their session's id.
    session: Vec<u8>,
    /// A caller's access token for the API.
    token: String,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (app, cookie, session, token) = runtime.block_on(async {
        let app = TestApp::start().await;
        let browser = app.sign_in("admin").await;
        suite::db_fill(&app, 49).await;
        app.settle().await;
        let cookie = format!("id={}", browser.cookie("id").expect("a session"));
        let mut conn = app.state.db.conn().await.expect("a connection");
        let session: Vec<u8> = sessions::table.select(sessions::id_hash).first(&mut conn).await.expect("a session");
        drop(conn);
        let token = app.member_token("member1").await;
        (app, cookie, session, token)
    });
    let router = server::router::build(app.state.clone());
    Fixture { runtime, app, router, cookie, session, token }
});

fn main() {
    divan::main();
}

/// RS256 with the provider's keys at hand, and every claim that the API checks.
#[divan::bench]
fn verify_access_token(bencher: Bencher<'_, '_>) {
    let Fixture { runtime, app, token, .. } = &*FIXTURE;
    let api = app.state.config.api.as_ref().expect("an API");
    bencher.bench(|| {
        let verified = app.state.oidc.verify_access_token(black_box(token), &api.audiences, &api.scope);
        runtime.block_on(verified).expect("a caller")
    });
}

/// The session with its person, from the database.
#[divan::bench]
fn look_up_session(bencher: Bencher<'_, '_>) {
    let Fixture { runtime, app, session, .. } = &*FIXTURE;
    bencher.bench(|| {
        runtime.block_on(async {
            let mut conn = app.state.db.read().await.expect("a connection");
            let found = SessionRecord::find_live_with_user(&mut conn, black_box(session), app.state.live_at()).await;
            found.expect("an answer").expect("a session")
        })
    });
}

/// Four kilobytes of tokens for the database.
#[divan::bench]
fn seal(bencher: Bencher<'_, '_>) {
    let keys = &FIXTURE.app.state.config.tokens.keys;
    bencher.bench(|| keys.seal(black_box(&SECRET), b"grant").expect("sealed"));
}

/// The same, back.
#[divan::bench]
fn open(bencher: Bencher<'_, '_>) {
    let keys = &FIXTURE.app.state.config.tokens.keys;
    let sealed = keys.seal(&SECRET, b"grant").expect("sealed");
    bencher.bench(|| keys.open(black_box(&sealed), b"grant").expect("opened"));
}

/// The page with the table of fifty users, from data that is there.
#[divan::bench]
fn render_user_table(bencher: Bencher<'_, '_>) {
    let backend = Arc::new(FiftyUsers::new());
    bencher.bench(|| render(black_box(backend.clone())));
}

/// The same as an answer of the whole router, with session, queries and headers.
#[divan::bench]
fn answer_user_list(bencher: Bencher<'_, '_>) {
    let Fixture { runtime, router, cookie, .. } = &*FIXTURE;
    bencher.bench(|| {
        runtime.block_on(async {
            let request = Request::get("/admin/users").header("host", "localhost").header("cookie", cookie);
            let request = request.header("accept", "text/html").body(Body::empty()).expect("a request");
            let Ok(answer) = router.clone().oneshot(request).await;
            assert_eq!(answer.status(), 200);
            axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body")
        })
    });
}

fn render(backend: Arc<FiftyUsers>) -> String {
    let viewer = Viewer { id: "1".into(), name: "Ada Admin".into(), is_admin: true, ..Viewer::default() };
    let context = PageContext {
        viewer: Some(viewer),
        path: "/admin/users".into(),
        now: "2026-11-24T22:00:00Z".into(),
        ..PageContext::default()
    };
    let owner = Owner::new();
    let html = owner.with(|| {
        provide_context(app::ResponseStatus::new(|_| ()));
        provide_backend(backend, context);
        let page = app::routes().into_iter().find(|route| route.path == "/admin/users").expect("the page");
        page.render().to_html()
    });
    assert!(html.contains("person49@contoso.example"));
    html
}

/// A backend that has one page, at once.
struct FiftyUsers(UserPage);

impl FiftyUsers {
    fn new() -> Self {
        let row = |number| UserRow {
            id: format!("00000000-0000-4000-8000-{number:012}"),
            upn: format!("person{number}@contoso.example"),
            name: format!("Person {number} of Department 7"),
            email: format!("person{number}@contoso.example"),
            roles: vec!["admin".into()],
            last_sign_in: "2026-11-24T21:00:00Z".into(),
            ..UserRow::default()
        };
        Self(UserPage { rows: (0..50).map(row).collect(), total: Some(10_000), any_users: true, ..UserPage::default() })
    }
}

#[async_trait]
impl Backend for FiftyUsers {
    async fn users(&self, _: UserQuery) -> Result<UserPage, PageError> {
        Ok(self.0.clone())
    }
    async fn profile(&self) -> Result<Profile, PageError> {
        Err(PageError::NotFound)
    }
    async fn dashboard(&self) -> Result<Dashboard, PageError> {
        Err(PageError::NotFound)
    }
    async fn user(&self, _: String) -> Result<UserDetail, PageError> {
        Err(PageError::NotFound)
    }
    async fn sessions(&self, _: Option<String>) -> Result<Listing<SessionRow>, PageError> {
        Err(PageError::NotFound)
    }
    async fn groups(&self, _: Option<String>) -> Result<GroupPage, PageError> {
        Err(PageError::NotFound)
    }
    async fn grants(&self, _: Option<GrantState>, _: Option<String>) -> Result<Listing<GrantRow>, PageError> {
        Err(PageError::NotFound)
    }
    async fn audit(&self, _: AuditQuery) -> Result<AuditPage, PageError> {
        Err(PageError::NotFound)
    }
    async fn health(&self) -> Result<Health, PageError> {
        Err(PageError::NotFound)
    }
}
