//! Step-up: fresh and stronger sign-ins for administrators' acts, and the one interactive try.

use entra_emulator::{AuthorizationEdit, Endpoint, TokenEdit};
use serde_json::json;
use server::session::store::hash;
use store::models::SessionRecord;
use suite::{Browser, Page, TestApp};

/// An application whose role changes need a sign-in of the last ten minutes, with a member and an administrator
/// whose sign-in is older.
async fn with_old_sign_in(settings: &[(&str, &str)]) -> (TestApp, Browser, String) {
    let mut builder = TestApp::builder().setting("ADMIN_SIGN_IN_MAX_AGE", "10m");
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    let app = builder.start().await;
    app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let path = format!("/admin/users/{}", app.db_user("member1@contoso.example").await.id);
    // The emulator's clock runs while the application's stands still: the sign-in may be some seconds younger.
    app.advance(660);
    app.emulator.control().advance_clock(660);
    (app, admin, path)
}

async fn post(browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let csrf = browser.get("/profile").await.form("/auth/sign-out").fields.remove(0).1;
    let fields: Vec<_> = [("csrf", csrf.as_str())].into_iter().chain(fields.iter().copied()).collect();
    browser.post(path, &fields).await
}

async fn grant_admin(browser: &Browser, path: &str) -> Page {
    post(browser, &format!("{path}/roles"), &[("role", "admin"), ("action", "grant"), ("confirm", "yes")]).await
}

