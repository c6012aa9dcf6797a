//! People who are forgotten: what goes, what stays without their name, who may do it, and when it happens by itself.

use entra_emulator::{Endpoint, Fault};
use server::people::actor::{ActResult, By};
use server::people::acts::{self, Act};
use store::models::{AuditEvent, GraphCache, NewAuditEvent, User, UserRole};
use suite::{Browser, TestApp};

const MEMBER: &str = "member1@contoso.example";

async fn run(app: &TestApp, act: Act, by: By) -> ActResult {
    acts::run(&app.state, act, by).await.expect("done")
}

async fn confirmed(admin: &Browser, path: &str, act: &str) {
    let form = admin.get(path).await.form(act).with("confirm", "yes");
    admin.submit(&form).await.assert_status(303);
}

async fn graph_parts(app: &TestApp, user: &User) -> usize {
    let mut conn = app.state.db.conn().await.expect("a connection");
    GraphCache::list(&mut conn, &user.id).await.expect("parts").len()
}

#[derive(diesel::QueryableByName)]
struct Text {
    #[diesel(sql_type = diesel::sql_types::Text)]
    text: String,
}

async fn texts(app: &TestApp, sql: String) -> Vec<String> {
    use store::RunQueryDsl as _;

    let mut conn = app.state.db.conn().await.expect("a connection");
    let rows: Vec<Text> = diesel::sql_query(&sql).load(&mut conn).await.expect(&sql);
    rows.into_iter().map(|row| row.text).collect()
}

/// Everything that the database holds, whatever tables there are.
async fn stored(app: &TestApp) -> String {
    let mut all = String::new();
    if cfg!(feature = "postgres") {
        for table in
            texts(app, "SELECT tablename::text AS text FROM pg_tables WHERE schemaname = 'public'".into()).await
        {
            all.extend(texts(app, format!("SELECT row_to_json(t)::text AS text FROM {table} AS t")).await);
        }
        return all;
    }
    for table in texts(app, "SELECT name AS text FROM sqlite_schema WHERE sql LIKE 'CREATE TABLE%'".into()).await {
        let columns = format!("SELECT 'quote(\"' || name || '\")' AS text FROM pragma_table_info('{table}')");
        let columns = texts(app, columns).await.join(" || ' ' || ");
        all.extend(texts(app, format!("SELECT {columns} AS text FROM \"{table}\"")).await);
    }
    all
}

