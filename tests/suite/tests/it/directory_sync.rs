//! Directory sync: what changes in the directory reaches the users who are known here (G-07, E-41).

use std::sync::atomic::{AtomicBool, Ordering};

use entra_emulator::{Endpoint, Fault};
use serde_json::{Value, json};
use server::directory_sync::run_due;
use store::models::{NewUser, User, new_id};
use suite::{Browser, TestApp};

const MEMBER: &str = "member1@contoso.example";

async fn start() -> TestApp {
    TestApp::builder().setting("DIRECTORY_SYNC_INTERVAL", "1h").setting("SESSION_IDLE_TIMEOUT", "8h").start().await
}

/// The next round: an hour later for the application.
async fn round(app: &TestApp) -> Result<String, String> {
    app.advance(3600);
    run_due(&app.state).await.map_err(|error| error.to_string())
}

async fn is_active(app: &TestApp, upn: &str) -> bool {
    app.db_user(upn).await.is_active()
}

/// Users of the tenant of whom the directory knows nothing; they signed in some time ago.
async fn add_strangers(app: &TestApp, count: usize) {
    let at = app.state.clock.now_utc() - chrono::Duration::hours(1);
    let mut conn = app.state.db.conn().await.expect("a connection");
    for number in 0..count {
        let upn = format!("stranger{number}@contoso.example");
        let user = NewUser {
            id: new_id(),
            realm: app.emulator.tenant_id().to_string(),
            subject: format!("00000000-0000-4000-8000-{number:012}"),
            upn_fold: upn.clone(),
            display_name: "Stranger".into(),
            name_fold: "stranger".into(),
            email: upn.clone(),
            email_fold: upn.clone(),
            upn,
            user_type: "member".into(),
            status: "active".into(),
            claims: "{}".into(),
            created_at: at,
            last_sign_in_at: at,
            synced_at: at,
            ..Default::default()
        };
        user.upsert(&mut conn).await.expect("a row");
    }
}

