//! Migrations: both databases have the same, each goes up, down and up again, at once from many.

use std::collections::BTreeSet;
use std::path::Path;

use store::migrate;
use suite::TestApp;

fn names(database: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(database);
    let entries = std::fs::read_dir(folder).expect("the folder of the migrations");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn both_databases_have_the_same_migrations() {
    assert_eq!(names("sqlite"), names("postgres"));
    assert_eq!(names("sqlite").len(), migrate::names().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_go_down_and_up_again() {
    let app = TestApp::start().await;
    assert!(migrate::pending(&app.state.db).await.expect("an answer").is_empty());
    assert_eq!(migrate::revert_all(&app.state.db).await.expect("down"), migrate::names().len());
    assert_eq!(migrate::run(&app.state.db).await.expect("up").len(), migrate::names().len());
    app.sign_in("member1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f_22_many_instances_migrate_at_once() {
    let app = TestApp::start().await;
    migrate::revert_all(&app.state.db).await.expect("down");
    let mut runs = Vec::new();
    for _ in 0..4 {
        let db = app.state.db.clone();
        runs.push(tokio::spawn(async move { migrate::run(&db).await }));
    }
    let mut applied = 0;
    for run in runs {
        applied += run.await.expect("no panic").expect("no error").len();
    }
    assert_eq!(applied, migrate::names().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_caller_goes_away_comes_to_its_end() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let user = app.db_user("member1@contoso.example").await;
    for round in 0..20 {
        let act = if round % 2 == 0 {
            server::people::acts::Act::Disable { user_id: user.id.clone() }
        } else {
            server::people::acts::Act::Enable { user_id: user.id.clone() }
        };
        let state = app.state.clone();
        let caller = tokio::spawn(async move {
            server::people::acts::run(&state, act, server::people::actor::By::command_line()).await
        });
        tokio::task::yield_now().await;
        caller.abort();
    }
    // No connection was left inside a transaction: the next writer is not held up.
    app.sign_in("member2").await;
}

#[cfg(all(feature = "sqlite", unix))]
#[tokio::test(flavor = "multi_thread")]
async fn the_file_and_the_folders_that_are_made_for_it_are_their_owners_alone() {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    let app = TestApp::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("rights");
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let made = folder.path().join("made/below");
    let path = made.join("app.db");
    let url = format!("sqlite://{}", path.display());
    let state = app.state_with(&[("DATABASE_URL", &url)]);
    migrate::run(&state.db).await.expect("the migrations run");
    let beside = |suffix: &str| made.join(format!("app.db{suffix}"));
    assert_eq!((mode(&made), mode(&folder.path().join("made"))), (0o700, 0o700));
    assert_eq!(mode(folder.path()), 0o755, "what was there is left as it is");
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(suffix)), 0o600, "{suffix}");
        fs::set_permissions(beside(suffix), Permissions::from_mode(0o644)).expect("rights");
    }
    let again = app.state_with(&[("DATABASE_URL", &url)]);
    drop(again.db.conn().await.expect("a connection"));
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(suffix)), 0o600, "{suffix} of an older version");
    }
}
