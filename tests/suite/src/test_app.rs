//! A whole application for one test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use entra::clock::Clock;
use entra_emulator::{DEV_TENANT_ID, Emulator, Options, Persona, Tenant as EmulatedTenant};
use futures_util::future::{join, join_all};
use server::config::Config;
use server::config::Tenancy;
use server::config::build::{Build, Database};
use server::config::dotenv::Environment;
use server::config::settings::Settings;
use server::people::hooks::SyncHooks;
use server::state::AppState;
use server::web::connections::{self, Limits};
use store::models::{AuditEvent, AuditFilter, Grant, User};
use store::{Conn, DbError, migrate};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use url::{Url, form_urlencoded};
use uuid::Uuid;

use crate::{Browser, Page, TestDatabase};

/// An application, listening on loopback, with an emulator and a database of its own.
pub struct TestApp {
    /// The inside, for `db_*` helpers, jobs and other instances.
    pub state: AppState,
    /// The provider.
    pub emulator: Arc<Emulator>,
    clock: Clock,
    database: Arc<TestDatabase>,
    origin: String,
    listens_at: String,
    settings: BTreeMap<String, String>,
    server: JoinHandle<()>,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.state.shutdown.cancel();
        self.server.abort();
    }
}

/// The tenant beside the emulator's own, where [`TestAppBuilder::two_tenants`] lets its people in.
pub const OTHER_TENANT: Uuid = uuid::uuid!("0d0d0d0d-0000-4000-8000-000000000000");

/// How the application of a test differs from the default.
#[derive(Default)]
pub struct TestAppBuilder {
    settings: BTreeMap<String, String>,
    emulator: Option<Arc<Emulator>>,
    options: Option<Options>,
    database: Option<Arc<TestDatabase>>,
    clock: Option<Clock>,
    is_at_database_time: bool,
    days_ago: i64,
    has_running_clock: bool,
    is_generic: bool,
    without_api: bool,
    hooks: Option<Arc<dyn SyncHooks>>,
}

impl TestAppBuilder {
    /// Signs in with the emulator as any other OpenID Provider (`OIDC_ISSUER`).
    #[must_use]
    pub fn generic(mut self) -> Self {
        self.is_generic = true;
        self
    }

    /// Sets a setting by its name in the environment.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Lets people of [`OTHER_TENANT`] sign in as well.
    #[must_use]
    pub fn two_tenants(self) -> Self {
        self.setting("ENTRA_TENANT_ID", "organizations")
            .setting("ENTRA_ALLOWED_TENANTS", format!("{DEV_TENANT_ID},{OTHER_TENANT}"))
    }

    /// Takes an emulator that is running already.
    #[must_use]
    pub fn emulator(mut self, emulator: Arc<Emulator>) -> Self {
        self.emulator = Some(emulator);
        self
    }

    /// As a project that was generated without the API.
    #[must_use]
    pub fn without_api(mut self) -> Self {
        self.without_api = true;
        self
    }

    /// Starts the emulator with these options.
    #[must_use]
    pub fn emulator_options(mut self, options: Options) -> Self {
        self.options = Some(options);
        self
    }

    /// Starts the application with these hooks.
    #[must_use]
    pub fn hooks(mut self, hooks: Arc<dyn SyncHooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }

    /// Starts it with this clock instead of one that stands still.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Begins at the time of its database, which instances go by that are processes of their own: the machine's time
    /// may be another one.
    #[must_use]
    pub fn at_database_time(mut self) -> Self {
        self.is_at_database_time = true;
        self
    }

    /// Begins so many days before the time of its database, and the provider does too.
    #[must_use]
    pub fn days_ago(mut self, days: i64) -> Self {
        self.days_ago = days;
        self.at_database_time()
    }

    /// As [`Self::at_database_time`], with a clock that runs instead of one that stands still.
    #[must_use]
    pub fn running_clock(mut self) -> Self {
        self.has_running_clock = true;
        self.at_database_time()
    }

