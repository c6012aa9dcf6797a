//! Who may what: every route by every method for every kind of caller, and paths written oddly.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::{get, post};
use server::admin::{actions, export, suggestions};
use server::router::{around, list, with_session};
use server::web::group::{RouteInfo, Routes};
use server::web::profile;
use store::models::{SessionRecord, new_id};
use suite::{Browser, Page, TestApp};
use tower::ServiceExt as _;

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

/// The status that ends it for `caller` at a route behind `guard`, whatever the method.
fn refusal(guard: &str, caller: Caller) -> Option<u16> {
    let has_session = matches!(caller, Member | Admin);
    let has_token = matches!(caller, BearerMember | BearerAdmin | BearerDisabled | Program);
    match guard {
        "Everyone" => None,
        "SignedIn" | "Admin" if !has_session => Some(303),
        "SignedIn" => None,
        "Admin" => (caller != Admin).then_some(403),
        "Caller" | "Person" | "UserReader" | "AuditReader" if !has_token => Some(401),
        "Caller" | "Person" | "UserReader" | "AuditReader" if caller == BearerDisabled => Some(403),
        "Caller" => None,
        "Person" => (caller == Program).then_some(403),
        "UserReader" | "AuditReader" => (caller == BearerMember).then_some(403),
        other => panic!("whom does the guard {other} let in? Say so here."),
    }
}

/// The paths of every route of the router, each once.
pub(crate) fn paths(app: &TestApp) -> BTreeSet<&'static str> {
    list(&app.state).iter().map(|route| route.path).collect()
}

/// A path of the route about nobody.
fn filled(path: &str) -> String {
    path.replace("{id}", &new_id()).replace("{file}", "nothing").replace("{*rest}", "nothing")
}

/// What is wrong with the answer of a route with these methods to somebody whom its guard lets in.
fn complaint(guard: &str, methods: &BTreeSet<&str>, method: &str, answer: &Page) -> Option<&'static str> {
    let has = |name: &str| methods.contains(name) || methods.contains("*");
    let is_there = has(method) || method == "HEAD" && has("GET");
    let leads_to_sign_in = answer.status == 303 && answer.location_path().starts_with("/auth/sign-in");
    match answer.status {
        405 if !is_there => None,
        _ if !is_there => Some("there is no such method"),
        405 => Some("the method is missing"),
        401 | 403 => Some("refused"),
        500.. => Some("an error"),
        303 if leads_to_sign_in => Some("refused"),
        400 => None,
        _ if method == "POST" && ["SignedIn", "Admin"].contains(&guard) => Some("a form without its token"),
        _ => None,
    }
}

/// A caller with what they send: a cookie or a token.
struct Voice {
    caller: Caller,
    browser: Browser,
    authorization: Option<String>,
}

impl Voice {
    async fn ask(&self, method: &str, path: &str) -> Page {
        let mut headers = vec![("sec-fetch-site", "same-origin")];
        headers.extend(self.authorization.as_deref().map(|value| ("authorization", value)));
        let body = matches!(method, "POST" | "PUT").then(String::new);
        self.browser.request(method, path, body, &headers).await
    }
}

