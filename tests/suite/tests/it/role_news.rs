//! News between sign-ins: what a refresh of tokens tells of a person counts at once, and the API judges by what its
//! tokens say, or by what is known that is not too old.

use entra_emulator::{Endpoint, Fault, Group, TokenEdit};
use serde_json::{Value, json};
use server::tokens::{refresh_due, resource_token};
use store::RunQueryDsl as _;
use suite::{Browser, OTHER_TENANT, TestApp};

const MEMBER: &str = "member1@contoso.example";
const HOUR: i64 = 3600;

/// After what sign-ins began behind the scenes.
async fn pass(app: &TestApp, seconds: i64) {
    app.settle().await;
    app.advance(seconds);
    app.emulator.control().advance_clock(seconds);
}

async fn may_administrate(browser: &Browser) -> bool {
    browser.get("/admin").await.status == 200
}

/// An application whose tokens live for an hour and sessions for days.
async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let mut builder =
        TestApp::builder().setting("SESSION_ABSOLUTE_TIMEOUT", "9d").setting("SESSION_IDLE_TIMEOUT", "9d");
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    let app = builder.start().await;
    app.emulator.control().set_access_token_lifetime(HOUR..=HOUR);
    app
}

/// One token lifetime later, after the background refresh.
async fn next_refresh(app: &TestApp) {
    pass(app, HOUR).await;
    assert_eq!(refresh_due(&app.state).await.expect("no error"), 1);
    app.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_role_that_is_taken_away_is_felt_at_the_next_refresh() {
    let app = app_with(&[]).await;
    let admin = app.sign_in("admin").await;
    app.emulator.control().change_persona("admin", |persona| {
        persona.roles.clear();
        persona.name = "Ada Renamed".into();
    });
    assert!(may_administrate(&admin).await);
    let signed_in_at = app.db_user("admin@contoso.example").await.last_sign_in_at;
    next_refresh(&app).await;
    assert!(!may_administrate(&admin).await);
    admin.get("/profile").await.assert_status(200).assert_text("Ada Renamed");
    let user = app.db_user("admin@contoso.example").await;
    assert_eq!((user.display_name.as_str(), user.last_sign_in_at), ("Ada Renamed", signed_in_at));
    let event = app.db_events("user.synced").await.remove(0);
    assert!(event.detail.contains("\"source\":\"refresh\"") && event.detail.contains("admin → nothing"), "{event:?}");
    assert_eq!(event.actor_name, "system");
    next_refresh(&app).await;
    assert_eq!(app.db_events("user.synced").await.len(), 1, "no news, no event");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_follow_a_refresh_from_the_claim_and_from_graph() {
    let group = Group::named("Administrators");
    let many: Vec<Group> = (0..210).map(|number| Group::named(&format!("Team {number}"))).collect();
    let app = app_with(&[("ROLE_MAPPING", &format!("{}=admin", group.id))]).await;
    let control = app.emulator.control();
    let member = app.sign_in("member1").await;
    for groups in [vec![group.clone()], many.iter().cloned().chain([group.clone()]).collect()] {
        control.change_persona("member1", |persona| persona.groups = groups);
        next_refresh(&app).await;
        assert!(may_administrate(&member).await, "came in");
        control.change_persona("member1", |persona| persona.groups = vec![Group::named("Team 1")]);
        next_refresh(&app).await;
        assert!(!may_administrate(&member).await, "left");
    }
    control.change_persona("member1", |persona| persona.groups = vec![group]);
    next_refresh(&app).await;
    control.change_persona("member1", |persona| persona.groups.clear());
    next_refresh(&app).await;
    assert!(!may_administrate(&member).await, "left the last one: no claim at all, so Graph is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_a_refresh_cannot_read_are_kept_and_end_with_their_bound() {
    let group = Group::named("Administrators");
    let rule = format!("{}=admin", group.id);
    let app = app_with(&[("ROLE_MAPPING", &rule), ("GROUPS_KEEP_FOR", "150m")]).await;
    let control = app.emulator.control();
    control.change_persona("member1", |persona| {
        persona.groups = (0..210).map(|number| Group::named(&format!("Team {number}"))).chain([group]).collect();
    });
    let member = app.sign_in("member1").await;
    control.fault(Endpoint::Groups, Fault::respond(403, ""));
    for _ in 0..2 {
        next_refresh(&app).await;
        assert!(may_administrate(&member).await, "kept");
    }
    let events = app.db_events("user.synced").await;
    assert_eq!(events.len(), 1, "told once");
    assert!(events[0].detail.contains("kept as they were at "), "{:?}", events[0]);
    next_refresh(&app).await;
    assert!(!may_administrate(&member).await, "past the bound");
    member.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_tells_nothing_changes_nothing() {
    let app = app_with(&[]).await;
    let admin = app.sign_in("admin").await;
    let control = app.emulator.control();
    control.edit_json(Endpoint::Token, Some(1), entra_emulator::JsonEdit::Merge(json!({"id_token": null})));
    control.change_persona("admin", |persona| persona.roles.clear());
    next_refresh(&app).await;
    assert!(may_administrate(&admin).await, "no ID token");
    let bare = |_: &mut Value, claims: &mut Value| {
        let claims = claims.as_object_mut().expect("claims");
        claims
            .retain(|name, _| ["iss", "sub", "aud", "exp", "iat", "nbf", "tid", "oid", "ver"].contains(&name.as_str()));
    };
    control.edit_id_token(Some(1), TokenEdit::with(bare));
    next_refresh(&app).await;
    assert!(may_administrate(&admin).await, "nothing about the person");
    assert_eq!(app.db_user("admin@contoso.example").await.roles, "admin");
    assert!(app.db_events("user.synced").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_keeps_its_tokens_and_its_session_when_its_news_cannot_be_stored() {
    let app = app_with(&[]).await;
    let member = app.sign_in("member1").await;
    let user = app.db_user(MEMBER).await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    diesel::sql_query("DROP TABLE user_app_roles").execute(&mut conn).await.expect("dropped");
    drop(conn);
    let before = app.db_grants(&user).await.remove(0);
    next_refresh(&app).await;
    let after = app.db_grants(&user).await.remove(0);
    assert_eq!((after.state.as_str(), after.has_refresh_token), ("live", true));
    assert!(after.expires_at > before.expires_at && after.leased_until.is_none());
    member.get("/").await.assert_status(200);
    next_refresh(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_became_a_guest_is_out_with_the_refresh_where_guests_are_blocked() {
    for (blocked, status) in [("false", 200), ("true", 303)] {
        let app = app_with(&[("BLOCK_GUEST_USERS", blocked)]).await;
        let member = app.sign_in("member1").await;
        app.emulator.control().change_persona("member1", |persona| persona.guest = true);
        next_refresh(&app).await;
        member.get("/profile").await.assert_status(status);
        let user = app.db_user(MEMBER).await;
        assert_eq!(user.user_type, "guest");
        assert_eq!(app.db_grants(&user).await.is_empty(), blocked == "true");
        assert_eq!(app.db_events("user.signed_out").await.len(), usize::from(blocked == "true"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refresh_for_another_api_brings_the_same_news() {
    let app = app_with(&[]).await;
    let admin = app.sign_in("admin").await;
    app.emulator.control().change_persona("admin", |persona| persona.roles.clear());
    let scope = format!("api://{}/access_as_user", app.emulator.client_id());
    let user = app.db_user("admin@contoso.example").await;
    resource_token(&app.state, &user, "own", &["openid", &scope]).await.expect("a token");
    app.settle().await;
    assert!(!may_administrate(&admin).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn older_news_never_undo_a_newer_sign_in() {
    let group = Group::named("Administrators");
    let app = app_with(&[("ROLE_MAPPING", &format!("{}=admin", group.id))]).await;
    let control = app.emulator.control();
    app.sign_in("member1").await;
    app.settle().await;
    // Graph hangs while the refresh asks it, and somebody signs in with more groups meanwhile.
    control.change_persona("member1", |persona| persona.groups.clear());
    control.fault_next(Endpoint::Groups, 1, Fault::Hang);
    pass(&app, HOUR).await;
    assert_eq!(refresh_due(&app.state).await.expect("no error"), 1);
    control.change_persona("member1", |persona| persona.groups = vec![group]);
    let member = app.sign_in("member1").await;
    control.release();
    app.settle().await;
    assert!(may_administrate(&member).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_judges_by_the_roles_and_groups_of_the_token() {
    let group = Group::named("Administrators");
    let rules = format!("Admin=admin,{}=admin", group.id);
    let app = app_with(&[("ROLE_MAPPING", &rules)]).await;
    app.sign_in("member1").await;
    app.sign_in("admin").await;
    let control = app.emulator.control();
    let program = app.browser();
    let call = async |persona: &str, claims: Value| {
        control.edit_access_token(Some(1), TokenEdit::claims(claims));
        let token = app.member_token(persona).await;
        let me = program.call("/api/v1/me", &token).await.assert_status(200).json()["roles"].clone();
        (program.call("/api/v1/users", &token).await.status, me)
    };
    // Known from the sign-in, and not in the token.
    assert_eq!(call("admin", json!({"roles": null})).await, (200, json!(["admin"])));
    assert_eq!(call("member1", json!({})).await.0, 403);
    // The token knows better, either way.
    assert_eq!(call("admin", json!({"roles": []})).await, (403, json!([])));
    assert_eq!(call("admin", json!({"roles": ["Reader"]})).await.0, 403);
    assert_eq!(call("member1", json!({"roles": ["Admin"]})).await, (200, json!(["admin"])));
    assert_eq!(call("member1", json!({"groups": [group.id.to_string()]})).await.0, 200);
    assert_eq!(call("member1", json!({"groups": ["admin"], "roles": ["x"]})).await.0, 403);
    // What was granted here stays granted here.
    let user_id = app.db_user(MEMBER).await.id;
    let act = server::people::acts::Act::GrantRole { user_id, role: "admin".into() };
    server::people::acts::run(&app.state, act, server::people::actor::By::command_line()).await.expect("granted");
    assert_eq!(call("member1", json!({"roles": [], "groups": []})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_forgets_roles_that_no_sync_has_told_for_longer_than_a_session_lasts() {
    let app = TestApp::builder().setting("SESSION_ABSOLUTE_TIMEOUT", "8h").start().await;
    app.sign_in("admin").await;
    let control = app.emulator.control();
    let program = app.browser();
    let call = async || {
        control.edit_access_token(Some(1), TokenEdit::claims(json!({"roles": null})));
        program.call("/api/v1/users", &app.member_token("admin").await).await.status
    };
    pass(&app, 8 * HOUR - 60).await;
    assert_eq!(call().await, 200);
    pass(&app, 120).await;
    assert_eq!(call().await, 403, "the sign-in is too long ago");
    app.sign_in("admin").await;
    assert_eq!(call().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_reads_people_of_its_own_tenant_alone_unless_it_is_listed() {
    let (home, other) = (entra_emulator::DEV_TENANT_ID, OTHER_TENANT);
    let app = TestApp::builder().two_tenants().start().await;
    app.add_stranger("stranger", |stranger| {
        stranger.upn = "stranger@fabrikam.example".into();
        stranger.email = None;
    });
    let member = app.emulator.control().persona("member1").expect("a persona");
    for persona in ["admin", "member1", "stranger"] {
        app.sign_in(persona).await;
    }
    let listed = format!("{other}/{}", app.emulator.client_id());
    let trusting = TestApp::builder().beside(&app).two_tenants().setting("API_CROSS_TENANT_APPS", listed).start().await;
    let (of_home, of_other) =
        (app.program_token_of(&home.to_string()).await, app.program_token_of(&other.to_string()).await);
    let upns = async |app: &TestApp, token: &str, query: &str| {
        let page = app.browser().call(&app.address(&format!("/api/v1/users{query}")), token).await;
        let items = page.assert_status(200).json()["items"].as_array().expect("items").clone();
        items.iter().map(|item| item["upn"].as_str().expect("a UPN").to_owned()).collect::<Vec<_>>()
    };
    let (ours, theirs) = (["admin@contoso.example", MEMBER], ["stranger@fabrikam.example"]);
    for query in ["", "?sort=name&dir=desc", "?sort=created", "?end=1", "?status=active&type=member"] {
        let mut found = upns(&app, &of_home, query).await;
        found.sort();
        assert_eq!(found, ours, "{query}");
        assert_eq!(upns(&app, &of_other, query).await, theirs, "{query}");
        assert_eq!(upns(&trusting, &of_other, query).await.len(), 3, "{query}");
        assert_eq!(upns(&trusting, &of_home, query).await.len(), 2, "{query}: another program is not listed");
    }
    for query in [format!("?q={}", member.oid), "?q=contoso".into(), "?q=ad".into(), "?role=admin".into()] {
        assert!(upns(&app, &of_other, &query).await.is_empty(), "{query}");
        assert!(!upns(&app, &of_home, &query).await.is_empty(), "{query}");
    }
}
