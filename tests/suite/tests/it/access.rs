//! Who may what: every route by every method for every kind of caller, and paths written oddly.

use server::models::{SessionRecord, new_id};
use suite::{Browser, TestApp};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    Anonymous,
    Member,
    Admin,
    /// The browser of somebody who was signed in when an administrator disabled them.
    Disabled,
    BearerMember,
    BearerAdmin,
    BearerDisabled,
    Program,
}

use Caller::{Admin, Anonymous, BearerAdmin, BearerDisabled, BearerMember, Disabled, Member, Program};

const CALLERS: [Caller; 8] = [Anonymous, Member, Admin, Disabled, BearerMember, BearerAdmin, BearerDisabled, Program];

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"];

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Everyone,
    SignedIn,
    Admins,
    /// Bearer tokens of people.
    ApiPerson,
    /// Bearer tokens of administrators, and of programs with the role.
    ApiUsers,
    /// Any good bearer token.
    Api,
}

use Access::{Admins, Api, ApiPerson, ApiUsers, Everyone, SignedIn};

impl Access {
    /// The status that ends it for `caller`, whatever the method.
    fn refusal(self, caller: Caller) -> Option<u16> {
        let to_sign_in = !matches!(caller, Member | Admin);
        match (self, caller) {
            (Everyone, _) | (Admins, Admin) | (ApiUsers, BearerAdmin | Program) => None,
            (SignedIn | Admins, _) if to_sign_in => Some(303),
            (SignedIn, _) => None,
            (Admins, _) => Some(403),
            (Api | ApiPerson | ApiUsers, Anonymous | Member | Admin | Disabled) => Some(401),
            (Api | ApiPerson | ApiUsers, BearerDisabled) => Some(403),
            (Api | ApiPerson | ApiUsers, _) => None,
        }
    }

    /// The status of a method that the route has, for callers whom the handler turns away.
    fn late_refusal(self, caller: Caller) -> Option<u16> {
        let is_refused = matches!((self, caller), (ApiPerson, Program) | (ApiUsers, BearerMember));
        is_refused.then_some(403)
    }
}

/// A method that a route has, and its status without a session and with one (and an empty body).
type Method = (&'static str, u16, u16);

const fn page(status: u16) -> [Method; 1] {
    [("GET", status, status)]
}

const fn act(status: u16) -> [Method; 1] {
    [("POST", status, status)]
}

/// A route: its path as the router has it, whom it is for, and its methods.
type Route = (&'static str, Access, &'static [Method]);

const PAGE: &[Method] = &page(200);
const NO_PAGE: &[Method] = &page(404);
/// What a form without its token gets.
const ACT: &[Method] = &act(400);

/// An act whose question can be asked again, here about nobody; axum reads no query as a form for `HEAD`.
const QUESTION: &[Method] = &[("GET", 404, 404), ("HEAD", 400, 400), ("POST", 400, 400)];

/// Every route of the router. A new one has to be added here before the suite passes.
const ROUTES: &[Route] = &[
    ("/", Everyone, PAGE),
    ("/healthz", Everyone, PAGE),
    ("/readyz", Everyone, PAGE),
    ("/favicon.ico", Everyone, PAGE),
    ("/assets/{file}", Everyone, NO_PAGE),
    ("/auth/sign-in", Everyone, &[("GET", 200, 200), ("POST", 303, 303)]),
    ("/auth/callback", Everyone, &[("GET", 400, 400), ("POST", 400, 400)]),
    ("/auth/sign-out", Everyone, &[("POST", 303, 400)]),
    ("/auth/signed-out", Everyone, PAGE),
    ("/auth/front-channel-logout", Everyone, PAGE),
    ("/auth/back-channel-logout", Everyone, ACT),
    ("/theme", Everyone, ACT),
    ("/csp-reports", Everyone, &act(415)),
    ("/profile", SignedIn, PAGE),
    ("/profile/photo", SignedIn, NO_PAGE),
    ("/profile/sessions/{id}/end", SignedIn, ACT),
    ("/profile/sign-out-everywhere", SignedIn, ACT),
    ("/admin", Admins, PAGE),
    ("/admin/users", Admins, PAGE),
    ("/admin/users.csv", Admins, PAGE),
    ("/admin/audit.csv", Admins, PAGE),
    ("/admin/users/suggestions", Admins, PAGE),
    ("/admin/users/bulk", Admins, &[("GET", 303, 303), ("HEAD", 400, 400), ("POST", 400, 400)]),
    ("/admin/users/{id}", Admins, NO_PAGE),
    ("/admin/sessions", Admins, PAGE),
    ("/admin/groups", Admins, PAGE),
    ("/admin/groups/mappings", Admins, &[("GET", 400, 400), ("POST", 400, 400)]),
    ("/admin/grants", Admins, PAGE),
    ("/admin/audit", Admins, PAGE),
    ("/admin/health", Admins, PAGE),
    ("/admin/health/directory-sync", Admins, &[("GET", 400, 400), ("POST", 400, 400)]),
    ("/admin/health/examine", Admins, ACT),
    ("/admin/users/{id}/disable", Admins, QUESTION),
    ("/admin/users/{id}/enable", Admins, ACT),
    ("/admin/users/{id}/roles", Admins, QUESTION),
    ("/admin/users/{id}/sign-out", Admins, ACT),
    ("/admin/sessions/{id}/end", Admins, ACT),
    ("/admin/grants/{id}/refresh", Admins, ACT),
    ("/admin/grants/{id}/forget", Admins, ACT),
    ("/api/openapi.json", Everyone, PAGE),
    ("/api/v1/me", ApiPerson, PAGE),
    ("/api/v1/me/manager", ApiPerson, PAGE),
    ("/api/v1/users", ApiUsers, PAGE),
    ("/api", Api, &NOTHING),
    ("/api/", Api, &NOTHING),
    ("/api/{*rest}", Api, &NOTHING),
];

/// The path of every route of the router.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().map(|(path, ..)| *path)
}