async fn has_role(app: &TestApp, upn: &str) -> bool {
    app.db_user(upn).await.has_role("admin")
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_5_3_a_role_change_with_an_old_sign_in_asks_for_a_fresh_one_and_loses_nothing() {
    let (app, admin, path) = with_old_sign_in(&[]).await;
    let old_session = admin.cookie("id");
    let asked = grant_admin(&admin, &path).await;
    asked.assert_status(303);
    assert!(asked.location_path().starts_with("/auth/sign-in?next="), "{}", asked.location_path());
    assert!(!has_role(&app, "member1@contoso.example").await, "nothing is done yet");

    let page = admin.get(&asked.location_path()).await;
    page.assert_status(200).assert_text("Confirm that it is you");
    let at_provider = admin.begin(&asked.location_path()).await;
    let query: std::collections::BTreeMap<_, _> = at_provider.url.query_pairs().into_owned().collect();
    assert_eq!((query["prompt"].as_str(), query["max_age"].as_str()), ("login", "600"));
    assert!(query["login_hint"].starts_with("O."), "the person is suggested by the opaque hint");

    let back = admin.pick(&at_provider, "admin").await;
    back.assert_status(303);
    assert_eq!(back.location_path(), format!("{path}/roles?role=admin&action=grant"));
    let question = admin.follow(back).await;
    question.assert_status(200).assert_text("Grant this role?").assert_text("member1@contoso.example");
    assert!(!has_role(&app, "member1@contoso.example").await, "a GET asks only");
    assert_ne!(admin.cookie("id"), old_session, "7.2.4: a new session");
    let done = admin.submit(&question.form("/roles")).await;
    admin.follow(done).await.assert_text("Role granted");
    assert!(has_role(&app, "member1@contoso.example").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_5_3_disabling_and_revoking_need_it_too_and_other_acts_do_not() {
    let (app, admin, path) = with_old_sign_in(&[]).await;
    let revoke = [("role", "admin"), ("action", "revoke"), ("confirm", "yes")];
    for (act, fields) in [
        ("disable", &[("confirm", "yes")][..]),
        ("disable", &[]),
        ("delete", &[("confirm", "yes")]),
        ("roles", &revoke),
    ] {
        let answer = post(&admin, &format!("{path}/{act}"), fields).await;
        assert!(answer.location_path().contains("max_age=600"), "{act}: {}", answer.location_path());
    }
    assert!(app.db_user("member1@contoso.example").await.is_active());
    let signed_out = post(&admin, &format!("{path}/sign-out"), &[("confirm", "yes")]).await;
    assert_eq!(signed_out.location_path(), path);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_5_3_a_get_that_says_confirmed_still_only_asks() {
    let (app, _, path) = with_old_sign_in(&[("ADMIN_SIGN_IN_MAX_AGE", "off")]).await;
    let admin = app.sign_in("admin").await;
    for act in ["disable?confirm=yes", "roles?role=admin&action=grant&confirm=yes"] {
        admin.get(&format!("{path}/{act}")).await.assert_status(200).assert_text("Cancel");
    }
    let user = app.db_user("member1@contoso.example").await;
    assert!(user.is_active() && !user.has_role("admin"));
    let member = app.sign_in("member1").await;
    member.get(&format!("{path}/disable")).await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_5_3_off_asks_for_nothing() {
    let (app, admin, path) = with_old_sign_in(&[("ADMIN_SIGN_IN_MAX_AGE", "off")]).await;
    assert_eq!(grant_admin(&admin, &path).await.location_path(), path);
    assert!(has_role(&app, "member1@contoso.example").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_15_13_an_old_auth_time_after_a_step_up_elevates_nobody_and_does_not_loop() {
    let (app, admin, path) = with_old_sign_in(&[]).await;
    for auth_time in [json!(null), json!(app.emulator.control().now() - 660)] {
        let asked = grant_admin(&admin, &path).await.location_path();
        app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(json!({ "auth_time": auth_time })));
        let authorizations = app.emulator.control().count(Endpoint::Authorize);
        let refused = admin.sign_in_at(&asked, "admin").await;
        refused.assert_status(400).assert_text("Please sign in anew").assert_text("Request id");
        let more = app.emulator.control().count(Endpoint::Authorize) - authorizations;
        assert!(more <= 2, "the page and the choice, {more}");
        assert!(grant_admin(&admin, &path).await.location_path().contains("max_age"), "no elevation");
        // The page's own button asks for the same again, and then it works.
        assert!(refused.form("/auth/sign-in").fields.contains(&("max_age".to_owned(), "600".to_owned())));
    }
    let asked = grant_admin(&admin, &path).await.location_path();
    admin.sign_in_at(&asked, "admin").await.assert_status(303);
    assert_eq!(grant_admin(&admin, &path).await.location_path(), path);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_15_12_an_authentication_context_is_asked_for_and_must_be_in_the_token() {
    let settings = [("ADMIN_SIGN_IN_MAX_AGE", "off"), ("ADMIN_AUTH_CONTEXT", "c1")];
    let (app, admin, path) = with_old_sign_in(&settings).await;
    let asked = grant_admin(&admin, &path).await.location_path();
    admin.get(&asked).await.assert_text("One more step");

    app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(json!({ "acrs": ["c2"] })));
    admin.sign_in_at(&asked, "admin").await.assert_status(400).assert_text("Please sign in anew");
    assert_eq!(grant_admin(&admin, &path).await.location_path(), asked, "no elevation");

    let at_provider = admin.begin(&asked).await;
    let sent = app.emulator.control().requests_of(Endpoint::Authorize).pop().expect("a request");
    let claims = sent.parameter("claims").expect("claims").to_owned();
    assert!(claims.contains(r#""acrs":{"essential":true,"value":"c1"}"#), "{claims}");
    admin.pick(&at_provider, "admin").await.assert_status(303);
    assert_eq!(grant_admin(&admin, &path).await.location_path(), path);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_gets_the_challenge_of_rfc_9470() {
    let (_app, admin, path) = with_old_sign_in(&[("ADMIN_AUTH_CONTEXT", "c1")]).await;
    let answer = admin.get_with(&format!("{path}/disable"), &[("accept", "application/json")]).await;
    answer.assert_status(401);
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge, r#"Bearer error="insufficient_user_authentication", acr_values="c1", max_age="600""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_36_a_silent_try_that_fails_becomes_one_interactive_one() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let answer = browser.begin("/auth/sign-in?prompt=none&next=/profile").await;
    let retried = browser.deliver(answer).await;
    retried.assert_status(303);
    let to = retried.location().expect("the provider");
    assert!(!to.query_pairs().any(|(name, _)| name == "prompt"), "{to}");
    let at_provider = browser.follow(retried).await;
    let done = browser.pick(&at_provider, "member1").await;
    assert_eq!(done.location_path(), "/profile");
    let silent = browser.begin("/auth/sign-in?prompt=none&next=/profile").await;
    assert_eq!(browser.deliver(silent).await.location_path(), "/profile", "signed in there: nobody is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_36_a_provider_that_always_asks_for_the_person_is_asked_twice_at_most() {
    for error in ["interaction_required", "login_required", "consent_required", "account_selection_required"] {
        let app = TestApp::start().await;
        app.emulator.control().auto_sign_in(&["member1"]);
        app.emulator.control().edit_authorization(
            None,
            AuthorizationEdit {
                remove: ["code", "error", "error_description"].map(str::to_owned).to_vec(),
                append: vec![("error".to_owned(), error.to_owned())],
                ..AuthorizationEdit::default()
            },
        );
        let browser = app.browser();
        let silent = browser.begin("/auth/sign-in?prompt=none").await;
        browser.follow(silent).await.assert_status(400).assert_text(error);
        assert_eq!(app.emulator.control().count(Endpoint::Authorize), 2, "{error}");
        browser.get("/profile").await.assert_status(303);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e_36_and_e_39_the_second_factor_that_the_provider_asks_for_is_passed_on_once() {
    let app = TestApp::start().await;
    app.emulator.control().auto_sign_in(&["mfa"]);
    let browser = app.browser();
    let first = browser.begin("/auth/sign-in?next=/profile").await;
    let done = browser.follow(first).await;
    done.assert_status(200).assert_text("mfa@contoso.example");
    assert_eq!(app.emulator.control().count(Endpoint::Authorize), 2);
    let sent = app.emulator.control().requests_of(Endpoint::Authorize).pop().expect("a request");
    let claims = sent.parameter("claims").expect("claims").to_owned();
    assert!(claims.contains("capolids"), "{claims}");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_5_3_disabling_many_needs_it_too() {
    let (app, admin, path) = with_old_sign_in(&[]).await;
    let id = path.rsplit('/').next().expect("an id");
    let fields = [("action", "disable"), ("id", id), ("back", "q=member"), ("confirm", "yes")];
    let asked = post(&admin, "/admin/users/bulk", &fields).await.location_path();
    assert!(asked.contains("max_age=600"), "{asked}");
    let back = admin.sign_in_at(&asked, "admin").await;
    let question = admin.follow(back).await;
    question.assert_text("Disable these users?").assert_text("member1@contoso.example");
    assert!(app.db_user("member1@contoso.example").await.is_active());
    admin.submit(&question.form("/bulk")).await.assert_status(303);
    assert!(!app.db_user("member1@contoso.example").await.is_active());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_act_on_more_people_than_an_address_holds_is_begun_anew_and_says_so() {
    let (app, admin, _) = with_old_sign_in(&[]).await;
    let ids: Vec<String> = (0..60).map(|_| store::models::new_id()).collect();
    let mut fields = vec![("action", "disable"), ("back", "")];
    fields.extend(ids.iter().map(|id| ("id", id.as_str())));
    let asked = post(&admin, "/admin/users/bulk", &fields).await;
    let back = admin.sign_in_at(&asked.assert_status(303).location_path(), "admin").await;
    assert_eq!(back.location_path(), "/admin/users/bulk");
    let page = admin.follow(back).await;
    page.assert_status(200).assert_text("Nothing was done: please select them again");
    assert_eq!(page.url.path(), "/admin/users");
    assert!(app.db_user("member1@contoso.example").await.is_active());
}

/// A sign-in at `path` whose ID token says `auth_time` (`null`: nothing), and where a role change leads afterwards.
async fn after_a_sign_in_that_says(app: &TestApp, path: &str, auth_time: serde_json::Value, at: &str) -> String {
    let edit = TokenEdit::claims(json!({ "auth_time": auth_time }));
    app.emulator.control().edit_id_token(Some(1), edit);
    let admin = app.browser();
    admin.sign_in_at(at, "admin").await.assert_status(303);
    grant_admin(&admin, path).await.location_path()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_of_unknown_age_is_fresh_only_if_it_asked_the_person_to_sign_in_anew() {
    let (app, _, path) = with_old_sign_in(&[]).await;
    let now = app.emulator.control().now();
    for (says, at, is_fresh) in [
        (json!(null), "/auth/sign-in", false),
        (json!(null), "/auth/sign-in?prompt=select_account", false),
        (json!(null), "/auth/sign-in?prompt=login", true),
        (json!(now), "/auth/sign-in", true),
        (json!(now + 60), "/auth/sign-in", true),
        (json!(now + 3_600), "/auth/sign-in", false),
        (json!(0), "/auth/sign-in", false),
        (json!(now - 660), "/auth/sign-in", false),
    ] {
        let led_to = after_a_sign_in_that_says(&app, &path, says.clone(), at).await;
        let expected = if is_fresh { path.clone() } else { "/auth/sign-in".to_owned() };
        assert_eq!(led_to.split('?').next(), Some(expected.as_str()), "{at} with auth_time {says}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_was_asked_to_be_fresh_and_names_no_time_or_one_to_come_is_refused() {
    let (app, _, _) = with_old_sign_in(&[]).await;
    let to_come = json!(app.emulator.control().now() + 3_600);
    for (says, at) in [
        (json!(null), "/auth/sign-in?max_age=0"),
        (json!(null), "/auth/sign-in?max_age=600"),
        (to_come.clone(), "/auth/sign-in?max_age=600"),
        (to_come, "/auth/sign-in?prompt=login"),
    ] {
        app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(json!({ "auth_time": says })));
        let browser = app.browser();
        browser.sign_in_at(at, "admin").await.assert_status(400).assert_text("Please sign in anew");
        assert!(browser.cookie("id").is_none(), "{at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_of_unknown_age_does_not_become_fresh_by_a_refresh() {
    let app = TestApp::builder().setting("ADMIN_SIGN_IN_MAX_AGE", "10m").start().await;
    app.emulator.control().set_access_token_lifetime(600..=600);
    app.sign_in("member1").await;
    let path = format!("/admin/users/{}", app.db_user("member1@contoso.example").await.id);
    app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(json!({ "auth_time": null })));
    let admin = app.sign_in("admin").await;
    app.settle().await;
    app.advance(590);
    app.emulator.control().advance_clock(590);
    let now = app.emulator.control().now();
    app.emulator.control().edit_id_token(None, TokenEdit::claims(json!({ "auth_time": now })));
    assert!(server::tokens::refresh_due(&app.state).await.expect("no error") > 0);
    let led_to = grant_admin(&admin, &path).await.location_path();
    assert!(led_to.starts_with("/auth/sign-in?next="), "{led_to}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_before_the_age_was_noted_goes_on_and_is_not_fresh() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let path = format!("/admin/users/{}", app.db_user("member1@contoso.example").await.id);
    let admin = app.sign_in("admin").await;
    let user = app.db_user("admin@contoso.example").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let session =
        SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await.expect("sessions").remove(0);
    let older = session.data.replace(r#","auth_time_is_known":true"#, "");
    assert_ne!(older, session.data);
    let stored = hash(admin.cookie("id").expect("a session").parse().expect("an id"));
    SessionRecord::save_data(&mut conn, &stored, &older).await.expect("saved");
    drop(conn);
    admin.get("/admin/users").await.assert_status(200);
    let led_to = grant_admin(&admin, &path).await.location_path();
    assert!(led_to.starts_with("/auth/sign-in?next="), "{led_to}");
}