/// A person with a history: former names, roles that they had and granted, refused sign-ins, exports that were about them.
/// Returns every text that names them.
async fn live(app: &TestApp, admin: &Browser) -> Vec<String> {
    let control = app.emulator.control();
    control.change_persona("member1", |persona| {
        persona.upn = "m.born@contoso.example".into();
        persona.email = Some("born.mail@contoso.example".into());
        persona.name = "Megan Born".into();
    });
    app.sign_in("member1").await;
    control.change_persona("member1", |persona| {
        persona.upn = MEMBER.into();
        persona.email = Some("bowen.mail@contoso.example".into());
        persona.name = "Megan Quillfeather".into();
        persona.family_name = "Quillfeather".into();
    });
    let browser = app.sign_in("member1").await;
    browser.get("/profile").await.assert_status(200);
    app.settle().await;
    let user = app.db_user(MEMBER).await;
    let other = app.db_user("member2@contoso.example").await;
    run(app, Act::GrantRole { user_id: user.id.clone(), role: "admin".to_owned() }, By::command_line()).await;
    let form = browser.get(&format!("/admin/users/{}", other.id)).await.form("/roles");
    browser.submit(&form).await.assert_status(303);
    admin.get(&format!("/admin/users.csv?q={MEMBER}")).await.assert_status(200);
    let mut conn = app.state.db.conn().await.expect("a connection");
    // Before they were known here: by their user name alone.
    let refused = NewAuditEvent {
        kind: "sign_in.failed",
        address: "192.0.2.8".into(),
        detail: vec![("reason", "user.unknown".into()), ("upn", MEMBER.to_uppercase())],
        ..NewAuditEvent::default()
    };
    refused.insert(&mut conn, app.state.shared_now()).await.expect("inserted");
    let persona = control.persona("member1").expect("a persona");
    [
        MEMBER,
        &MEMBER.to_uppercase(),
        "member1%40contoso.example",
        "m.born@contoso.example",
        "born.mail@contoso.example",
        "bowen.mail@contoso.example",
        "Megan Born",
        "Megan Quillfeather",
        "Quillfeather",
        "192.0.2.8",
        &persona.oid.to_string(),
    ]
    .map(str::to_owned)
    .to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_is_named_nowhere_and_the_log_keeps_what_happened() {
    let app = TestApp::builder().setting("DIRECTORY_SYNC_INTERVAL", "1h").start().await;
    let admin = app.sign_in("admin").await;
    app.sign_in("member2").await;
    let names = live(&app, &admin).await;
    let browser = app.sign_in("member1").await;
    let user = app.db_user(MEMBER).await;
    let before = app.db_events("").await;
    let all = stored(&app).await;
    for name in &names {
        assert!(all.contains(name.as_str()), "{name} is stored before");
    }

    let path = format!("/admin/users/{}", user.id);
    let question = admin.submit(&admin.get(&path).await.form("/delete")).await;
    question.assert_status(200).assert_text("Erase this user?").assert_text(MEMBER);
    let pseudonym = format!("erased-{}", &user.id[24..]);
    question.assert_text("their photo").assert_text(&pseudonym).assert_text("start over as a new user");
    assert_eq!(app.db_users(MEMBER).await.len(), 1, "a question changes nothing");
    let done = admin.submit(&question.form("/delete")).await;
    assert_eq!(done.location_path(), "/admin/users");
    admin.follow(done).await.assert_text("User erased");

    let all = stored(&app).await;
    for name in &names {
        assert!(!all.contains(name.as_str()), "{name} is still stored");
    }
    admin.get(&path).await.assert_status(404);
    browser.get("/profile").await.assert_status(303);
    assert!(app.db_users("member1").await.is_empty());
    let mut after = app.db_events("").await;
    let erased = after.remove(0);
    assert_eq!((erased.kind.as_str(), erased.subject_name.as_str()), ("user.erased", pseudonym.as_str()));
    assert_eq!(erased.actor_name, "admin@contoso.example");
    assert!(erased.detail.contains("\"photo\":\"1\""), "{}", erased.detail);
    let what = |event: &AuditEvent| (event.id.clone(), event.at, event.kind.clone(), event.subject_id.clone());
    assert_eq!(after.iter().map(what).collect::<Vec<_>>(), before.iter().map(what).collect::<Vec<_>>());
    for (before, after) in before.iter().zip(&after) {
        let is_theirs = |id: &Option<String>| id.as_deref() == Some(user.id.as_str());
        let name = |id, name: &String| if is_theirs(id) { pseudonym.clone() } else { name.clone() };
        assert_eq!(after.actor_name, name(&after.actor_id, &before.actor_name), "{after:?}");
        assert_eq!(after.subject_name, name(&after.subject_id, &before.subject_name), "{after:?}");
    }
    let granted = after.iter().find(|event| event.subject_name.starts_with("member2") && event.kind == "role.granted");
    let granted = granted.expect("what they did to others stays");
    assert!(granted.detail.contains("\"role\":\"admin\""), "{}", granted.detail);
    let other = app.db_user("member2@contoso.example").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let roles = UserRole::list_by_user(&mut conn, &other.id).await.expect("roles");
    drop(conn);
    assert!(roles.iter().any(|role| role.granted_by == pseudonym), "{roles:?}");
    let log = admin.get("/admin/audit").await;
    log.assert_status(200).assert_text(&pseudonym);
    assert!(!log.body.contains(&path), "an erased user has no page to link to");

    // The directory tells of them, and of a change: they are nobody here.
    app.advance(3600);
    server::directory_sync::run_due(&app.state).await.expect("a round");
    app.emulator.control().change_persona("member1", |persona| persona.job_title = Some("Director".into()));
    app.advance(3600);
    server::directory_sync::run_due(&app.state).await.expect("a round");
    assert!(app.db_users("member1").await.is_empty());
    app.emulator.control().advance_clock(7200);
    app.sign_in("member1").await;
    let again = app.db_user(MEMBER).await;
    assert_ne!(again.id, user.id);
    assert!(!again.has_role("admin"), "they start over");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_erases_themselves_and_the_command_line_erases_anybody() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    let user = app.db_user("admin@contoso.example").await;
    let csrf = admin.get("/profile").await.form("/auth/sign-out").fields.remove(0).1;
    let path = format!("/admin/users/{}/delete", user.id);
    let refused = admin.post(&path, &[("csrf", &csrf), ("confirm", "yes")]).await;
    admin.follow(refused).await.assert_text("You cannot do this to yourself");
    let erase = || Act::Erase { user_id: user.id.clone() };
    assert_eq!(run(&app, erase(), By::command_line()).await, ActResult::Done);
    assert_eq!(run(&app, erase(), By::command_line()).await, ActResult::Unchanged);
    assert!(app.db_users("").await.is_empty());
    admin.get("/profile").await.assert_status(303);
}

/// What others were told of them, and looked for.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_erased_is_nobody_s_manager_and_in_nobody_s_search() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    app.emulator.control().change_persona("member1", |persona| {
        persona.name = "Victoria Victim".into();
        persona.upn = "victoria.victim@contoso.example".into();
    });
    app.sign_in("member1").await;
    let report = app.sign_in("member2").await;
    app.settle().await;
    report.get("/profile").await.assert_text("Victoria Victim");
    for query in ["q=victoria.vic", "q=Victoria++Victim", "q=victim&status=active", "actor=Victoria"] {
        let file = if query.starts_with('q') { "users" } else { "audit" };
        admin.get(&format!("/admin/{file}.csv?{query}")).await.assert_status(200);
    }
    admin.get("/admin/users.csv?q=somebody+else").await.assert_status(200);
    let user = app.db_user("victoria.victim@contoso.example").await;
    run(&app, Act::Erase { user_id: user.id.clone() }, By::command_line()).await;
    let left = stored(&app).await.to_lowercase();
    assert!(!left.contains("victim") && !left.contains("victoria"));
    let kept = app.db_events("users.exported").await;
    assert!(kept.iter().any(|event| event.detail.contains("somebody+else")), "{kept:?}");
}

