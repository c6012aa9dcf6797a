//! The audit log: what it records, how it is looked through, that it is final, and how long it lasts.

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
    for _ in 0..60 {
        app.browser().get("/auth/callback?error=access_denied&state=x").await.assert_status(400);
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
    use server::db::RunQueryDsl as _;
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let change = diesel::sql_query("UPDATE audit_events SET actor_name = 'somebody else'");
    let refused = change.execute(&mut conn).await.expect_err("refused");
    assert!(refused.to_string().contains("never changed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_older_than_the_retention_are_deleted() {
    let app = TestApp::builder().setting("AUDIT_RETENTION", "30d").start().await;
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

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn every_filter_of_the_log_is_an_index_without_a_sort() {
    use server::models::AuditFilter;

    use diesel::debug_query;
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
        let query = server::models::AuditEvent::page(&filter, Some("0"), 51);
        let sql = debug_query::<diesel::sqlite::Sqlite, _>(&query).to_string();
        let plan = suite::db_plan(&app, &sql).await;
        assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        assert!(plan.contains("SEARCH"), "{filter:?}: {plan}");
    }
}
