//! Every act of the admin pages for every kind of caller, with a complete form: who may not changes nothing.
//! (`access.rs` has the statuses of all routes and methods, with empty forms.)

use server::people::actor::By;
use server::people::acts::{Act, run};
use store::models::{SessionRecord, UserRole};
use suite::{Browser, Page, TestApp, Wire};
use url::form_urlencoded;

/// Path and fields of an act on a person, and the event that it leaves.
struct Row {
    path: &'static str,
    fields: &'static [(&'static str, &'static str)],
    event: &'static str,
}

const fn row(path: &'static str, fields: &'static [(&'static str, &'static str)], event: &'static str) -> Row {
    Row { path, fields, event }
}

const GRANT: &[(&str, &str)] = &[("role", "admin"), ("action", "grant")];
const REVOKE: &[(&str, &str)] = &[("role", "admin"), ("action", "revoke")];
const MAP: &[(&str, &str)] = &[("value", "some-role"), ("role", "admin"), ("action", "add")];
const UNMAP: &[(&str, &str)] = &[("value", "some-role"), ("role", "admin"), ("action", "remove")];

/// In an order in which each has something to do. `{user}`, `{session}` and `{grant}` are those of `member1`.
const ACTS: &[Row] = &[
    row("/admin/users/{user}/roles", GRANT, "role.granted"),
    row("/admin/users/{user}/roles", REVOKE, "role.revoked"),
    row("/admin/groups/mappings", MAP, "mapping.added"),
    row("/admin/groups/mappings", UNMAP, "mapping.removed"),
    row("/admin/grants/{grant}/refresh", &[], "grant.refreshed"),
    row("/admin/grants/{grant}/forget", &[], "grant.forgotten"),
    row("/admin/sessions/{session}/end", &[], "session.ended"),
    row("/admin/users/{user}/sign-out", &[], "user.signed_out"),
    row("/admin/users/{user}/disable", &[], "user.disabled"),
    row("/admin/users/{user}/enable", &[], "user.enabled"),
    row("/admin/health/examine", &[], "health.examined"),
    row("/admin/users/bulk", &[("action", "disable"), ("id", "{user}")], "user.disabled"),
    row("/admin/users/bulk", &[("action", "enable"), ("id", "{user}")], "user.enabled"),
    row("/admin/users/{user}/delete", &[], "user.erased"),
];

/// What acts are done to.
struct Target {
    user: String,
    session: String,
    grant: String,
}

impl Target {
    async fn of(app: &TestApp, upn: &str) -> Self {
        let user = app.db_user(upn).await;
        let grant = app.db_grants(&user).await.remove(0).id;
        let mut conn = app.state.db.conn().await.expect("a connection");
        let sessions = SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await.expect("sessions");
        Self { session: sessions[0].id.clone(), user: user.id, grant }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{user}", &self.user).replace("{session}", &self.session).replace("{grant}", &self.grant)
    }

    /// Posts the act, confirmed, with the token of the caller's own session.
    async fn post(&self, caller: &Browser, csrf: &str, act: &Row) -> Page {
        let mut fields: Vec<(&str, String)> = vec![("csrf", csrf.to_owned()), ("confirm", "yes".to_owned())];
        fields.extend(act.fields.iter().map(|(name, value)| (*name, self.fill(value))));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        caller.post(&self.fill(act.path), &fields).await
    }
}

async fn csrf(browser: &Browser) -> String {
    browser.get("/profile").await.form("/auth/sign-out").fields.remove(0).1
}

