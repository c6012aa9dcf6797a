//! The audit log: what it records, how it is looked through, that it is final, and how long it lasts.

use store::RunQueryDsl as _;
use suite::{Browser, Page, TestApp};

/// Days go by, here and at the provider.
fn pass(app: &TestApp, days: i64) {
    app.advance(days * 86_400);
    app.emulator.control().advance_clock(days * 86_400);
}

async fn events(admin: &Browser, query: &str) -> (Page, Vec<String>) {
    let page = admin.get(&format!("/admin/audit?{query}")).await;
    page.assert_status(200);
    let kinds = page.texts("td code").into_iter().filter(|text| text.contains('_') || text.contains('.')).collect();
    (page, kinds)
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_3_1_a_sync_records_each_column_from_what_to_what() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    assert!(app.db_events("user.synced").await.is_empty(), "the first sign-in changes nothing");
    app.emulator.control().change_persona("member1", |persona| {
        persona.name = "Megan Baker".into();
        persona.family_name = "Baker".into();
        persona.roles = vec!["Admin".into()];
        persona.groups.truncate(1);
    });
    app.sign_in("member1").await;
    let event = app.db_events("user.synced").await.remove(0);
    let detail: serde_json::Value = serde_json::from_str(&event.detail).expect("JSON");
    assert_eq!(detail["display_name"], "Megan Bowen → Megan Baker");
    assert_eq!(detail["family_name"], "Bowen → Baker");
    assert_eq!(detail["roles"], "nothing → admin");
    assert!(detail["groups_removed"].as_str().is_some_and(|ids| ids.len() == 36));
    assert!(detail.get("upn").is_none(), "what stayed is not listed");
    assert!(!event.request_id.is_empty() && !event.address.is_empty());
    app.sign_in("member1").await;
    assert_eq!(app.db_events("user.synced").await.len(), 1, "nothing changed, nothing recorded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sign_in_records_what_somebody_begins_with() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let event = app.db_events("sign_in.succeeded").await.remove(0);
    let detail: serde_json::Value = serde_json::from_str(&event.detail).expect("JSON");
    assert_eq!(detail["first_sign_in"], "true");
    assert_eq!(detail["roles"], "admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_the_log_and_rows_show_everything() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.sign_in("member2").await;
    let admin = app.sign_in("admin").await;
    let member = app.db_user("member1@contoso.example").await;
    let path = format!("/admin/users/{}", member.id);
    let form = admin.get(&path).await.form("/disable").with("confirm", "yes");
    admin.submit(&form).await.assert_status(303);

    let (page, kinds) = events(&admin, "actor=ADMIN@contoso.example&action=user.disabled").await;
    assert_eq!(kinds, ["user.disabled"]);
    let event = app.db_events("user.disabled").await.remove(0);
    page.assert_text("active → disabled").assert_text(&event.request_id).assert_text("127.0.0.1");
    let (_, by_id) = events(&admin, &format!("target={}", member.id)).await;
    let (_, by_name) = events(&admin, "target=member1@contoso.example").await;
    assert_eq!((by_id.len(), &by_id), (2, &by_name));
    let (_, by_actor_id) = events(&admin, &format!("actor={}", member.id)).await;
    assert_eq!(by_actor_id, ["sign_in.succeeded"]);
    let (nobody, kinds) = events(&admin, "actor=nobody@contoso.example").await;
    assert!(kinds.is_empty());
    nobody.assert_text("No event fits");
}

#[tokio::test(flavor = "multi_thread")]
async fn days_bound_the_log_and_the_last_one_counts_in_full() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let first = app.state.clock.now_utc().date();
    pass(&app, 2);
    app.sign_in("member2").await;
    let admin = app.sign_in("admin").await;
    let count = async |query: String| events(&admin, &query).await.1.len();
    assert_eq!(count(format!("to={first}")).await, 1);
    assert_eq!(count(format!("from={first}")).await, 3);
    assert_eq!(count(format!("from={}", first + chrono::Days::new(1))).await, 2);
    assert_eq!(count(format!("from={}&to={first}", first + chrono::Days::new(1))).await, 0);
    events(&admin, "from=never&to=%00&actor=%00").await.0.assert_text("was not understood");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_pages_by_key_and_is_exported_whole() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    let browser = app.browser();
    browser.begin("/auth/sign-in").await;
    for _ in 0..60 {
        browser.get("/auth/callback?error=access_denied&state=x").await.assert_status(400);
    }
    let (first, kinds) = events(&admin, "action=sign_in.failed").await;
    assert_eq!(kinds.len(), 50);
    let next = first.links("a[rel=next]").remove(0);
    assert!(next.contains("action=sign_in.failed"), "{next}");
    assert_eq!(admin.get(&next).await.texts("td code").iter().filter(|kind| *kind == "sign_in.failed").count(), 10);

    let file = admin.get("/admin/audit.csv?action=sign_in.failed").await;
    file.assert_status(200);
    let mut reader = csv::Reader::from_reader(file.body.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a record")).collect();
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|row| &row[2] == "sign_in.failed"));
    assert_eq!(app.db_events("audit.exported").await.len(), 1);
    app.sign_in("member1").await.get("/admin/audit.csv").await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_4_2_events_cannot_be_changed() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let change = diesel::sql_query("UPDATE audit_events SET actor_name = 'somebody else'");
    let refused = change.execute(&mut conn).await.expect_err("refused");
    assert!(refused.to_string().contains("never changed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_older_than_the_retention_are_deleted() {
    // The database goes by its own clock: the time of the application ends where that one is.
    let app = TestApp::builder().setting("AUDIT_RETENTION", "30d").days_ago(31).start().await;
    server::serve::keep_audit_events(&app.state).await.expect("told");
    app.sign_in("member1").await;
    pass(&app, 29);
    app.sign_in("member2").await;
    server::jobs::purge(&app.state).await.expect("purged");
    assert_eq!(app.db_events("sign_in").await.len(), 2);
    pass(&app, 2);
    server::jobs::purge(&app.state).await.expect("purged");
    let left = app.db_events("sign_in").await;
    assert_eq!(left.iter().map(|event| event.actor_name.as_str()).collect::<Vec<_>>(), ["member2@contoso.example"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_lets_nobody_delete_or_replace_an_event_before_its_time() {
    let app = TestApp::builder().at_database_time().start().await;
    app.sign_in("member1").await;
    app.sign_in("member1").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let mut statements = vec![
        "DELETE FROM audit_events",
        "DELETE FROM audit_settings",
        "UPDATE audit_events SET seq = 0",
        "UPDATE audit_events SET seq = 9000000000",
        "UPDATE audit_events SET seq = 7",
        "UPDATE audit_settings SET last_seq = -1",
        "UPDATE audit_events SET address = ''",
        "UPDATE audit_events SET actor_name = 'erased-' || substr(actor_id, 25)",
    ];
    if cfg!(feature = "sqlite") {
        statements.extend([
            "INSERT OR REPLACE INTO audit_events SELECT * FROM audit_events",
            "INSERT OR REPLACE INTO audit_events \
             (rowid, id, at, kind, actor_name, subject_name, address, request_id, detail) \
             SELECT rowid, 'other', at, 'other', '', '', '', '', '{}' FROM audit_events",
            "UPDATE OR REPLACE audit_events SET rowid = rowid + 1",
            "INSERT OR REPLACE INTO audit_settings VALUES (1, 1, 0)",
        ]);
    } else {
        statements.extend([
            "TRUNCATE audit_events",
            "TRUNCATE audit_settings",
            "INSERT INTO audit_events SELECT * FROM audit_events ON CONFLICT (id) DO UPDATE SET kind = 'other'",
        ]);
    }
    for statement in statements {
        let refused = diesel::sql_query(statement).execute(&mut conn).await.expect_err(statement).to_string();
        assert!(refused.contains("audit"), "{statement}: {refused}");
    }
    drop(conn);
    assert_eq!(app.db_events("sign_in.succeeded").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_retention_is_itself_an_event() {
    let app = TestApp::builder().setting("AUDIT_RETENTION", "400d").start().await;
    server::serve::keep_audit_events(&app.state).await.expect("told");
    assert!(app.db_events("audit").await.is_empty(), "nothing is lost by a longer one");
    let short = app.state_with(&[("AUDIT_RETENTION", "30d")]);
    server::serve::keep_audit_events(&short).await.expect("told");
    server::serve::keep_audit_events(&short).await.expect("told");
    let events = app.db_events("audit.retention_lowered").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].detail.replace(": ", ":"), "{\"retention\":\"34560000 s → 2592000 s\"}");
    assert!(uuid::Uuid::parse_str(&events[0].id).is_ok_and(|id| id.get_version_num() == 7), "{events:?}");
}

/// With plain SQL: the time is made short, the log deleted, and the time put back.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_deletes_the_log_by_a_shorter_retention_leaves_a_trace() {
    let app = TestApp::builder().days_ago(3).start().await;
    app.sign_in("member1").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    for statement in [
        "UPDATE audit_settings SET retention_seconds = 1",
        "DELETE FROM audit_events WHERE kind = 'sign_in.succeeded'",
        "UPDATE audit_settings SET retention_seconds = 31536000",
    ] {
        diesel::sql_query(statement).execute(&mut conn).await.expect(statement);
    }
    drop(conn);
    let kinds = async || app.db_events("").await.into_iter().map(|event| event.kind).collect::<Vec<_>>();
    assert_eq!(kinds().await, ["audit.retention_lowered"]);
    app.advance(500 * 86_400);
    server::jobs::purge(&app.state).await.expect("purged");
    let mut conn = app.state.db.conn().await.expect("a connection");
    let late = diesel::sql_query("DELETE FROM audit_events").execute(&mut conn).await.expect_err("refused");
    assert!(late.to_string().contains("are kept"), "{late}");
    drop(conn);
    assert_eq!(kinds().await, ["audit.retention_lowered"]);
}

/// All that the feed has after `after`, and where it went on to.
async fn read_on(app: &TestApp, after: &str, per_page: usize) -> (Vec<serde_json::Value>, String) {
    let (program, token) = (app.browser(), app.program_token().await);
    let (mut items, mut after) = (Vec::new(), after.to_owned());
    loop {
        let path = format!("/api/v1/audit?after={after}&per_page={per_page}");
        let page = program.call(&path, &token).await.assert_status(200).json();
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        page["after"].as_str().expect("a cursor").clone_into(&mut after);
        if page["next"].is_null() {
            return (items, after);
        }
        let next = page["next"].as_str().expect("an address");
        assert!(next.ends_with(&format!("/api/v1/audit?after={after}&per_page={per_page}")), "{next}");
    }
}

fn ids(items: &[serde_json::Value]) -> Vec<String> {
    items.iter().map(|item| item["id"].as_str().expect("an id").to_owned()).collect()
}

async fn reader() -> TestApp {
    let app = TestApp::start().await;
    app.emulator.control().set_own_app_roles(&["AuditLog.Read.All"]);
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_complete_in_order_and_resumable() {
    let app = reader().await;
    assert_eq!(read_on(&app, "", 10).await, (Vec::new(), "0".to_owned()));
    let admin = app.sign_in("admin").await;
    for _ in 0..25 {
        admin.get("/admin/users.csv").await.assert_status(200);
    }
    let (items, after) = read_on(&app, "", 10).await;
    let mut stored: Vec<String> = app.db_events("").await.into_iter().map(|event| event.id).collect();
    stored.reverse();
    assert_eq!(ids(&items), stored, "every event, oldest first");
    let event = &items[1];
    let user = app.db_user("admin@contoso.example").await;
    assert_eq!(event["action"], "users.exported");
    assert_eq!(event["actor"], "admin@contoso.example");
    assert_eq!(event["actor_id"], user.id);
    assert_eq!(event["target_id"], serde_json::Value::Null);
    assert_eq!(event["detail"]["filters"], "none");
    assert!(event["at"].as_str().is_some_and(|at| chrono::DateTime::parse_from_rfc3339(at).is_ok()));

    assert_eq!(read_on(&app, &after, 10).await, (Vec::new(), after.clone()), "nothing new");
    app.sign_in("member1").await;
    let (news, _) = read_on(&app, &after, 10).await;
    assert_eq!(news.len(), 1);
    app.sign_in("member2").await;
    app.sign_in("member1").await;
    let newest = app.db_events("").await.remove(0).id;
    assert_eq!(
        read_on(&app, &newest, 10).await.0,
        Vec::<serde_json::Value>::new(),
        "read by nobody yet, and past all the same"
    );
    let (by_id, _) = read_on(&app, &stored[24], 10).await;
    assert_eq!(by_id.len(), 4, "the id of an event stands for its place");
}

/// Events are made and committed in different orders, by many at once, some in long transactions and some rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_follows_the_feed_misses_no_event_of_concurrent_transactions() {
    use store::DbError;
    use store::models::NewAuditEvent;

    const WRITERS: i64 = 8;
    const TRANSACTIONS: i64 = 12;
    let app = reader().await;
    let write = async |writer: i64| {
        let mut conn = app.state.db.conn().await.expect("a connection");
        for number in 0..TRANSACTIONS {
            let is_kept = number % 4 != 3;
            let written = store::write_transaction!(conn, async |conn| {
                for part in 0..2 {
                    // Later events have earlier times now and then, as instances have clocks of their own.
                    let now = app.state.shared_now() - chrono::Duration::milliseconds((writer * 7 + number * 3) % 11);
                    let detail = vec![("is_kept", is_kept.to_string())];
                    let event = NewAuditEvent { kind: "test", detail, ..NewAuditEvent::default() };
                    event.insert(conn, now).await?;
                    for _ in 0..(writer * part * 20) {
                        tokio::task::yield_now().await;
                    }
                }
                if is_kept { Ok(()) } else { Err(DbError::Interrupted) }
            });
            assert_eq!(written.is_ok(), is_kept, "{written:?}");
        }
    };
    let is_written = std::cell::Cell::new(false);
    let writing = async {
        futures_util::future::join_all((0..WRITERS).map(write)).await;
        is_written.set(true);
    };
    let reading = async {
        let (mut read, mut after) = (Vec::new(), String::new());
        loop {
            let is_last = is_written.get();
            let (items, next) = read_on(&app, &after, 7).await;
            read.extend(items);
            after = next;
            if is_last {
                return read;
            }
        }
    };
    let ((), read) = futures_util::future::join(writing, reading).await;
    assert!(read.iter().all(|event| event["detail"]["is_kept"] == "true"), "nothing that was rolled back");
    let mut read = ids(&read);
    read.sort_unstable();
    let mut stored: Vec<String> = app.db_events("test").await.into_iter().map(|event| event.id).collect();
    stored.sort_unstable();
    assert_eq!(stored.len(), usize::try_from(WRITERS * TRANSACTIONS / 4 * 3 * 2).expect("a number"));
    assert_eq!(read, stored, "each once");
}

/// The case itself: an event with an earlier id is committed after a later one was read.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_committed_late_comes_late() {
    use store::DbError;
    use store::models::NewAuditEvent;

    let app = reader().await;
    let event = |kind| NewAuditEvent { kind, ..NewAuditEvent::default() };
    let mut slow = app.state.db.conn().await.expect("a connection");
    let mut after = String::new();
    store::write_transaction!(slow, async |slow| {
        event("test.slow").insert(slow, app.state.shared_now()).await?;
        let mut quick = app.state.db.conn().await?;
        event("test.quick").insert(&mut quick, app.state.shared_now()).await?;
        let (items, cursor) = read_on(&app, "", 10).await;
        assert_eq!(items.iter().map(|item| item["action"].clone()).collect::<Vec<_>>(), ["test.quick"]);
        after = cursor;
        Ok::<_, DbError>(())
    })
    .expect("committed");
    let (items, _) = read_on(&app, &after, 10).await;
    assert_eq!(items.iter().map(|item| item["action"].clone()).collect::<Vec<_>>(), ["test.slow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_is_for_administrators_and_for_programs_with_the_role() {
    let app = reader().await;
    app.sign_in("admin").await;
    app.sign_in("member1").await;
    let program = app.browser();
    let call = async |token: &str, query: &str| program.call(&format!("/api/v1/audit{query}"), token).await;
    call(&app.member_token("admin").await, "").await.assert_status(200);
    call(&app.member_token("member1").await, "").await.assert_status(403);
    let token = app.program_token().await;
    call(&token, "").await.assert_status(200);
    for query in ["?per_page=0", "?per_page=1001", "?per_page=x", "?after=x", "?after=-1"] {
        call(&token, query).await.assert_status(400);
    }
    call(&token, &format!("?after={}", uuid::Uuid::now_v7())).await.assert_status(400);
    for roles in [&[][..], &["Users.Read.All"], &["AuditLog.Read"]] {
        app.emulator.control().set_own_app_roles(roles);
        let refused = call(&app.program_token().await, "").await;
        refused.assert_status(403);
        assert!(refused.header("www-authenticate").contains("scope=\"AuditLog.Read.All\""));
    }
    program.get("/api/v1/audit").await.assert_status(401);
    let document = program.get("/api/openapi.json").await.assert_status(200).json();
    let answer = &document["paths"]["/api/v1/audit"]["get"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(answer["schema"]["$ref"], "#/components/schemas/AuditFeed", "{answer}");
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn every_filter_of_the_log_is_an_index_without_a_sort() {
    use diesel::debug_query;
    use store::models::AuditFilter;
    let at = |day: i64| chrono::DateTime::from_timestamp(day * 86_400, 0).map(|at| at.naive_utc());
    let name = Some("a@b".to_owned());
    let id = Some(uuid::Uuid::nil().to_string());
    let app = TestApp::start().await;
    for filter in [
        AuditFilter::default(),
        AuditFilter { kind: Some("sign_in.failed".into()), ..AuditFilter::default() },
        AuditFilter { actor: name.clone(), ..AuditFilter::default() },
        AuditFilter { actor: id.clone(), from: at(1), ..AuditFilter::default() },
        AuditFilter { subject: name, to: at(2), ..AuditFilter::default() },
        AuditFilter { subject: id, ..AuditFilter::default() },
        AuditFilter { from: at(1), to: at(2), ..AuditFilter::default() },
    ] {
        let query = store::models::AuditEvent::page(&filter, Some("0"), 51);
        let sql = debug_query::<diesel::sqlite::Sqlite, _>(&query).to_string();
        let plan = suite::db_plan(&app, &sql).await;
        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        assert!(plan.contains("SEARCH"), "{filter:?}: {plan}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_write_no_rows_and_whoever_has_begun_a_sign_in_writes_so_many() {
    let app = TestApp::start().await;
    let forged = ["code=a&state=b", "error=access_denied&state=x", "state=", "", "code=a&code=b", "%FF"];
    for number in 0..200 {
        let query = forged[number % forged.len()];
        app.browser().get(&format!("/auth/callback?{query}")).await.assert_status(400);
    }
    let stranger = app.browser();
    stranger.set_cookie("login-AAAAAAAAAAAAAAAA", "bm90aGluZyBvZiBvdXJz");
    stranger.get("/auth/callback?code=a&state=b").await.assert_status(400);
    assert!(app.db_events("").await.is_empty(), "nothing of ours came along");

    stranger.begin("/auth/sign-in").await;
    for _ in 0..310 {
        stranger.get("/auth/callback?code=a&state=b").await.assert_status(400);
    }
    assert_eq!(app.db_events("sign_in.failed").await.len(), 300, "an hour's");
    app.advance(3_600);
    stranger.get("/auth/callback?code=a&state=b").await.assert_status(400);
    let newest = app.db_events("sign_in.failed").await.remove(0);
    assert!(newest.detail.contains(r#""not_recorded_before":"10""#), "{}", newest.detail);
}
