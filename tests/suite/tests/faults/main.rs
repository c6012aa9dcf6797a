//! Faults of machines: instances that are killed, told to end, or have a wrong clock; a database that is away, locked or
//! ahead of the program. Ids are those of `docs/requirements.tsv`, results stand in `docs/reliability.md`.
//!
//! An instance that dies is a process of its own beside a [`TestApp`], whose clock stands still: so a lease of 40 s runs
//! out when the test says so.

use diesel::prelude::*;
use entra_emulator::{Endpoint, Fault, RefreshRotation};
use server::tokens::refresh_due;
use store::RunQueryDsl;
use store::models::{Grant, NewSession, SessionRecord, new_id};
use store::schema::grants;
use suite::{Instance, TestApp, db_grants};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Not a test: the body of the processes that the tests start.
#[test]
fn the_process_of_an_instance() {
    suite::serve_if_instance();
}

async fn execute(app: &TestApp, sql: &str) {
    let mut conn = app.state.db.conn().await.expect("a connection");
    diesel::sql_query(sql).execute(&mut conn).await.expect("a statement");
}

/// Makes every grant due now.
async fn make_due(app: &TestApp) {
    let past = app.state.shared_now() - chrono::Duration::minutes(5);
    let mut conn = app.state.db.conn().await.expect("a connection");
    diesel::update(grants::table).set(grants::due_at.eq(past)).execute(&mut conn).await.expect("due");
}

async fn member1_due(rotation: RefreshRotation) -> (TestApp, suite::Browser) {
    let app = TestApp::builder().at_database_time().start().await;
    app.emulator.control().set_access_token_lifetime(3600..=3600);
    app.emulator.control().set_refresh_rotation(rotation);
    let browser = app.sign_in("member1").await;
    app.settle().await;
    make_due(&app).await;
    (app, browser)
}

async fn grant(app: &TestApp) -> Grant {
    let user = app.db_user("member1@contoso.example").await;
    app.db_grants(&user).await.remove(0)
}

fn calls(app: &TestApp) -> u64 {
    app.emulator.control().count(Endpoint::Token)
}

async fn until_called(app: &TestApp, count: u64) {
    suite::until("the provider is called", || calls(app) >= count).await;
}

fn pass(app: &TestApp, seconds: i64) {
    app.advance(seconds);
    app.emulator.control().advance_clock(seconds);
}

async fn refreshed(app: &TestApp) -> usize {
    refresh_due(&app.state).await.expect("no error")
}