/// Everything that an act could change about people.
async fn snapshot(app: &TestApp) -> Vec<String> {
    let mut lines = Vec::new();
    let mut conn = app.state.db.conn().await.expect("a connection");
    for user in app.db_users("").await {
        let sessions = SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await.expect("sessions");
        let roles = UserRole::list_by_user(&mut conn, &user.id).await.expect("roles").len();
        let grants: Vec<i64> = app.db_grants(&user).await.iter().map(|grant| grant.version).collect();
        lines.push(format!("{} {} {} {roles} {} {grants:?}", user.upn, user.status, user.roles, sessions.len()));
    }
    for kind in ["role.", "mapping.", "grant.", "session.", "user.", "health."] {
        lines.push(format!("{kind} {}", app.db_events(kind).await.len()));
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_1_no_act_is_open_to_who_may_not_even_with_a_complete_form() {
    let app = TestApp::start().await;
    let (member, other) = (app.sign_in("member1").await, app.sign_in("member2").await);
    let (demoted, disabled) = (app.sign_in("guest").await, app.sign_in("groups").await);
    let admin = app.sign_in("admin").await;
    app.settle().await;
    let target = Target::of(&app, "member1@contoso.example").await;
    // Two administrators by a role from here: one loses it, the other is disabled, both while signed in.
    let upn_of = |persona: &str| app.emulator.control().persona(persona).expect("a persona").upn;
    let by = |state| run(&app.state, state, By::command_line());
    let id = async |persona: &str| app.db_users(&upn_of(persona)).await.remove(0).id;
    let (demoted_id, disabled_id) = (id("guest").await, id("groups").await);
    for user_id in [&demoted_id, &disabled_id] {
        by(Act::GrantRole { user_id: user_id.clone(), role: "admin".into() }).await.expect("granted");
    }
    demoted.get("/admin").await.assert_status(200);
    disabled.get("/admin").await.assert_status(200);
    let tokens = [
        ("anonymous", app.browser(), "x".to_owned(), 303),
        ("member", other.clone(), csrf(&other).await, 403),
        ("oneself without the role", member.clone(), csrf(&member).await, 403),
        ("demoted", demoted.clone(), csrf(&demoted).await, 403),
        ("disabled", disabled.clone(), csrf(&disabled).await, 303),
        ("another's token", admin.clone(), csrf(&other).await, 400),
    ];
    by(Act::RevokeRole { user_id: demoted_id, role: "admin".into() }).await.expect("revoked");
    by(Act::Disable { user_id: disabled_id }).await.expect("disabled");
    let before = snapshot(&app).await;
    for (who, browser, csrf, status) in &tokens {
        for act in ACTS {
            let answer = target.post(browser, csrf, act).await;
            assert_eq!(answer.status, *status, "{who}: {} {:?}", act.path, act.fields);
            assert!(!answer.body.contains("contoso.example"), "{who}: {}", act.path);
        }
    }
    assert_eq!(snapshot(&app).await, before, "nothing has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_1_an_administrator_may_each_act_and_each_is_recorded() {
    let app = TestApp::start().await;
    let _member = app.sign_in("member1").await;
    let _again = app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    app.settle().await;
    let target = Target::of(&app, "member1@contoso.example").await;
    let csrf = csrf(&admin).await;
    for act in ACTS {
        let before = app.db_events(act.event).await.len();
        let answer = target.post(&admin, &csrf, act).await;
        answer.assert_status(303);
        let events = app.db_events(act.event).await;
        assert_eq!(events.len(), before + 1, "{} {:?}", act.path, act.fields);
        assert_eq!(events[0].actor_name, "admin@contoso.example");
        assert!(!events[0].address.is_empty() && !events[0].request_id.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t_14_nobody_does_to_oneself_what_would_lock_oneself_out() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    app.settle().await;
    let target = Target::of(&app, "admin@contoso.example").await;
    let csrf = csrf(&admin).await;
    let is_locking = |act: &&Row| ["user.disabled", "role.revoked", "user.erased"].contains(&act.event);
    // One is the last administrator, then one of two.
    for has_other in [false, true] {
        if has_other {
            app.sign_in("member1").await;
            let user_id = app.db_user("member1@contoso.example").await.id;
            let act = Act::GrantRole { user_id, role: "admin".into() };
            run(&app.state, act, By::command_line()).await.expect("granted");
        }
        for act in ACTS.iter().filter(is_locking) {
            let answer = target.post(&admin, &csrf, act).await;
            let is_refused = answer.status == 400 || answer.status == 303;
            assert!(is_refused, "{} {:?}: {}", act.path, act.fields, answer.status);
            let user = app.db_user("admin@contoso.example").await;
            assert!(user.is_active() && user.has_role("admin"), "{} {:?}", act.path, act.fields);
            admin.get("/admin").await.assert_status(200);
        }
        assert!(app.db_events("user.disabled").await.is_empty());
        assert!(app.db_events("role.revoked").await.is_empty());
    }
}

/// What takes the right to act from somebody, and how their act is answered.
fn losses(user_id: &str, session_id: &str) -> [(Act, u16); 3] {
    let user_id = || user_id.to_owned();
    [
        (Act::RevokeRole { user_id: user_id(), role: "admin".to_owned() }, 403),
        (Act::EndSession { session_id: session_id.to_owned(), only_of: None }, 401),
        (Act::Disable { user_id: user_id() }, 401),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_that_is_under_way_does_not_happen_when_its_actor_may_no_longer() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    app.sign_in("member1").await;
    let actor_upn = "member2@contoso.example";
    let by = async |act| run(&app.state, act, By::command_line()).await.expect("done");
    for loss in 0..3 {
        let actor = app.sign_in("member2").await;
        app.settle().await;
        let user_id = app.db_user(actor_upn).await.id;
        by(Act::GrantRole { user_id: user_id.clone(), role: "admin".to_owned() }).await;
        let target = Target::of(&app, "member1@contoso.example").await;
        let csrf = csrf(&actor).await;
        // Each has been let in and waits for its form; with and without the answer to the question.
        let mut under_way = Vec::new();
        for (act, confirm) in ACTS.iter().flat_map(|act| [(act, "yes"), (act, "")]) {
            let fields = act.fields.iter().map(|(name, value)| (*name, target.fill(value)));
            let fields = [("csrf", csrf.clone()), ("confirm", confirm.to_owned())].into_iter().chain(fields);
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let mut wire = Wire::open(&app, &actor).await;
            wire.begin_post(&target.fill(act.path), &body).await;
            under_way.push((act, wire, body));
        }
        let session = Target::of(&app, actor_upn).await.session;
        let [.., (act, status)] = &losses(&user_id, &session)[..=loss] else { unreachable!("three") };
        by(act.clone()).await;
        let before = snapshot(&app).await;
        for (act, mut wire, body) in under_way {
            wire.send(&body).await;
            let answer = wire.rest().await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{:?} {answer}", act.path);
            assert!(!answer.contains("member1@contoso.example"), "{} names nobody", act.path);
        }
        assert_eq!(snapshot(&app).await, before, "nothing has changed");
    }
}