async fn strangers(app: &TestApp) -> Vec<User> {
    app.db_users("stranger").await
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_the_sync_is_off_unless_it_is_asked_for() {
    let app = TestApp::start().await;
    assert_eq!(run_due(&app.state).await.expect("nothing to do"), "");
    assert_eq!(app.emulator.control().count(Endpoint::Delta), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_a_round_reads_every_page_with_one_token_and_creates_nobody() {
    let app = start().await;
    app.sign_in("member1").await;
    let control = app.emulator.control();
    control.generate_personas(1100);
    let tokens = control.count(Endpoint::Token);
    let result = round(&app).await.expect("a round");
    assert!(
        result.starts_with("11") && result.ends_with("changes received, 0 users updated, 0 disabled, 0 enabled"),
        "{result}"
    );
    assert_eq!(control.count(Endpoint::Delta), 2, "999 on a page");
    assert_eq!(control.count(Endpoint::Token), tokens + 1);
    assert_eq!(app.db_users("").await.len(), 1, "people come in by signing in");
    assert_eq!(run_due(&app.state).await.expect("nothing to do"), "", "not due");
    // A token lives for about an hour: the next round needs another one, and asks from the delta link on.
    let result = round(&app).await.expect("a round");
    assert_eq!(
        (result.as_str(), control.count(Endpoint::Delta)),
        ("0 changes received, 0 users updated, 0 disabled, 0 enabled", 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_names_and_addresses_follow_and_a_replayed_page_changes_nothing() {
    let app = start().await;
    app.sign_in("member1").await;
    round(&app).await.expect("a round");
    let control = app.emulator.control();
    control.change_persona("member1", |persona| {
        persona.upn = "renamed@contoso.example".into();
        persona.email = Some("renamed.mail@contoso.example".into());
        persona.name = "Renamed\u{0} Person".into();
    });
    round(&app).await.expect("a round");
    let user = app.db_user("renamed@contoso.example").await;
    assert_eq!((user.email.as_str(), user.display_name.as_str()), ("renamed.mail@contoso.example", "Renamed Person"));
    let event = app.db_events("user.synced").await.remove(0);
    assert_eq!(event.actor_name, "directory sync");
    assert!(event.detail.contains(&format!("{MEMBER} → renamed@contoso.example")), "{}", event.detail);

    control.change_persona("member1", |_| ());
    let result = round(&app).await.expect("a round");
    assert_eq!(result, "1 changes received, 0 users updated, 0 disabled, 0 enabled");
    assert_eq!(app.db_user("renamed@contoso.example").await.synced_at, user.synced_at);
    assert_eq!(app.db_events("user.synced").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_what_claim_mapping_fills_is_left_to_the_claims() {
    let app = TestApp::builder()
        .setting("DIRECTORY_SYNC_INTERVAL", "1h")
        .setting("CLAIM_MAPPING", "display_name=preferred_username")
        .start()
        .await;
    app.sign_in("member1").await;
    app.emulator.control().change_persona("member1", |persona| persona.name = "Another".into());
    round(&app).await.expect("a round");
    assert_eq!(app.db_user(MEMBER).await.display_name, MEMBER);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_and_e_41_a_disabled_account_is_out_at_once_and_comes_back_with_the_directory() {
    let app = start().await;
    let member = app.sign_in("member1").await;
    let other = app.sign_in("member2").await;
    app.settle().await;
    let control = app.emulator.control();
    control.change_persona("member1", |persona| persona.enabled = false);
    run_due(&app.state).await.expect("a round");
    member.get("/profile").await.assert_status(303);
    other.get("/profile").await.assert_status(200);
    let user = app.db_user(MEMBER).await;
    assert_eq!((user.status.as_str(), user.disabled_by.as_str()), ("disabled", "directory"));
    assert!(app.db_grants(&user).await.is_empty());
    let event = app.db_events("user.disabled").await.remove(0);
    assert_eq!((event.actor_name.as_str(), event.subject_name.as_str()), ("directory sync", MEMBER));
    assert!(event.detail.contains("account disabled in the directory"), "{}", event.detail);

    control.change_persona("member1", |persona| persona.enabled = true);
    round(&app).await.expect("a round");
    assert!(is_active(&app, MEMBER).await);
    assert_eq!(app.db_events("user.enabled").await.len(), 1);
    control.advance_clock(3600);
    member.sign_in("member1").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_whom_an_administrator_disabled_the_directory_does_not_enable() {
    use server::people::actor::By;
    use server::people::acts::{Act, run};
    let app = start().await;
    app.sign_in("member1").await;
    let user_id = app.db_user(MEMBER).await.id;
    let control = app.emulator.control();
    control.change_persona("member1", |persona| persona.enabled = false);
    round(&app).await.expect("a round");
    run(&app.state, Act::Disable { user_id: user_id.clone() }, By::command_line()).await.expect("taken over");
    control.change_persona("member1", |persona| persona.enabled = true);
    round(&app).await.expect("a round");
    assert!(!is_active(&app, MEMBER).await, "disabled here too");
    run(&app.state, Act::Enable { user_id }, By::command_line()).await.expect("enabled");
    round(&app).await.expect("a round");
    assert!(is_active(&app, MEMBER).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_who_is_removed_for_now_or_for_good_is_disabled_and_not_deleted() {
    let app = start().await;
    let (first, second) = (app.sign_in("member1").await, app.sign_in("member2").await);
    round(&app).await.expect("a round");
    let control = app.emulator.control();
    control.delete_persona("member1");
    control.delete_persona("member2");
    let for_good = app.db_user("member2@contoso.example").await.subject;
    control.edit_json_with(Endpoint::Delta, None, move |page| {
        for user in page["value"].as_array_mut().expect("users") {
            if user["id"] == for_good.as_str() {
                user["@removed"] = json!({ "reason": "deleted" });
            }
        }
    });
    let result = round(&app).await.expect("a round");
    assert_eq!(result, "2 changes received, 0 users updated, 2 disabled, 0 enabled");
    for browser in [first, second] {
        browser.get("/profile").await.assert_status(303);
    }
    let reasons: Vec<String> = app.db_events("user.disabled").await.into_iter().map(|event| event.detail).collect();
    assert!(reasons.iter().any(|detail| detail.contains("deleted in the directory")), "{reasons:?}");
    assert!(reasons.iter().any(|detail| detail.contains("deleted from the directory for good")), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_a_resync_disables_nobody_half_way_and_then_who_is_missing() {
    let app = start().await;
    app.sign_in("member1").await;
    app.sign_in("member2").await;
    let control = app.emulator.control();
    control.generate_personas(1100);
    round(&app).await.expect("a round");
    // It goes while the link is stale: a whole round does not tell of it at all.
    control.delete_persona("member1");
    control.force_delta_resync();
    control.edit_json_with(Endpoint::Delta, None, |page| {
        if page.get("@odata.deltaLink").is_some() {
            *page = json!({ "value": "broken" });
        }
    });
    let calls = control.count(Endpoint::Delta);
    round(&app).await.expect_err("the last page is missing");
    assert_eq!(control.count(Endpoint::Delta), calls + 3, "410, then the pages from the beginning");
    assert!(is_active(&app, MEMBER).await, "half a directory is none");

    control.clear_faults();
    let result = round(&app).await.expect("a round");
    assert!(result.ends_with("0 users updated, 1 disabled, 0 enabled"), "{result}");
    assert!(!is_active(&app, MEMBER).await);
    assert!(is_active(&app, "member2@contoso.example").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_a_lost_sync_state_begins_anew() {
    let app = start().await;
    app.sign_in("member1").await;
    round(&app).await.expect("a round");
    let body = r#"{"error":{"code":"syncStateNotFound","message":"…"}}"#.to_owned();
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    app.emulator.control().fault_next(Endpoint::Delta, 1, Fault::Respond { status: 400, headers, body });
    let result = round(&app).await.expect("a round");
    assert!(!result.starts_with("0 told"), "{result}");
}

/// The button on the health page, without and with its question answered.
async fn let_through(admin: &Browser) -> suite::Page {
    let asked = admin.submit(&admin.get("/admin/health").await.form("/directory-sync")).await;
    asked.assert_status(200).assert_text("10 users");
    admin.submit(&asked.form("/directory-sync")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_a_round_that_would_disable_many_changes_nothing_until_an_administrator_lets_it_through() {
    let app = start().await;
    let admin = app.sign_in("admin").await;
    add_strangers(&app, 10).await;
    app.emulator.control().change_persona("admin", |persona| persona.name = "Another Name".into());
    for _ in 0..2 {
        let result = run_due(&app.state).await.expect("a round");
        assert!(result.is_empty() || result.contains("10 of 11"), "{result}");
        assert!(strangers(&app).await.iter().all(User::is_active));
        assert_ne!(app.db_user("admin@contoso.example").await.display_name, "Another Name", "nothing at all");
        assert_eq!(app.db_events("directory.held").await.len(), 1, "told once");
        app.advance(600);
    }
    let page = admin.get("/admin/health").await;
    page.assert_text("The directory sync is on hold").assert_text("10 of 11 active users");
    app.ask_as_operator("/readyz").await.assert_status(200).assert_text("on hold");

    let done = let_through(&admin).await;
    admin.follow(done).await.assert_text("The next round");
    assert_eq!(app.db_events("directory.allowed").await.remove(0).actor_name, "admin@contoso.example");
    let result = run_due(&app.state).await.expect("a round");
    assert!(result.ends_with("1 users updated, 10 disabled, 0 enabled"), "{result}");
    assert!(strangers(&app).await.iter().all(|user| !user.is_active() && user.disabled_by == "directory"));
    assert!(is_active(&app, "admin@contoso.example").await);
    assert!(!admin.get("/admin/health").await.body.contains("on hold"));
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_what_was_let_through_is_so_many_users_and_no_more() {
    let app = start().await;
    let admin = app.sign_in("admin").await;
    add_strangers(&app, 10).await;
    run_due(&app.state).await.expect("a round");
    let_through(&admin).await.assert_status(303);
    add_strangers(&app, 11).await;
    let result = run_due(&app.state).await.expect("a round");
    assert!(result.contains("11 of 12"), "{result}");
    assert!(strangers(&app).await.iter().all(User::is_active));
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_an_empty_directory_is_not_believed() {
    let app = start().await;
    app.sign_in("member1").await;
    app.emulator.control().edit_json_with(Endpoint::Delta, None, |page| page["value"] = json!([]));
    let result = round(&app).await.expect("a round");
    assert!(result.contains("1 of 1"), "{result}");
    assert!(is_active(&app, MEMBER).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_who_signs_in_during_a_whole_round_is_not_missing() {
    let app = start().await;
    app.sign_in("member1").await;
    app.emulator.control().delete_persona("member1");
    // The clock stands still: the sign-in is not older than the round.
    run_due(&app.state).await.expect("a round");
    assert!(is_active(&app, MEMBER).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_and_f_12_one_instance_at_a_time_runs_a_round() {
    let app = start().await;
    let other = TestApp::builder().setting("DIRECTORY_SYNC_INTERVAL", "1h").beside(&app).start().await;
    app.sign_in("member1").await;
    let (first, second) = tokio::join!(run_due(&app.state), run_due(&other.state));
    let (first, second) = (first.expect("no error"), second.expect("no error"));
    assert!(first.is_empty() != second.is_empty(), "{first:?} {second:?}");
    assert_eq!(app.emulator.control().count(Endpoint::Delta), 1);
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn g_07_and_f_23_a_clock_that_is_ahead_takes_no_round_from_others() {
    use entra::clock::Clock;

    let builder = || TestApp::builder().setting("DIRECTORY_SYNC_INTERVAL", "1h");
    let app = builder().running_clock().start().await;
    app.sign_in("member1").await;
    let ahead = Clock::wrong(app.database().ahead() + chrono::Duration::minutes(10));
    let other = builder().beside(&app).clock(ahead).start().await;
    let delta = || app.emulator.control().count(Endpoint::Delta);
    app.emulator.control().fault_next(Endpoint::Delta, 1, Fault::Hang);
    let state = app.state.clone();
    let holder = tokio::spawn(async move { run_due(&state).await });
    suite::until("Graph is asked", || delta() == 1).await;
    assert_eq!(run_due(&other.state).await.expect("no error"), "", "leased");
    app.emulator.control().release();
    assert!(!holder.await.expect("no panic").expect("a round").is_empty());
    assert_eq!(run_due(&other.state).await.expect("no error"), "", "not due");
    assert_eq!(delta(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_and_g_01_a_refusal_with_retry_after_is_waited_for() {
    let app = start().await;
    app.sign_in("member1").await;
    let control = app.emulator.control();
    let headers = vec![("Retry-After".to_owned(), "7".to_owned())];
    control.fault_next(Endpoint::Delta, 1, Fault::Respond { status: 429, headers, body: String::new() });
    let error = run_due(&app.state).await.expect_err("throttled").to_string();
    assert!(error.contains("7 s"), "{error}");
    app.advance(6);
    run_due(&app.state).await.expect("not due");
    assert_eq!(control.count(Endpoint::Delta), 1, "no call meanwhile");
    app.advance(2);
    assert!(!run_due(&app.state).await.expect("a round").is_empty());
    assert_eq!(control.count(Endpoint::Delta), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_and_g_08_a_token_that_graph_does_not_take_is_replaced_once() {
    let app = start().await;
    app.sign_in("member1").await;
    let control = app.emulator.control();
    let tokens = control.count(Endpoint::Token);
    control.fault_next(Endpoint::Delta, 1, Fault::Respond { status: 401, headers: vec![], body: String::new() });
    run_due(&app.state).await.expect("a round");
    assert_eq!((control.count(Endpoint::Token), control.count(Endpoint::Delta)), (tokens + 2, 2));
    control.fault(Endpoint::Delta, Fault::Respond { status: 401, headers: vec![], body: String::new() });
    round(&app).await.expect_err("refused");
    assert_eq!(control.count(Endpoint::Delta), 4, "no loop");
    assert!(is_active(&app, MEMBER).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_and_g_10_a_next_page_on_another_host_is_not_asked_for() {
    let app = start().await;
    app.sign_in("member1").await;
    let control = app.emulator.control();
    control.edit_json_with(Endpoint::Delta, Some(1), |page: &mut Value| {
        page["@odata.nextLink"] = json!("http://127.0.0.1:9/v1.0/users/delta");
    });
    let error = round(&app).await.expect_err("refused");
    assert!(error.contains("another origin"), "{error}");
    assert_eq!(control.count(Endpoint::Delta), 1);
    assert!(!round(&app).await.expect("a round").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_failures_cost_nothing_and_are_shown() {
    let app = start().await;
    let admin = app.sign_in("admin").await;
    let control = app.emulator.control();
    control.fault(Endpoint::Delta, Fault::Respond { status: 500, headers: vec![], body: String::new() });
    round(&app).await.expect_err("an outage");
    admin.get("/admin/health").await.assert_text("Directory sync").assert_text("does not answer");
    control.clear_faults();
    let is_refused = AtomicBool::new(true);
    control.edit_json_with(Endpoint::Token, None, move |answer| {
        if is_refused.load(Ordering::SeqCst) && answer.get("refresh_token").is_none() {
            *answer = json!({ "error": "unauthorized_client" });
        }
    });
    app.state.oidc.forget_app_tokens(&app.emulator.tenant_id().to_string());
    round(&app).await.expect_err("no token");
    assert!(is_active(&app, "admin@contoso.example").await);
    assert!(app.db_events("user.").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_the_directory_may_disable_the_last_administrator_and_says_so() {
    let app = start().await;
    let admin = app.sign_in("admin").await;
    app.emulator.control().change_persona("admin", |persona| persona.enabled = false);
    round(&app).await.expect("a round");
    admin.get("/admin").await.assert_status(303);
    let event = app.db_events("user.disabled").await.remove(0);
    assert!(event.detail.contains("last_administrator"), "{}", event.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_the_doctor_tries_the_permission() {
    use server::diagnostics::doctor::examine;
    use server::diagnostics::findings::Level;
    let app = start().await;
    let finding = |findings: Vec<server::diagnostics::findings::Finding>| {
        findings.into_iter().find(|finding| finding.check == "directory sync").expect("checked")
    };
    assert_eq!(finding(examine(&app.state).await).level, Level::Ok);
    app.emulator.control().fault(Endpoint::Delta, Fault::Respond { status: 403, headers: vec![], body: String::new() });
    let refused = finding(examine(&app.state).await);
    assert_eq!(refused.level, Level::Failure);
    assert!(refused.advice.contains("User.Read.All"), "{}", refused.advice);
    let off = TestApp::start().await;
    assert!(examine(&off.state).await.iter().all(|finding| finding.check != "directory sync"));
}

#[tokio::test(flavor = "multi_thread")]
async fn g_07_each_tenant_has_its_own_token_and_its_own_round() {
    let options = entra_emulator::Options { multi_tenant: true, ..entra_emulator::Options::default() };
    let allowed = format!("{},99999999-2222-4333-8444-555555555555", options.tenant_id);
    let app = TestApp::builder()
        .emulator_options(options)
        .setting("DIRECTORY_SYNC_INTERVAL", "1h")
        .setting("ENTRA_TENANT_ID", "organizations")
        .setting("ENTRA_ALLOWED_TENANTS", allowed)
        .start()
        .await;
    app.sign_in("member1").await;
    app.emulator.control().change_persona("member1", |persona| persona.enabled = false);
    // The other tenant does not exist: its round fails, this one's does not.
    let error = round(&app).await.expect_err("the other tenant");
    assert!(!error.is_empty());
    assert!(!is_active(&app, MEMBER).await);
}