/// An instance that dies between the provider's answer and its own write.
async fn crash_with_the_answer(app: &TestApp) {
    let before = (calls(app), grant(app).await);
    assert!(!Instance::spawn(app, &[("FAILPOINT", "refresh.received")]).ended().await, "it crashes");
    assert_eq!(calls(app), before.0 + 1);
    let after = grant(app).await;
    assert_eq!((after.sealed, after.state.as_str()), (before.1.sealed, "live"), "nothing half written");
    assert_eq!(refreshed(app).await, 0, "leased");
    pass(app, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_10_at_entra_an_answer_that_died_with_its_instance_costs_nothing() {
    let (app, browser) = member1_due(RefreshRotation::Entra).await;
    crash_with_the_answer(&app).await;
    assert_eq!(refreshed(&app).await, 1, "the old refresh token is still good");
    assert_eq!(grant(&app).await.state, "live");
    browser.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_10_under_strict_rotation_the_person_is_asked_once_and_nobody_loops() {
    let (app, browser) = member1_due(RefreshRotation::Strict).await;
    crash_with_the_answer(&app).await;
    let before = calls(&app);
    assert_eq!(refreshed(&app).await, 0);
    assert_eq!(grant(&app).await.state, "needs_sign_in");
    pass(&app, 3600);
    assert_eq!((refreshed(&app).await, calls(&app)), (0, before + 1), "one try, and no more");
    browser.get("/profile").await.assert_status(303);
    app.sign_in("member1").await;
    app.settle().await;
    assert_eq!(grant(&app).await.state, "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_11_another_instance_takes_over_when_the_lease_of_a_killed_one_ends() {
    let (app, _) = member1_due(RefreshRotation::Entra).await;
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::Hang);
    let before = calls(&app);
    let holder = Instance::start(&app, &[]).await;
    until_called(&app, before + 1).await;
    holder.kill();
    assert_eq!(refreshed(&app).await, 0, "leased");
    app.advance(60);
    assert_eq!(refreshed(&app).await, 1);
    assert_eq!(grant(&app).await.leased_until, None);
    app.emulator.control().release();
}

#[tokio::test(flavor = "multi_thread")]
async fn f_12_f_14_instances_at_the_same_grants_make_one_call_for_each() {
    let app = TestApp::start().await;
    app.emulator.control().set_access_token_lifetime(3600..=3600);
    db_grants(&app, 60).await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let due: Vec<Option<chrono::NaiveDateTime>> =
        grants::table.select(grants::due_at).load(&mut conn).await.expect("times");
    drop(conn);
    let (first, last) = (due.iter().min().expect("one"), due.iter().max().expect("one"));
    let spread = last.expect("due") - first.expect("due");
    assert!(spread > chrono::Duration::seconds(40), "grants of one minute spread over two: {spread}");

    app.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    let other = TestApp::builder().beside(&app).start().await;
    make_due(&app).await;
    let before = calls(&app);
    let (here, there) = tokio::join!(refreshed(&app), refreshed(&other));
    assert_eq!((here + there, calls(&app)), (60, before + 60));
    assert_eq!(refreshed(&app).await, 0);
    let mut conn = app.state.db.conn().await.expect("a connection");
    let live: i64 =
        grants::table.filter(grants::state.eq("live")).count().get_result(&mut conn).await.expect("a count");
    assert_eq!(live, 60, "no refresh token was used twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_22_a_program_one_version_back_goes_on_with_a_newer_schema() {
    let app = TestApp::builder().at_database_time().start().await;
    app.sign_in("member1").await;
    // What the next version's migration did: a column that this program does not know.
    execute(&app, "ALTER TABLE users ADD COLUMN from_the_future TEXT").await;
    execute(&app, "INSERT INTO __diesel_schema_migrations (version) VALUES ('29991231000001')").await;
    let old = Instance::start(&app, &[]).await;
    assert_eq!(old.browser().sign_in("member1").await.status, 303, "it starts anew and serves");
    app.sign_in("member2").await;
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn f_23_a_clock_that_is_90_s_ahead_takes_no_lease_from_others() {
    use entra::clock::Clock;

    let app = TestApp::builder().running_clock().start().await;
    app.emulator.control().set_access_token_lifetime(3600..=3600);
    app.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    app.sign_in("member1").await;
    app.settle().await;
    make_due(&app).await;
    let ahead = Clock::wrong(app.database().ahead() + chrono::Duration::seconds(90));
    let other = TestApp::builder().beside(&app).clock(ahead).start().await;
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::Hang);
    let before = calls(&app);
    let state = app.state.clone();
    let holder = tokio::spawn(async move { refresh_due(&state).await });
    until_called(&app, before + 1).await;
    assert_eq!((refreshed(&other).await, calls(&app)), (0, before + 1));
    app.emulator.control().release();
    assert_eq!(holder.await.expect("no panic").expect("no error"), 1);
    // And what it refreshes itself is due by the clock of all.
    make_due(&app).await;
    assert_eq!(refreshed(&other).await, 1);
    let expires_in = grant(&app).await.expires_at - app.state.shared_now();
    assert!((3590..=3610).contains(&expires_in.num_seconds()), "{expires_in}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f_30_sessions_that_are_over_are_deleted_in_batches_and_live_ones_stay() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    let user = app.db_user("member1@contoso.example").await;
    let now = app.state.clock.now_utc();
    let mut conn = app.state.db.conn().await.expect("a connection");
    for number in 0..1_200_u32 {
        let over = NewSession {
            id: new_id(),
            id_hash: number.to_be_bytes().to_vec(),
            user_id: user.id.clone(),
            sid: None,
            address: String::new(),
            user_agent: String::new(),
            data: "{}".to_owned(),
            created_at: now,
            last_seen_at: now,
            expires_at: now - chrono::Duration::seconds(1),
        };
        assert!(over.insert(&mut conn).await.expect("a row"));
    }
    let one_batch = SessionRecord::purge(&mut conn, app.state.live_at(), 500).await.expect("a batch");
    drop(conn);
    assert_eq!(one_batch, 500, "never more at a time");
    let rest = tokio::join!(server::jobs::purge(&app.state), browser.get("/profile"));
    assert_eq!(rest.0.expect("a purge"), 700);
    rest.1.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_33_a_session_stays_dead_whatever_runs_beside_its_sign_out() {
    let app = TestApp::start().await;
    for _ in 0..10 {
        let browser = app.sign_in("member1").await;
        let cookie = browser.cookie("id").expect("a session");
        let form = browser.get("/profile").await.form("/auth/sign-out");
        let parallel = || async {
            let tab = app.browser();
            tab.set_cookie("id", &cookie);
            tab.get("/profile").await.status
        };
        let (_, first, second) = tokio::join!(browser.submit(&form), parallel(), parallel());
        assert!([200, 303].contains(&first) && [200, 303].contains(&second), "no error page: {first} {second}");
        assert_eq!(parallel().await, 303);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f_35_an_instance_that_is_told_to_end_finishes_its_refresh_and_frees_the_lease() {
    let (app, _) = member1_due(RefreshRotation::Strict).await;
    app.emulator.control().fault_next(Endpoint::Token, 2, Fault::Hang);
    let before = calls(&app);
    let instance = Instance::start(&app, &[]).await;
    until_called(&app, before + 1).await;
    // A request under way, too: a sign-in that waits for its code to be redeemed.
    let visitor = instance.browser();
    let at_provider = visitor.begin("/auth/sign-in").await;
    let answer = visitor.pick_only(&at_provider, "member2").await.location().expect("a redirect");
    let told = async {
        until_called(&app, before + 2).await;
        instance.terminate();
        app.emulator.control().release();
    };
    let (page, ()) = tokio::join!(visitor.get(answer.as_str()), told);
    page.assert_status(303);
    assert!(instance.ended().await, "with success: nothing was given up");
    let after = grant(&app).await;
    assert_eq!((after.state.as_str(), after.leased_until, calls(&app)), ("live", None, before + 2));
    assert!(after.refreshed_at.is_some(), "the result was written");
}

/// Connections that say `text` and nothing more.
async fn say(count: usize, address: &str, text: &str) -> Vec<TcpStream> {
    let mut silent = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // A connection that was opened before may be closed by now, and one that waits for its turn says nothing yet.
        let _ = stream.write_all(text.as_bytes()).await;
        silent.push(stream);
    }
    silent
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_say_nothing_keep_nobody_out() {
    let app = TestApp::builder().at_database_time().start().await;
    let metrics = format!("127.0.0.1:{}", suite::free_port());
    let instance = Instance::start_with_descriptors(256, &app, &[("METRICS_ADDR", &metrics)]).await;
    let (address, scrape) =
        (instance.origin().replace("http://localhost", "127.0.0.1"), format!("http://{metrics}/metrics"));
    let slow_body = "POST /csp-reports HTTP/1.1\r\nHost: x\r\nContent-Type: application/reports+json\r\nContent-Length: 60000\r\n\r\n[";
    let mut silent = Vec::new();
    for text in ["", "GET / HTTP/1.1\r\nHost: ", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", slow_body] {
        silent.extend(say(300, &address, text).await);
        silent.extend(say(30, &metrics, text).await);
        let browser = instance.browser();
        browser.get("/healthz").await.assert_status(200);
        browser.get("/auth/sign-in").await.assert_status(200);
        browser.get(&scrape).await.assert_status(200).assert_text("http_server_connections_closed_total");
    }
    let browser = instance.browser();
    browser.sign_in("member1").await.assert_status(303);
    browser.get("/profile").await.assert_status(200);
    drop(silent);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_36_reloads_double_clicks_and_tabs_end_in_one_session() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let (first, second) = (browser.begin("/auth/sign-in").await, browser.begin("/auth/sign-in?next=/profile").await);
    let mut answers = Vec::new();
    for at_provider in [&first, &second] {
        answers.push(browser.pick_only(at_provider, "member1").await.location().expect("a redirect"));
    }
    for answer in &answers {
        browser.get(answer.as_str()).await.assert_status(303);
    }
    browser.get(answers[1].as_str()).await.assert_status(303);
    let stale = browser.get(answers[0].as_str()).await;
    stale.assert_status(400).assert_text("Start the sign-in again");
    browser.get("/profile").await.assert_status(200);
    let mut conn = app.state.db.conn().await.expect("a connection");
    assert_eq!(SessionRecord::count_live(&mut conn, app.state.live_at()).await.expect("a count"), 1);
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn f_20_without_the_database_pages_say_503_and_come_back_by_themselves() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    let late = app.browser();
    let at_provider = late.begin("/auth/sign-in").await;
    let answer = late.pick_only(&at_provider, "member2").await.location().expect("a redirect");
    app.database().set_reachable(false).await;
    for page in [browser.get("/profile").await, late.get(answer.as_str()).await] {
        page.assert_status(503);
        assert!(!page.header("retry-after").is_empty());
        assert!(!page.body.contains("diesel") && !page.body.contains("postgres"), "{}", page.body);
    }
    app.browser().get("/readyz").await.assert_status(503);
    app.browser().get("/healthz").await.assert_status(200);
    app.browser().get("/auth/sign-in").await.assert_status(200);
    assert!(refresh_due(&app.state).await.is_err(), "said, not passed over");
    app.database().set_reachable(true).await;
    browser.get("/profile").await.assert_status(200);
    app.sign_in("member2").await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn f_21_a_database_locked_by_a_long_writer_is_a_page_and_passes() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let at_provider = browser.begin("/auth/sign-in").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    diesel::sql_query("BEGIN IMMEDIATE").execute(&mut conn).await.expect("a transaction");
    let answer = browser.pick_only(&at_provider, "member1").await.location().expect("a redirect");
    let refused = browser.get(answer.as_str()).await;
    refused.assert_status(503);
    diesel::sql_query("COMMIT").execute(&mut conn).await.expect("over");
    drop(conn);
    app.sign_in("member1").await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn f_21_a_killed_instance_leaves_a_sound_file() {
    #[derive(diesel::QueryableByName)]
    struct Verdict {
        #[diesel(sql_type = diesel::sql_types::Text)]
        integrity_check: String,
    }

    let app = TestApp::start().await;
    let instance = Instance::start(&app, &[]).await;
    instance.browser().sign_in("member1").await.assert_status(303);
    // The log beside the file (WAL) holds what was written; nobody has tidied up.
    instance.kill();
    let mut conn = app.state.db.conn().await.expect("a connection");
    let found: Vec<Verdict> = diesel::sql_query("PRAGMA integrity_check").load(&mut conn).await.expect("a verdict");
    drop(conn);
    assert_eq!(found[0].integrity_check, "ok");
    app.sign_in("member2").await;
    assert_eq!(app.db_users("member1").await.len(), 1, "what was committed is there");
}

/// Runs `sql`, a setting of the connection, on every connection that writes.
#[cfg(feature = "sqlite")]
async fn set_on_all_connections(app: &TestApp, sql: &str) {
    for mut conn in app.db_connections().await.0 {
        diesel::sql_query(sql).execute(&mut conn).await.expect("a setting");
    }
}

/// Users, grants and sign-ins that succeeded, which one transaction writes.
#[cfg(feature = "sqlite")]
async fn written(app: &TestApp) -> [usize; 3] {
    let users = app.db_users("").await;
    let mut grants = 0;
    for user in &users {
        grants += app.db_grants(user).await.len();
    }
    [users.len(), grants, app.db_events("sign_in.succeeded").await.len()]
}

#[cfg(feature = "sqlite")]
async fn assert_sound(app: &TestApp) {
    use diesel::sql_types::Text;

    let mut conn = app.state.db.conn().await.expect("a connection");
    let pragma = diesel::dsl::sql::<Text>("(SELECT integrity_check FROM pragma_integrity_check)");
    let found: String = diesel::select(pragma).get_result(&mut conn).await.expect("a verdict");
    assert_eq!(found, "ok");
}

#[cfg(feature = "sqlite")]
fn assert_says_unavailable(page: &suite::Page) {
    page.assert_status(503).assert_text("Try again in a minute");
    assert!(!page.header("retry-after").is_empty());
    assert!(!page.body.contains("diesel") && !page.body.contains("SQLite"), "{}", page.body);
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn f_21_a_full_disk_is_a_page_and_leaves_nothing_half_written() {
    let app = TestApp::start().await;
    app.emulator.control().generate_personas(60);
    let browser = app.sign_in("member1").await;
    app.settle().await;
    // No page more than there are: SQLite then says what it says of a full disk (SQLITE_FULL).
    set_on_all_connections(&app, "PRAGMA max_page_count = 1").await;
    let mut refused = None;
    for number in 1..=60 {
        let page = app.browser().sign_in(&format!("user{number:05}")).await;
        app.settle().await;
        if page.status != 303 {
            refused = Some(page);
            break;
        }
    }
    assert_says_unavailable(&refused.expect("pages are full after so many people"));
    let [users, grants, sign_ins] = written(&app).await;
    assert!(users == grants && users == sign_ins, "{users} users, {grants} grants, {sign_ins} sign-ins");
    app.advance(120);
    browser.get("/profile").await.assert_status(200);
    set_on_all_connections(&app, "PRAGMA max_page_count = 1000000").await;
    app.sign_in("member2").await.get("/profile").await.assert_status(200);
    assert_sound(&app).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn f_21_a_database_that_can_only_be_read_serves_who_is_signed_in() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    app.settle().await;
    let before = written(&app).await;
    set_on_all_connections(&app, "PRAGMA query_only = ON").await;
    assert_says_unavailable(&app.browser().sign_in("member2").await);
    app.settle().await;
    assert_eq!(written(&app).await, before);
    // Its last use would be written now: it is not, and the page comes all the same.
    app.advance(120);
    browser.get("/profile").await.assert_status(200);
    let sign_out = browser.get("/profile").await.form("/auth/sign-out");
    assert_says_unavailable(&browser.submit(&sign_out).await);
    set_on_all_connections(&app, "PRAGMA query_only = OFF").await;
    browser.submit(&sign_out).await.assert_status(303);
    app.sign_in("member2").await.get("/profile").await.assert_status(200);
    assert_sound(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_23_a_clock_that_jumps_by_an_hour_and_back_signs_nobody_out_and_calls_nobody_twice() {
    const HOUR: i64 = 3540;
    let app = TestApp::builder().setting("SESSION_IDLE_TIMEOUT", "8h").start().await;
    app.emulator.control().set_access_token_lifetime(3600..=3600);
    let mut people = Vec::new();
    for persona in ["member1", "member2", "admin"] {
        people.push(app.sign_in(persona).await);
    }
    app.settle().await;
    let late = app.browser();
    let at_provider = late.begin("/auth/sign-in").await;
    let answer = late.pick_only(&at_provider, "guest").await.location().expect("a redirect");
    let before = calls(&app);
    // An hour back and forward: nothing is due; an hour ahead: each is due once, and not again. A minute less than an
    // hour: what the provider issues now would be just as old as an answer may be, to the fraction of a second.
    for (jump, due) in [(-HOUR, 0), (HOUR, 0), (HOUR, 3), (-HOUR, 0), (HOUR, 0), (-HOUR, 0)] {
        app.advance(jump);
        assert_eq!(refreshed(&app).await, due, "after a jump of {jump} s");
        server::jobs::purge(&app.state).await.expect("a purge");
        for browser in &people {
            browser.get("/profile").await.assert_status(200);
        }
        // What a page begins behind the scenes may refresh a grant, too.
        app.settle().await;
    }
    assert_eq!(calls(&app), before + 3);
    // Whoever was at the provider meanwhile comes back as if nothing had been.
    late.get(answer.as_str()).await.assert_status(303);
    late.get("/profile").await.assert_status(200);
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn f_23_an_instance_whose_clock_jumps_goes_by_the_databases() {
    use entra::clock::Clock;

    let app = TestApp::builder().running_clock().start().await;
    app.emulator.control().set_access_token_lifetime(5400..=5400);
    let mut people = Vec::new();
    for persona in ["member1", "member2", "admin"] {
        people.push(app.sign_in(persona).await);
    }
    app.settle().await;
    let clock = Clock::wrong(app.database().ahead());
    let other = TestApp::builder().beside(&app).clock(clock.clone()).start().await;
    let before = calls(&app);
    for jump in [3600, -3600, -3600, 3600] {
        clock.advance(chrono::Duration::seconds(jump));
        // The purge comes first: it must not believe the clock.
        server::jobs::purge(&other.state).await.expect("a purge");
        assert_eq!(refreshed(&other).await, 0, "after a jump of {jump} s");
        for browser in &people {
            browser.get("/profile").await.assert_status(200);
            let there = other.browser();
            there.set_cookie("id", &browser.cookie("id").expect("a session"));
            there.get("/profile").await.assert_status(200);
        }
    }
    assert_eq!(calls(&app), before);
    let mut conn = app.state.db.conn().await.expect("a connection");
    assert_eq!(SessionRecord::count_live(&mut conn, app.state.live_at()).await.expect("a count"), 3);
}

/// Against the server of `tests/run`, which names its CA in `TEST_DATABASE_CA` and has a certificate for `localhost`.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn v_12_3_2_postgresql_over_tls_is_verified_by_ca_and_by_name() {
    let Ok(ca) = std::env::var("TEST_DATABASE_CA") else {
        eprintln!("not tried: TEST_DATABASE_CA is not set, so the server of TEST_DATABASE_URL may have no TLS");
        return;
    };
    let plain = TestApp::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let stranger = folder.path().join("stranger.crt");
    let issued = plain.emulator.control().issue_client_certificate().expect("a certificate");
    std::fs::write(&stranger, issued.certificate).expect("written");
    let at = |host: &str| {
        let mut url: url::Url = plain.database().url().parse().expect("a URL");
        url.set_host(Some(host)).expect("a host");
        url.set_query(Some("sslmode=verify-full"));
        url.to_string()
    };
    let refusal = async |host: &str, ca: &str| {
        let state = plain.state_with(&[("DATABASE_URL", &at(host)), ("EXTRA_CA_FILE", ca)]);
        state.db.conn().await.err().expect("refused").to_string()
    };
    let unknown = refusal("localhost", &stranger.display().to_string()).await;
    assert!(unknown.contains("certificate") && unknown.contains("UnknownIssuer"), "{unknown}");
    let misnamed = refusal("127.0.0.1", &ca).await;
    assert!(misnamed.contains("certificate") && misnamed.contains("localhost"), "{misnamed}");

    let builder = TestApp::builder().beside(&plain).setting("DATABASE_URL", at("localhost"));
    let app = builder.setting("EXTRA_CA_FILE", ca).start().await;
    app.sign_in("member1").await.get("/profile").await.assert_status(200);
    let mut conn = app.state.db.conn().await.expect("a connection");
    let is_encrypted =
        diesel::dsl::sql::<diesel::sql_types::Bool>("(SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid())");
    assert!(diesel::select(is_encrypted).get_result::<bool>(&mut conn).await.expect("an answer"));
}

/// A process of its own: standard error is one for all tests of this one.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_lines_of_json_on_standard_error_if_that_is_asked_for() {
    let app = TestApp::builder().at_database_time().start().await;
    for (setting, lines) in [("stderr", 2), ("off", 0)] {
        let mut log = tempfile::NamedTempFile::new().expect("a file");
        let instance =
            Instance::start_with_log(&app, &[("AUDIT_LOG", setting)], log.reopen().expect("a file").into()).await;
        let browser = instance.browser();
        browser.sign_in("member1").await.assert_status(303);
        let form = browser.get("/profile").await.form("/auth/sign-out");
        browser.submit(&form).await;
        drop(instance);
        let mut text = String::new();
        std::io::Read::read_to_string(log.as_file_mut(), &mut text).expect("text");
        let lines_of_events = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let events: Vec<_> = lines_of_events.filter(|line| line["log"] == "audit").collect();
        let actions: Vec<_> = events.iter().map(|event| event["action"].as_str().unwrap_or_default()).collect();
        assert_eq!(actions, &["sign_in.succeeded", "sign_out"][..lines], "{text}");
        for event in events {
            assert_eq!(event["actor"], "member1@contoso.example");
            let stored = app.db_events(event["action"].as_str().expect("an action")).await;
            assert!(stored.iter().any(|stored| stored.id == event["id"]), "it is committed");
        }
    }
}