/// Every caller of [`CALLERS`], with `disabled` disabled after having signed in.
async fn voices(app: &TestApp) -> Vec<Voice> {
    app.emulator.control().change_persona("admin", |persona| persona.photo = false);
    app.emulator.control().change_persona("member1", |persona| persona.photo = false);
    let (member, admin, disabled) =
        (app.sign_in("member1").await, app.sign_in("admin").await, app.sign_in("member2").await);
    app.emulator.control().set_own_app_roles(&["Users.Read.All", "AuditLog.Read.All"]);
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
    let by = server::people::actor::By::command_line();
    server::people::acts::run(&app.state, server::people::acts::Act::Disable { user_id }, by).await.expect("disabled");
    voices
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_1_every_route_by_every_method_for_every_caller() {
    let app = TestApp::start().await;
    let voices = voices(&app).await;
    let mut routes = BTreeMap::<_, BTreeSet<&str>>::new();
    for RouteInfo { path, method, guard } in list(&app.state) {
        routes.entry((path, guard)).or_default().insert(method);
    }
    assert!(routes.len() > 40, "the router's own list");
    let mut wrong = Vec::new();
    for ((path, guard), methods) in &routes {
        let path = filled(path);
        for voice in &voices {
            let refusal = refusal(guard, voice.caller);
            for method in METHODS {
                let answer = voice.ask(method, &path).await;
                let at = format!("{:?} {method} {path}: {}", voice.caller, answer.status);
                match refusal {
                    Some(status) if answer.status != status => wrong.push(format!("{at}, not {status}")),
                    Some(_) => {}
                    None => {
                        let complaint = complaint(guard, methods, method, &answer);
                        wrong.extend(complaint.map(|complaint| format!("{at}, {complaint}")));
                    }
                }
                // Only the sign-in page of development names people to everyone; this is none.
                assert!(refusal.is_none() || !answer.body.contains("contoso.example"), "k_18: {at}");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for voice in &voices {
        let status = refusal("SignedIn", voice.caller).unwrap_or(404);
        assert_eq!(voice.ask("GET", "/nowhere").await.status, status);
    }
}

/// Files that may add routes by hand: the groups themselves, what only development has, and monitoring's listener.
const BY_HAND: [&str; 3] = ["group.rs", "live_reload.rs", "monitoring.rs"];

/// A route that is added past the groups would be missing in the list above.
#[test]
fn v_8_2_1_the_list_has_every_route_of_the_router() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../server/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let text = std::fs::read_to_string(&path).expect("a source");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<String>();
            let is_free = BY_HAND.contains(&name) || name == "tests.rs";
            assert!(is_free || !code.contains(".route("), "{}: add the route to a Group", path.display());
        }
    }
    assert!(files > 50);
}

/// The same application with all its routes below `/open`, which nobody has to sign in to: what refuses is not the path.
async fn ask_below_open(app: &TestApp, method: &str, path: &str, cookie: &str) -> u16 {
    let Routes { router, .. } = with_session(&app.state);
    let moved = around(&app.state, Router::new().nest("/open", router), Router::new());
    let request = Request::builder()
        .method(method)
        .uri(format!("/open{path}"))
        .header("accept", "text/html")
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin");
    let answer = moved.oneshot(request.body(Body::empty()).expect("a request")).await;
    answer.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_keeps_its_guard_wherever_it_is_moved_to() {
    let app = TestApp::builder().setting("LOGIN_EXEMPT_PATHS", "/open").start().await;
    let (member, admin) = (app.sign_in("member1").await, app.sign_in("admin").await);
    let cookie = |browser: &Browser| format!("id={}", browser.cookie("id").expect("a session"));
    let (member, admin) = (cookie(&member), cookie(&admin));
    let guarded = with_session(&app.state).list.into_iter().filter(|route| route.guard != "Everyone");
    let mut count = 0;
    for RouteInfo { path, method, guard } in guarded {
        let path = filled(path);
        let ask = async |cookie: &str| ask_below_open(&app, method, &path, cookie).await;
        assert_eq!(ask("").await, 401, "a stranger: {method} {path}");
        let expected = if guard == "Admin" { 403 } else { ask(&member).await };
        assert_eq!(ask(&member).await, expected, "a member: {method} {path}");
        assert!(![401, 403].contains(&ask(&admin).await), "an administrator: {method} {path}");
        count += 1;
    }
    assert!(count > 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_keeps_its_guard_without_its_group_and_without_its_path() {
    let app = TestApp::builder().setting("LOGIN_EXEMPT_PATHS", "/open").start().await;
    let (member, admin) = (app.sign_in("member1").await, app.sign_in("admin").await);
    app.settle().await;
    // Plain routes of axum, of which nobody knows but the handlers themselves.
    let routes = Router::new()
        .route("/open/people", get(export::users))
        .route("/open/words", get(suggestions::users))
        .route("/open/{id}/disable", post(actions::disable_user))
        .route("/open/photo", get(profile::photo))
        .route("/open/everywhere", post(profile::sign_out_everywhere));
    let open = around(&app.state, routes, Router::new());
    let ask = async |browser: Option<&Browser>, method: &str, path: &str| {
        let cookie = browser.and_then(|browser| browser.cookie("id")).unwrap_or_default();
        let request = Request::builder().method(method).uri(path).header("sec-fetch-site", "same-origin");
        let request = request.header("cookie", format!("id={cookie}")).body(Body::empty()).expect("a request");
        open.clone().oneshot(request).await.expect("an answer").status().as_u16()
    };
    let disable = format!("/open/{}/disable", new_id());
    for (method, path, as_member, as_admin) in [
        ("GET", "/open/people", 403, 200),
        ("GET", "/open/words", 403, 200),
        ("POST", disable.as_str(), 403, 400),
        ("GET", "/open/photo", 200, 200),
        ("POST", "/open/everywhere", 400, 400),
    ] {
        assert_eq!(ask(None, method, path).await, 401, "a stranger: {path}");
        assert_eq!(ask(Some(&member), method, path).await, as_member, "a member: {path}");
        assert_eq!(ask(Some(&admin), method, path).await, as_admin, "an administrator: {path}");
    }
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