    /// Makes the application another instance beside `other`: same database, provider and clock.
    #[must_use]
    pub fn beside(mut self, other: &TestApp) -> Self {
        self.is_generic = !other.state.oidc.is_entra();
        self.emulator = Some(other.emulator.clone());
        self.database = Some(other.database.clone());
        self.clock = Some(other.clock.clone());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started: the test has failed then.
    pub async fn start(self) -> TestApp {
        crate::log::start();
        let database = match self.database {
            Some(database) => database,
            None => Arc::new(TestDatabase::create().await),
        };
        let ahead = if self.is_at_database_time { database.ahead() } else { chrono::Duration::zero() };
        let ahead = ahead - chrono::Duration::days(self.days_ago);
        let emulator = self.emulator.unwrap_or_else(|| {
            let emulator = Emulator::start(self.options.unwrap_or_default()).expect("the emulator starts");
            emulator.control().advance_clock(ahead.num_seconds());
            Arc::new(emulator)
        });
        let clock = self.clock.unwrap_or_else(|| match self.has_running_clock {
            true => Clock::wrong(ahead),
            false => Clock::manual(Clock::system().now() + ahead),
        });
        if clock.is_manual() && !self.is_at_database_time {
            // Both stand still: how long a test takes makes no token older.
            emulator.control().stop_clock(clock.now());
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let listens_at = format!("http://localhost:{port}");
        let mut settings = default_settings(&emulator, database.url(), &listens_at);
        if self.is_generic {
            settings.insert("OIDC_ISSUER".to_owned(), emulator.issuer());
            settings.retain(|name, _| !["ENTRA_AUTHORITY", "ENTRA_TENANT_ID", "GRAPH_URL"].contains(&name.as_str()));
        }
        settings.extend(self.settings);
        settings.retain(|_, value| !value.is_empty());
        let origin = settings["PUBLIC_URL"].clone();
        let hooks = self.hooks.unwrap_or_else(server::people::hooks::registered);
        let state = AppState::with_hooks(config_of(&settings, !self.without_api), clock.clone(), Vec::new(), hooks);
        let state = state.expect("the application is built");
        migrate::run(&state.db).await.expect("the migrations run");
        server::people::role_mappings::reconcile_at_start(&state).await.expect("roles follow the rules");
        let app = server::router::build(state.clone());
        let server = tokio::spawn(connections::serve(listener, app, Limits::of_process(), state.shutdown.clone()));
        TestApp { state, emulator, clock, database, origin, listens_at, settings, server }
    }
}

/// The key ring of every test application: instances of one test must share it.
const TEST_KEYS: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn default_settings(emulator: &Emulator, database_url: &str, origin: &str) -> BTreeMap<String, String> {
    [
        ("PUBLIC_URL", origin.to_owned()),
        ("DATABASE_URL", database_url.to_owned()),
        ("ENTRA_AUTHORITY", emulator.authority().to_owned()),
        ("GRAPH_URL", emulator.graph_url()),
        ("ENTRA_TENANT_ID", emulator.tenant_id().to_string()),
        ("ENTRA_CLIENT_ID", emulator.client_id().to_owned()),
        ("ENTRA_CLIENT_SECRET", emulator.client_secret().to_owned()),
        ("TOKEN_ENCRYPTION_KEYS", TEST_KEYS.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The settings of a test, validated.
///
/// # Panics
/// When they are wrong.
pub(crate) fn config_of(settings: &BTreeMap<String, String>, api: bool) -> Config {
    let build = Build {
        database: Database::COMPILED,
        dev: false,
        graph: true,
        api,
        tenancy: Tenancy::Single,
        dev_keys: PathBuf::from("unused"),
    };
    let settings = Settings::from_pairs(settings).expect("each setting once");
    match settings.validate(&build, &Environment::default()) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}"),
    }
}

fn access_token_in(answer: &serde_json::Value) -> String {
    answer["access_token"].as_str().expect("an access token").to_owned()
}

impl TestApp {
    /// With the default settings.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// To change settings before the start.
    #[must_use]
    pub fn builder() -> TestAppBuilder {
        TestAppBuilder::default()
    }

    /// `PUBLIC_URL`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The address of `path` at this very instance, whatever `PUBLIC_URL` says.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.listens_at)
    }

    /// Asks the router itself, with a path exactly as it is written: clients would tidy it up.
    ///
    /// # Panics
    /// When that is no request.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Page {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        self.answer(server::router::build(self.state.clone()), request).await
    }

    /// Asks the listener of operators' monitoring (`METRICS_ADDR`).
    ///
    /// # Panics
    /// When that is no request.
    pub async fn ask_as_operator(&self, path: &str) -> Page {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        self.answer(server::web::monitoring::routes(self.state.clone()), request).await
    }

    async fn answer(&self, router: axum::Router, request: Request<Body>) -> Page {
        let Ok(answer) = router.oneshot(request).await;
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        Page {
            url: self.origin.parse().expect("a URL"),
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Asks the router itself for `path`, with the session of `browser`; the body comes part by part, each when it is
    /// asked for.
    ///
    /// # Panics
    /// When the answer is not 200.
    pub async fn stream(&self, path: &str, browser: &Browser) -> BodyDataStream {
        let cookie = format!("id={}", browser.cookie("id").expect("a session"));
        let request = Request::builder().uri(path).header("cookie", cookie).body(Body::empty()).expect("a request");
        let Ok(answer) = server::router::build(self.state.clone()).oneshot(request).await;
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.into_body().into_data_stream()
    }

    /// The settings that it was started with, for processes beside it.
    #[must_use]
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    /// Its database.
    #[must_use]
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    /// A browser that nobody has used yet.
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::new(&self.origin)
    }

    /// A browser in which the persona has signed in.
    ///
    /// # Panics
    /// When they could not.
    pub async fn sign_in(&self, persona: &str) -> Browser {
        let browser = self.browser();
        browser.sign_in(persona).await.assert_status(303);
        browser
    }

    /// Waits until the work that sign-ins began behind the scenes is done.
    pub async fn settle(&self) {
        self.state.tasks.close();
        self.state.tasks.wait().await;
        self.state.tasks.reopen();
    }

    /// Adds somebody to [`OTHER_TENANT`] who is as the persona `member1` but for what `change` says.
    ///
    /// # Panics
    /// When `member1` is gone.
    pub fn add_stranger(&self, id: &str, change: impl FnOnce(&mut Persona)) {
        let control = self.emulator.control();
        let (domain, name) = ("fabrikam.example".to_owned(), "Fabrikam".to_owned());
        control.add_tenant(EmulatedTenant { id: OTHER_TENANT, domain, name });
        let member = control.persona("member1").expect("a persona");
        let mut stranger = Persona { id: id.to_owned(), oid: Uuid::from_u128(9), tenant_id: OTHER_TENANT, ..member };
        change(&mut stranger);
        control.put_persona(stranger);
    }

    /// An access token for the API on behalf of the persona, as a program of its own would get it: by
    /// the authorization code flow, with these scopes.
    ///
    /// # Panics
    /// When the provider gives none.
    pub async fn access_token(&self, persona: &str, scopes: &str) -> String {
        access_token_in(&self.code_flow(("persona", persona), scopes).await)
    }

    /// All tokens of the person with this UPN, as the token endpoint gives them to a program.
    pub(crate) async fn token_answer(&self, upn: &str, scopes: &str) -> serde_json::Value {
        self.code_flow(("login_hint", upn), scopes).await
    }

    async fn code_flow(&self, who: (&str, &str), scopes: &str) -> serde_json::Value {
        let (program, redirect_uri) = (self.browser(), "http://localhost/program");
        let mut authorize: Url = self.authorize_url().parse().expect("a URL");
        authorize.query_pairs_mut().extend_pairs([
            ("client_id", self.emulator.client_id()),
            ("response_type", "code"),
            ("redirect_uri", redirect_uri),
            ("scope", scopes),
            ("state", "program"),
            ("nonce", "program"),
            who,
        ]);
        let answer = program.get(authorize.as_str()).await.location().expect("an authorization response");
        let (_, code) = answer.query_pairs().find(|(name, _)| name == "code").expect("a code");
        self.redeem(&[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", redirect_uri)]).await
    }

    /// [`TestApp::access_token`] with the scope that the API asks for.
    pub async fn member_token(&self, persona: &str) -> String {
        self.access_token(persona, &format!("openid api://{}/access_as_user", self.emulator.client_id())).await
    }

    /// An access token for the API of a program by itself, with the app roles of the emulator's
    /// `own_app_roles`.
    pub async fn program_token(&self) -> String {
        self.program_token_of(&self.emulator.tenant_id().to_string()).await
    }

    /// As [`TestApp::program_token`], of the program in this tenant.
    pub async fn program_token_of(&self, tenant: &str) -> String {
        let scope = format!("api://{}/.default", self.emulator.client_id());
        let grant = [("grant_type", "client_credentials"), ("scope", scope.as_str())];
        access_token_in(&self.redeem_in(tenant, &grant).await)
    }

    async fn redeem(&self, grant: &[(&str, &str)]) -> serde_json::Value {
        self.redeem_in(&self.emulator.tenant_id().to_string(), grant).await
    }

    async fn redeem_in(&self, tenant: &str, grant: &[(&str, &str)]) -> serde_json::Value {
        let credentials = [("client_id", self.emulator.client_id()), ("client_secret", self.emulator.client_secret())];
        let body =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(credentials).extend_pairs(grant).finish();
        let url = format!("{}/{tenant}/oauth2/v2.0/token", self.emulator.authority());
        let answer = self.browser().post_raw(&url, body, &[]).await;
        serde_json::from_str(&answer.assert_status(200).body).expect("JSON")
    }

    fn authorize_url(&self) -> String {
        format!("{}/{}/oauth2/v2.0/authorize", self.emulator.authority(), self.emulator.tenant_id())
    }

    /// The inside of another instance with some settings changed; it need not be able to serve.
    ///
    /// # Panics
    /// When the settings are wrong.
    #[must_use]
    pub fn state_with(&self, changes: &[(&str, &str)]) -> AppState {
        let mut settings = self.settings.clone();
        settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        AppState::new(config_of(&settings, true), self.clock.clone(), Vec::new()).expect("the application is built")
    }

    /// Moves the application's clock.
    pub fn advance(&self, seconds: i64) {
        self.clock.advance(chrono::Duration::seconds(seconds));
    }

    /// The user with this UPN.
    ///
    /// # Panics
    /// When there is none, or more than one.
    pub async fn db_user(&self, upn: &str) -> User {
        let mut users = self.db_users(upn).await;
        assert_eq!(users.len(), 1, "one user {upn}");
        users.remove(0)
    }

    /// Every connection that writes, and every one for short reads, which PostgreSQL has none of.
    ///
    /// # Panics
    /// When one of them is not free in time.
    pub async fn db_connections(&self) -> (Vec<Conn>, Vec<Conn>) {
        let db = &self.state.db;
        let sizes: Vec<usize> = db.status().iter().map(|(_, pool)| pool.max_size).collect();
        let size = |pool: usize| sizes.get(pool).copied().unwrap_or_default();
        let (writers, readers) =
            join(join_all((0..size(0)).map(|_| db.conn())), join_all((0..size(1)).map(|_| db.read()))).await;
        let open = |conns: Vec<_>| conns.into_iter().map(|conn: Result<Conn, DbError>| conn.expect("a connection"));
        (open(writers).collect(), open(readers).collect())
    }

    /// All users that a search for `q` finds.
    pub async fn db_users(&self, q: &str) -> Vec<User> {
        let filter = store::models::UserFilter { q: q.to_owned(), ..Default::default() };
        let window = store::models::UserWindow {
            sort: "upn",
            descending: false,
            after: None,
            before: None,
            end: false,
            limit: 200,
        };
        let mut conn = self.state.db.conn().await.expect("a connection");
        User::list(&mut conn, &filter, &window).await.expect("users")
    }

    /// The grants of a user.
    pub async fn db_grants(&self, user: &User) -> Vec<Grant> {
        let mut conn = self.state.db.conn().await.expect("a connection");
        Grant::list_by_user(&mut conn, &user.id).await.expect("grants")
    }

    /// Audit events whose kind starts with `kind`, newest first.
    pub async fn db_events(&self, kind: &str) -> Vec<AuditEvent> {
        let mut conn = self.state.db.conn().await.expect("a connection");
        let all = AuditEvent::list(&mut conn, &AuditFilter::default(), None, 1000).await.expect("events");
        all.into_iter().filter(|event| event.kind.starts_with(kind)).collect()
    }
}
