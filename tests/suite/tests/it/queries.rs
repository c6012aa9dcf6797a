//! How many queries a page costs: the session with its person and whether there is a photo, and then the page's own data.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use diesel::connection::InstrumentationEvent;
#[cfg(feature = "postgres")]
use diesel_async::AsyncConnection as _;
use suite::TestApp;

/// Queries of a page before its own data: one look-up of the session, its person and whether the top bar has their photo.
const FRAME: u32 = 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_asks_once_before_its_own_data() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    // The first view waits for Graph, and each list is counted once in a while.
    for (path, _) in PAGES {
        browser.get(path).await.assert_status(200);
    }
    app.settle().await;
    let queries = count_queries(&app).await;
    let mut counted = Vec::new();
    for (path, _) in PAGES {
        queries.store(0, Ordering::SeqCst);
        browser.get(path).await.assert_status(200);
        counted.push((path, queries.load(Ordering::SeqCst)));
    }
    assert_eq!(counted, PAGES.map(|(path, own)| (path, FRAME + own)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_page_asks_nothing() {
    let app = TestApp::start().await;
    let queries = count_queries(&app).await;
    app.browser().get("/auth/sign-in").await.assert_status(200);
    assert_eq!(queries.load(Ordering::SeqCst), 0);
}

/// Diesel would prepare each `INSERT` and `UPDATE` anew.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sign_in_writes_is_prepared_once() {
    let app = TestApp::start().await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    observe(&app, {
        let kept = kept.clone();
        move |event| {
            if let InstrumentationEvent::CacheQuery { sql, .. } = event {
                kept.lock().expect("a list").push(sql.replace(['`', '"'], ""));
            }
        }
    })
    .await;
    app.sign_in("member1").await;
    let kept = kept.lock().expect("a list");
    for table in ["used_transactions", "users", "grants", "audit_events", "sessions"] {
        let insert = format!("INSERT INTO {table} ");
        assert!(kept.iter().any(|sql| sql.starts_with(&insert)), "{table}: {kept:#?}");
    }
}

/// Pages with the number of queries for what they show.
const PAGES: [(&str, u32); 8] = [
    ("/", 0),
    // Graph, sessions, grants, groups, roles and the rules that give them.
    ("/profile", 6),
    // The people with their sessions, the names of all roles.
    ("/admin/users", 2),
    ("/admin/sessions", 1),
    ("/admin/grants", 1),
    ("/admin/audit", 1),
    // The groups and their members, the role mappings and the names of their groups.
    ("/admin/groups", 4),
    // Good and failed sign-ins of today and yesterday, events, sessions, grants in three states.
    ("/admin", 9),
];

/// Counts what every connection of the application is asked from now on.
async fn count_queries(app: &TestApp) -> Arc<AtomicU32> {
    let count = Arc::new(AtomicU32::new(0));
    observe(app, {
        let count = count.clone();
        move |event| {
            if matches!(event, InstrumentationEvent::StartQuery { .. }) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    count
}

/// Tells `observer` what every connection of the application does from now on.
async fn observe(app: &TestApp, observer: impl Fn(InstrumentationEvent<'_>) + Clone + Send + 'static) {
    let (writers, readers) = app.db_connections().await;
    for mut conn in writers.into_iter().chain(readers) {
        let observer = observer.clone();
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| observer(event));
    }
}
