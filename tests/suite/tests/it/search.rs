//! Searching users: what is found, that the index follows, and that nobody found costs little.

use store::models::{User, UserFilter};
use suite::{TestApp, db_fill};

/// The UPNs that a search finds, up to the `@`.
async fn found(app: &TestApp, q: &str) -> Vec<String> {
    app.db_users(q).await.into_iter().map(|user| user.upn.split('@').next().unwrap_or_default().to_owned()).collect()
}

async fn count(app: &TestApp, q: &str) -> Option<i64> {
    let mut conn = app.state.db.conn().await.expect("a connection");
    let filter = UserFilter { q: q.to_owned(), ..UserFilter::default() };
    User::count(&mut conn, &filter).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_word_is_looked_for_anywhere_and_a_short_one_alone_at_the_beginning() {
    let app = TestApp::start().await;
    db_fill(&app, 12).await;
    for (q, expected) in [
        ("ser0007", &["user0007"][..]),
        ("USER0007", &["user0007"]),
        ("user0007 name", &["user0007"]),
        ("name user0007 1", &["user0007"]),
        ("0007 0008", &[]),
        ("us", &["user0000", "user0001"]),
        ("me", &[]),
        ("na 1", &[]),
        ("subject7", &["user0007"]),
        ("%", &[]),
        ("%%%%", &[]),
        ("user____", &[]),
        ("\"use\" OR \"name\"", &[]),
        ("user* NOT", &[]),
        ("\\\\\\", &[]),
        ("nobody-is-called-this", &[]),
    ] {
        let all = found(&app, q).await;
        let begins = if expected.is_empty() {
            all.is_empty()
        } else {
            all.starts_with(&expected.iter().map(|upn| (*upn).to_owned()).collect::<Vec<_>>())
        };
        assert!(begins, "{q}: {all:?}");
        assert_eq!(count(&app, q).await, Some(i64::try_from(all.len()).expect("few")), "{q}");
    }
    assert_eq!(found(&app, "us").await.len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_follows_changes_of_name() {
    let app = TestApp::start().await;
    let control = app.emulator.control();
    app.sign_in("member1").await;
    assert_eq!(found(&app, "member1").await, ["member1"]);
    control.change_persona("member1", |persona| {
        persona.upn = "zoë.müller@contoso.example".into();
        persona.email = None;
        persona.name = "Zoë Müller".into();
    });
    app.sign_in("member1").await;
    assert!(found(&app, "member1").await.is_empty(), "the old name is forgotten");
    assert_eq!(found(&app, "MÜLL").await, ["zoë.müller"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_matches_are_paged_in_order_and_counted() {
    let app = TestApp::start().await;
    db_fill(&app, 2100).await;
    let admin = app.sign_in("admin").await;
    let page = admin.get("/admin/users?q=contoso&per_page=10").await;
    page.assert_text("10 of 2,101 users").assert_text("user0008@contoso.example");
    let next = page.links("a[rel=next]").remove(0);
    admin.get(&next).await.assert_text("user0009@contoso.example");
    // As many as the index is asked for and fewer are looked up, more are met while the list is read.
    assert_eq!(count(&app, "user0").await, Some(1000));
    assert_eq!(count(&app, "user").await, Some(2100));
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_finds_few_reads_those_alone() {
    use diesel::prelude::*;
    let app = TestApp::start().await;
    let filter = UserFilter { q: "nobody".to_owned(), ..UserFilter::default() };
    for sort in ["upn", "name", "email", "last_sign_in", "created"] {
        let window =
            store::models::UserWindow { sort, descending: false, after: None, before: None, end: false, limit: 50 };
        let among = Some(vec!["1".to_owned(), "2".to_owned()]);
        let query = User::page(&filter, among, &window);
        let sql = diesel::debug_query::<diesel::sqlite::Sqlite, _>(&query.select(User::as_select())).to_string();
        let plan = suite::db_plan(&app, &sql).await;
        assert!(plan.starts_with("SEARCH users USING INDEX sqlite_autoindex_users_1 (id=?)"), "{sort}: {plan}");
    }
    let plan = suite::db_plan(
        &app,
        "SELECT user_id FROM user_search_keys WHERE key IN \
         (SELECT rowid FROM user_search WHERE user_search MATCH ? LIMIT ?)",
    )
    .await;
    assert!(plan.contains("SEARCH user_search_keys USING INTEGER PRIMARY KEY"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_suggested_the_first_of_the_list_as_text() {
    let app = TestApp::start().await;
    db_fill(&app, 12).await;
    let hostile = "Zoë\n<script>\tZett";
    app.emulator.control().change_persona("member1", |persona| persona.name = hostile.into());
    app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let suggested = async |q: &str| admin.get(&format!("/admin/users/suggestions?q={q}")).await;

    let answer = suggested("ser00").await;
    assert!(answer.assert_status(200).header("content-type").starts_with("text/plain"));
    assert!(answer.header("cache-control").contains("no-store"));
    let lines: Vec<&str> = answer.body.lines().collect();
    assert_eq!(lines.len(), 8, "{}", answer.body);
    assert_eq!(lines.first(), Some(&"user0000@contoso.example\tName 0"));

    let answer = suggested("member1").await;
    assert_eq!(answer.body.lines().count(), 1, "a name has no lines: {}", answer.body);
    assert_eq!(answer.body.matches('\t').count(), 1, "and no columns: {}", answer.body);
    for nothing in ["", "%20", "nobody-is-called-this"] {
        assert_eq!(suggested(nothing).await.assert_status(200).body, "", "{nothing:?}");
    }
}