/// A path without a route takes any method and has nothing.
const NOTHING: [Method; 7] = [
    ("GET", 404, 404),
    ("HEAD", 404, 404),
    ("POST", 404, 404),
    ("PUT", 404, 404),
    ("DELETE", 404, 404),
    ("OPTIONS", 404, 404),
    ("TRACE", 404, 404),
];

fn expected((_, access, methods): &Route, caller: Caller, method: &str) -> u16 {
    if let Some(refusal) = access.refusal(caller) {
        return refusal;
    }
    let has = |name: &str| methods.iter().find(|(known, ..)| *known == name);
    let found = has(method).or_else(|| if method == "HEAD" { has("GET") } else { None });
    match found {
        None => 405,
        Some((_, anonymous, signed_in)) => access.late_refusal(caller).unwrap_or(match caller {
            Member | Admin => *signed_in,
            _ => *anonymous,
        }),
    }
}

/// A caller with what they send: a cookie or a token.
struct Voice {
    caller: Caller,
    browser: Browser,
    authorization: Option<String>,
}

impl Voice {
    async fn status_and_body(&self, method: &str, path: &str) -> (u16, String) {
        let mut headers = vec![("sec-fetch-site", "same-origin")];
        headers.extend(self.authorization.as_deref().map(|value| ("authorization", value)));
        let body = matches!(method, "POST" | "PUT").then(String::new);
        let answer = self.browser.request(method, path, body, &headers).await;
        (answer.status, answer.body)
    }
}