/// With plain SQL: one erasure is no licence to change what others did.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_lets_nobody_change_the_facts_of_others() {
    use store::RunQueryDsl as _;

    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let user_id = app.db_user("admin@contoso.example").await.id;
    app.sign_in("member1").await;
    run(&app, Act::GrantRole { user_id, role: "staff".into() }, By::command_line()).await;
    let member = app.db_user(MEMBER).await;
    run(&app, Act::Erase { user_id: member.id.clone() }, By::command_line()).await;
    let role = |text: &str| {
        if cfg!(feature = "postgres") {
            format!("json_build_object('role', '{text}', 'roles', '{text}')::text")
        } else {
            format!("json_object('role', '{text}', 'roles', '{text}')")
        }
    };
    let pseudonym = format!("erased-{}", &member.id[24..]);
    let statement = format!("UPDATE audit_events SET detail = {} WHERE kind = 'role.granted'", role(&pseudonym));
    let mut conn = app.state.db.conn().await.expect("a connection");
    let refused = diesel::sql_query(&statement).execute(&mut conn).await.expect_err("refused");
    assert!(refused.to_string().contains("never changed"), "{refused}");
}

/// Two administrators at once, and names that others have as well.
#[tokio::test(flavor = "multi_thread")]
async fn one_erasure_is_one_event_and_leaves_the_names_of_others_alone() {
    let app = TestApp::start().await;
    app.emulator.control().change_persona("member2", |persona| persona.name = "Megan Bowen".into());
    app.sign_in("member2").await;
    app.emulator.control().change_persona("member2", |persona| persona.name = "Megan Bowen-Smith".into());
    app.sign_in("member2").await;
    app.emulator.control().change_persona("member2", |persona| persona.name = "Megan Bowen".into());
    app.sign_in("member2").await;
    app.sign_in("member1").await;
    let user = app.db_user(MEMBER).await;
    assert_eq!(user.display_name, "Megan Bowen", "two people of one name");
    let erase = || run(&app, Act::Erase { user_id: user.id.clone() }, By::command_line());
    let results = futures_util::future::join(erase(), erase()).await;
    assert!(matches!(results, (ActResult::Done, ActResult::Unchanged) | (ActResult::Unchanged, ActResult::Done)));
    assert_eq!(app.db_events("user.erased").await.len(), 1);
    let synced = app.db_events("user.synced").await;
    assert!(synced.iter().all(|event| event.detail.contains("Megan Bowen-Smith")), "{synced:?}");
    assert!(synced.iter().all(|event| event.subject_name == "member2@contoso.example"), "{synced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_have_not_been_here_for_the_time_that_is_set_are_erased_and_health_lists_them_before() {
    let app = TestApp::builder().setting("ERASE_USERS_AFTER", "30d").start().await;
    for persona in ["member1", "member2", "guest", "admin"] {
        app.sign_in(persona).await;
    }
    let guest = app.db_users("guest").await.remove(0);
    run(&app, Act::Disable { user_id: guest.id.clone() }, By::command_line()).await;
    let pass = |days: i64| {
        app.advance(days * 86_400);
        app.emulator.control().advance_clock(days * 86_400);
    };
    pass(29);
    assert_eq!(server::people::erasure::run_due(&app.state).await.expect("run"), 0);
    app.sign_in("member2").await;
    pass(2);
    let admin = app.sign_in("admin").await;
    let health = admin.get("/admin/health").await;
    health.assert_text("The next run erases 2 users");
    let link = format!("/admin/users/{}", guest.id);
    assert!(health.links("td a, th a").contains(&link), "{:?}", health.links("a"));
    assert_eq!(server::people::erasure::run_due(&app.state).await.expect("run"), 2);
    let mut left: Vec<String> = app.db_users("").await.into_iter().map(|user| user.upn).collect();
    left.sort();
    assert_eq!(left, ["admin@contoso.example", "member2@contoso.example"]);
    let events = app.db_events("user.erased").await;
    assert!(events.len() == 2 && events.iter().all(|event| event.actor_name == "system"), "{events:?}");
    admin.get("/admin/health").await.assert_text("The next run erases nobody");
    // An administrator's account for emergencies sleeps for years.
    pass(400);
    assert_eq!(server::people::erasure::run_due(&app.state).await.expect("run"), 1);
    assert_eq!(app.db_user("admin@contoso.example").await.status, "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nobody_is_erased() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.advance(4000 * 86_400);
    assert_eq!(server::people::erasure::run_due(&app.state).await.expect("run"), 0);
    assert_eq!(app.db_users("").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_graph_told_goes_with_a_disable_and_a_late_answer_does_not_bring_it_back() {
    let app = TestApp::builder().setting("DIRECTORY_SYNC_INTERVAL", "1h").start().await;
    let admin = app.sign_in("admin").await;
    for (persona, upn) in [("member1", MEMBER), ("member2", "member2@contoso.example")] {
        app.sign_in(persona).await.get("/profile").await.assert_status(200);
        app.settle().await;
        let user = app.db_user(upn).await;
        assert!(graph_parts(&app, &user).await > 1, "{persona}");
        if persona == "member1" {
            let asked = app.emulator.control().count(Endpoint::Photo);
            app.emulator.control().fault(Endpoint::Photo, Fault::Hang);
            let late = server::tokens::graph_sync::spawn(&app.state, &user).expect("a task");
            suite::until("Graph is asked", || app.emulator.control().count(Endpoint::Photo) > asked).await;
            confirmed(&admin, &format!("/admin/users/{}", user.id), "/disable").await;
            app.emulator.control().release();
            late.await.expect("it ends");
            app.emulator.control().clear_faults();
        } else {
            app.emulator.control().change_persona(persona, |persona| persona.enabled = false);
            app.advance(3600);
            server::directory_sync::run_due(&app.state).await.expect("a round");
        }
        assert!(!app.db_user(upn).await.is_active());
        assert_eq!(graph_parts(&app, &user).await, 0, "{persona}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_download_all_that_is_stored_about_them_and_no_secret_and_nobody_else() {
    let app = TestApp::start().await;
    app.sign_in("member2").await;
    let browser = app.sign_in("member1").await;
    let profile = browser.get("/profile").await;
    assert!(profile.links("a[download]").contains(&"/profile/data".to_owned()));
    app.settle().await;
    let user = app.db_user(MEMBER).await;
    let admin = app.sign_in("admin").await;
    let form = admin.get(&format!("/admin/users/{}", user.id)).await.form("/roles");
    admin.submit(&form).await.assert_status(303);

    let file = browser.get("/profile/data").await;
    file.assert_status(200);
    assert_eq!(file.header("content-type"), "application/json");
    assert!(file.header("content-disposition").starts_with("attachment; filename=\"my-data-"));
    assert!(file.header("cache-control").contains("no-store"));
    let data = file.json();
    assert_eq!(data["profile"]["upn"], MEMBER);
    assert_eq!(data["profile"]["subject"], user.subject);
    assert_eq!(data["claims"]["oid"], user.subject);
    assert_eq!(data["roles"][0]["role"], "admin");
    assert_eq!(data["roles"][0]["source"], "local");
    assert_eq!(data["roles"][0]["granted_by"], "admin@contoso.example");
    assert!(data["groups"].as_array().is_some_and(|groups| !groups.is_empty()), "{data}");
    assert_eq!(data["sessions"].as_array().map(Vec::len), Some(1));
    assert_eq!(data["sessions"][0]["address"], "127.0.0.1");
    assert_eq!(data["grants"][0]["resource"], "graph");
    assert!(data["graph"]["me"]["content"].is_object() && data["graph"]["photo"]["content"].is_string(), "{data}");
    let actions: Vec<&str> =
        data["audit_events"].as_array().expect("events").iter().filter_map(|event| event["action"].as_str()).collect();
    assert_eq!(actions, ["sign_in.succeeded", "role.granted", "user.data_downloaded"]);
    assert_eq!(data["audit_events"][1]["address"], "", "the administrator's is not theirs to know");
    assert_eq!(data["audit_events"][0]["address"], "127.0.0.1");

    assert!(!file.body.contains("member2@"), "nobody else");
    let grant = app.db_grants(&user).await.remove(0);
    let tokens = server::tokens::open(&app.state.config.tokens.keys, &grant).expect("the tokens open");
    let plain = String::from_utf8_lossy(&tokens.to_sealed_json()).into_owned();
    let secrets = plain.split('"').filter(|text| text.len() > 60).map(str::to_owned);
    for secret in secrets.chain(browser.cookie("id")) {
        assert!(!file.body.contains(&secret), "{secret}");
    }
    assert!(!file.body.contains("\"sid\"") && !file.body.contains("login_hint") && !file.body.contains("hash"));
    app.browser().get("/profile/data").await.assert_status(303);
}