/// Every caller of [`CALLERS`], with `disabled` disabled after having signed in.
async fn voices(app: &TestApp) -> Vec<Voice> {
    app.emulator.control().change_persona("admin", |persona| persona.photo = false);
    app.emulator.control().change_persona("member1", |persona| persona.photo = false);
    let (member, admin, disabled) =
        (app.sign_in("member1").await, app.sign_in("admin").await, app.sign_in("member2").await);
    let mut voices = Vec::new();
    for caller in CALLERS {
        let token = match caller {
            BearerMember => Some(app.member_token("member1").await),
            BearerAdmin => Some(app.member_token("admin").await),
            BearerDisabled => Some(app.member_token("member2").await),
            Program => Some(app.program_token().await),
            _ => None,
        };
        let browser = match caller {
            Member => member.clone(),
            Admin => admin.clone(),
            Disabled => disabled.clone(),
            _ => app.browser(),
        };
        voices.push(Voice { caller, browser, authorization: token.map(|token| format!("Bearer {token}")) });
    }
    let user_id = app.db_user("member2@contoso.example").await.id;
    let by = server::acts::By::command_line();
    server::acts::run(&app.state, server::acts::Act::Disable { user_id }, by).await.expect("disabled");
    voices
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_1_every_route_by_every_method_for_every_caller() {
    let app = TestApp::start().await;
    let voices = voices(&app).await;
    let mut wrong = Vec::new();
    for route in ROUTES {
        let path = route.0.replace("{id}", &new_id()).replace("{file}", "nothing").replace("{*rest}", "nothing");
        for voice in &voices {
            for method in METHODS {
                let (status, body) = voice.status_and_body(method, &path).await;
                let at = format!("{:?} {method} {path}", voice.caller);
                let expected = expected(route, voice.caller, method);
                if status != expected {
                    wrong.push(format!("{at}: {status}, not {expected}"));
                }
                let may_see = route.1.refusal(voice.caller).is_none() && route.1.late_refusal(voice.caller).is_none();
                // Only the sign-in page of development names people to everyone; this is none.
                assert!(may_see || !body.contains("contoso.example"), "k_18: {at}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for voice in &voices {
        assert_eq!(voice.status_and_body("GET", "/nowhere").await.0, SignedIn.refusal(voice.caller).unwrap_or(404));
    }
}

/// The arguments of `open…)` calls in a source text, up to the first comma or parenthesis.
fn arguments<'a>(source: &'a str, open: &'a str) -> impl Iterator<Item = &'a str> {
    source.split(open).skip(1).filter_map(|rest| rest.split([',', ')']).next()).map(str::trim)
}

#[test]
fn v_8_2_1_the_table_has_every_route_of_the_router() {
    let server =
        concat!(include_str!("../../../../server/src/router.rs"), include_str!("../../../../server/src/api.rs"),);
    let constant = |name: &str| match name {
        "auth::CALLBACK_PATH" => server::handlers::auth::CALLBACK_PATH,
        "REPORTS" => server::middleware::security_headers::REPORTS,
        "sign_out::SIGNED_OUT_PATH" => server::handlers::sign_out::SIGNED_OUT_PATH,
        _ => panic!("{name} is no path that this test knows"),
    };
    let literal = |text: &str| Some(text.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    let in_server = arguments(server, ".route(").map(|path| literal(path).unwrap_or_else(|| constant(path).to_owned()));
    let pages = app::routes().into_iter().map(|route| route.path.to_owned());
    let mut found: Vec<String> = in_server.chain(pages).collect();
    let mut known: Vec<String> = ROUTES.iter().map(|(path, ..)| (*path).to_owned()).collect();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known);
}

/// The status of a page for a browser at this very path.
async fn ask(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> u16 {
    let headers = [&[("accept", "text/html")], headers].concat();
    app.ask("GET", path, &headers, "").await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn k_16_exempt_paths_are_matched_on_whole_segments_of_the_routers_own_path() {
    let exempt = "/public,/docs/api,/profile-of-the-company";
    let app = TestApp::builder().setting("LOGIN_EXEMPT_PATHS", exempt).start().await;
    // Nothing is there, so 404 says that nobody had to sign in, and 303 that they have to.
    for (path, status) in [
        ("/public", 404),
        ("/public/", 404),
        ("/public/a/b?x=/admin", 404),
        ("/docs/api/v1", 404),
        ("/profile-of-the-company", 404),
        ("/publicity", 303),
        ("/docs", 303),
        ("/profile", 303),
        ("/profile/", 303),
        ("/admin?x=/public", 303),
        ("/admin/?/public", 303),
        ("/profile?next=/public#/public", 303),
        ("/public/../admin", 303),
        ("/public/../profile", 303),
        ("/public/%2e%2e/admin", 303),
        ("/public/..%2fadmin", 303),
        ("/public%2f..%2fadmin", 303),
        ("/public/%252e%252e/admin", 303),
        ("/public/..;/admin", 303),
        ("/public;/../admin", 303),
        ("/public//../admin", 303),
        ("//admin", 303),
        ("//public", 303),
        ("/./admin", 303),
        ("/ADMIN", 303),
        ("/Profile", 303),
        ("/%61dmin", 303),
        ("/admin%2f", 303),
        ("/admin/", 303),
        ("/admin%00", 303),
        ("/admin/public", 303),
        ("/healthz/../admin", 303),
        ("/assets/../admin", 303),
    ] {
        assert_eq!(ask(&app, path, &[]).await, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k_16_no_header_makes_a_path_another() {
    let app = TestApp::builder()
        .setting("LOGIN_EXEMPT_PATHS", "/public")
        .setting("TRUSTED_PROXIES", "127.0.0.0/8,::1")
        .start()
        .await;
    for headers in [
        [("x-original-url", "/public")],
        [("x-rewrite-url", "/public")],
        [("x-forwarded-uri", "/public")],
        [("x-forwarded-path", "/public")],
        [("x-forwarded-prefix", "/public")],
        [("x-original-uri", "/healthz")],
        [("user-agent", "kube-probe/1.31")],
        [("user-agent", "GoogleHC/1.0")],
        [("user-agent", "ELB-HealthChecker/2.0")],
        [("x-http-method-override", "OPTIONS")],
        [("host", "localhost/public?")],
        [("forwarded", "for=127.0.0.1;path=/public")],
        [("authorization", "Bearer a.b.c")],
        [("cookie", "id=AAAAAAAAAAAAAAAAAAAAAA")],
    ] {
        for path in ["/profile", "/admin", "/admin/users"] {
            assert_eq!(ask(&app, path, &headers).await, 303, "{path} {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_2_others_sessions_users_and_grants_are_out_of_reach() {
    let app = TestApp::start().await;
    let (member, other, admin) =
        (app.sign_in("member1").await, app.sign_in("member2").await, app.sign_in("admin").await);
    let user = app.db_user("member2@contoso.example").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let session =
        SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await.expect("sessions").remove(0).id;
    let grant = app.db_grants(&user).await.remove(0).id;
    let csrf = member.get("/profile").await.form("/auth/sign-out").fields.remove(0).1;
    for id in [session.as_str(), &new_id(), "x", "%00", "..%2f..", "'"] {
        let path = format!("/profile/sessions/{id}/end");
        member.post(&path, &[("csrf", &csrf)]).await.assert_status(404);
    }
    for path in [
        format!("/admin/sessions/{session}/end"),
        format!("/admin/users/{}/disable", user.id),
        format!("/admin/users/{}/roles", user.id),
        format!("/admin/users/{}/sign-out", user.id),
        format!("/admin/grants/{grant}/forget"),
        format!("/admin/grants/{grant}/refresh"),
    ] {
        member
            .post(&path, &[("csrf", &csrf), ("confirm", "yes"), ("role", "admin"), ("action", "grant")])
            .await
            .assert_status(403);
    }
    other.get("/profile").await.assert_status(200);
    assert_eq!(app.db_grants(&user).await.len(), 1);
    assert!(app.db_user("member1@contoso.example").await.roles.is_empty());
    // Not even an administrator's form lends its token to somebody else.
    let foreign = admin.get("/profile").await.form("/auth/sign-out").fields.remove(0).1;
    member.post("/profile/sign-out-everywhere", &[("csrf", &foreign)]).await.assert_status(400);
    member.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_3_fields_that_a_form_does_not_have_change_nothing() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let csrf = member.get("/profile").await.form("/auth/sign-out").fields[0].1.clone();
    let before = app.db_user("member1@contoso.example").await;
    let surplus = [
        ("csrf", csrf.as_str()),
        ("theme", "dark"),
        ("role", "admin"),
        ("roles", "admin"),
        ("user_id", before.id.as_str()),
        ("status", "active"),
        ("is_admin", "true"),
        ("upn", "admin@contoso.example"),
        ("subject", "x"),
        ("realm", "x"),
    ];
    for path in ["/theme", "/auth/sign-in", "/profile", "/profile/photo", "/profile/sessions/x/end"] {
        member.post(path, &surplus).await;
    }
    let at_provider = member.begin("/auth/sign-in?role=admin&roles=admin").await;
    member.pick(&at_provider, "member1").await.assert_status(303);
    member.get("/admin").await.assert_status(403);
    let after = app.db_user("member1@contoso.example").await;
    assert_eq!((&before.id, &before.upn, &before.roles), (&after.id, &after.upn, &after.roles));
    assert_eq!((&before.realm, &before.subject, &before.status), (&after.realm, &after.subject, &after.status));

    // What a program may read of a person is a list of fields, and no token, claim or session is among them.
    let token = app.member_token("member1").await;
    let me = app.browser().call("/api/v1/me", &token).await.assert_status(200).json();
    let fields: Vec<&str> = me.as_object().expect("an object").keys().map(String::as_str).collect();
    for secret in ["claims", "session", "grant", "token", "csrf", "sealed"] {
        assert!(!fields.iter().any(|field| field.contains(secret)), "{fields:?}");
    }
    // An administrator gives roles that there are, and no others.
    let admin = app.sign_in("admin").await;
    let csrf = admin.get("/profile").await.form("/auth/sign-out").fields[0].1.clone();
    let fields = [("csrf", csrf.as_str()), ("role", "superuser"), ("action", "grant"), ("confirm", "yes")];
    admin.post(&format!("/admin/users/{}/roles", after.id), &fields).await;
    assert!(app.db_user("member1@contoso.example").await.roles.is_empty());
}
