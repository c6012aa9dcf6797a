//! Roles follow what the provider says now: app roles at every sign-in, groups as far as they can be read; and they go
//! with the rule that gave them.

use entra_emulator::{Endpoint, Fault, Group, TokenEdit};
use futures_util::future::join_all;
use serde_json::{Value, json};
use server::people::role_mappings::reconcile_at_start;
use server::people::sync::lapse_groups;
use suite::{Browser, Page, TestApp};

const MEMBER: &str = "member1@contoso.example";

/// `member1`'s first group.
fn group_id(app: &TestApp) -> String {
    app.emulator.control().persona("member1").expect("a persona").groups[0].id.to_string()
}

/// An application in which a group of member1's gives the role `admin`.
async fn with_group_rule(settings: &[(&str, &str)]) -> TestApp {
    let group = Group::named("Administrators");
    let mut builder = TestApp::builder().setting("ROLE_MAPPING", format!("Admin=admin,{}=admin", group.id));
    for (name, value) in settings {
        builder = builder.setting(name, *value);
    }
    let app = builder.start().await;
    app.emulator.control().change_persona("member1", |persona| persona.groups = vec![group]);
    app
}

/// The next ID token has these claims instead.
fn next_token(app: &TestApp, claims: Value) {
    app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(claims));
}

/// After what sign-ins began behind the scenes.
async fn pass(app: &TestApp, seconds: i64) {
    app.settle().await;
    app.advance(seconds);
    app.emulator.control().advance_clock(seconds);
}

async fn may_administrate(browser: &Browser) -> bool {
    browser.get("/admin").await.status == 200
}

async fn roles(app: &TestApp, upn: &str) -> String {
    app.db_user(upn).await.roles
}

#[tokio::test(flavor = "multi_thread")]
async fn app_roles_are_recomputed_at_every_sign_in_whatever_is_known_of_groups() {
    let app = with_group_rule(&[]).await;
    let control = app.emulator.control();
    control.fault(Endpoint::Groups, Fault::respond(403, ""));
    let no_groups = || next_token(&app, json!({"groups": null}));
    no_groups();
    assert!(may_administrate(&app.sign_in("admin").await).await, "somebody new, by their app role");
    control.change_persona("admin", |persona| persona.roles.clear());
    no_groups();
    assert!(!may_administrate(&app.sign_in("admin").await).await, "withdrawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_groups_claim_is_an_answer_that_graph_gives() {
    for claim in [json!(null), json!(7), json!({"x": "y"})] {
        let app = with_group_rule(&[]).await;
        next_token(&app, json!({"groups": claim}));
        assert!(may_administrate(&app.sign_in("member1").await).await, "{claim}: Graph lists the group");
        app.emulator.control().change_persona("member1", |persona| persona.groups.clear());
        assert!(!may_administrate(&app.sign_in("member1").await).await, "{claim}: out of their last group");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_graph_an_absent_groups_claim_is_nobody_s_group_if_the_registration_emits_it() {
    for (is_emitted, is_kept) in [("true", false), ("false", true)] {
        let group = Group::named("Administrators");
        let app = TestApp::builder()
            .generic()
            .setting("ROLE_MAPPING", format!("{}=admin", group.id))
            .setting("GROUPS_CLAIM_EMITTED", is_emitted)
            .start()
            .await;
        app.emulator.control().change_persona("member1", |persona| persona.groups = vec![group]);
        assert!(may_administrate(&app.sign_in("member1").await).await);
        app.emulator.control().change_persona("member1", |persona| persona.groups.clear());
        assert_eq!(may_administrate(&app.sign_in("member1").await).await, is_kept, "emitted: {is_emitted}");
        pass(&app, 25 * 3600).await;
        assert!(!may_administrate(&app.sign_in("member1").await).await, "kept for a day at most");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_are_not_read_at_all_give_no_role() {
    let app = with_group_rule(&[]).await;
    assert!(may_administrate(&app.sign_in("member1").await).await);
    let other = TestApp::builder()
        .beside(&app)
        .setting("ROLE_MAPPING", app.settings()["ROLE_MAPPING"].clone())
        .setting("GROUPS_CLAIM", "off")
        .start()
        .await;
    assert_eq!(roles(&app, MEMBER).await, "", "at the start already");
    assert!(!may_administrate(&other.sign_in("member1").await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_graph_fails_to_list_stay_for_a_while_which_is_seen_and_then_end() {
    for mirrored in ["true", "false"] {
        let app = with_group_rule(&[("GROUPS_KEEP_FOR", "1h"), ("MIRROR_GROUPS", mirrored)]).await;
        let control = app.emulator.control();
        app.sign_in("member1").await;
        control.fault(Endpoint::Groups, Fault::respond(403, ""));
        pass(&app, 1800).await;
        next_token(&app, json!({"groups": null}));
        let member = app.sign_in("member1").await;
        assert!(may_administrate(&member).await, "kept");
        let event = app.db_events("sign_in.succeeded").await.remove(0);
        assert!(
            event.detail.contains("kept as they were at ") && event.detail.contains("graph.forbidden"),
            "{event:?}"
        );
        member.get("/profile").await.assert_text("Groups could not be read");
        let user = app.db_user(MEMBER).await;
        member.get(&format!("/admin/users/{}", user.id)).await.assert_text("Groups could not be read");

        pass(&app, 1740).await;
        assert_eq!(lapse_groups(&app.state).await.expect("no error"), 0);
        assert!(may_administrate(&member).await, "a minute is left");
        pass(&app, 61).await;
        assert_eq!(lapse_groups(&app.state).await.expect("no error"), 1);
        assert!(!may_administrate(&member).await, "in the session that was kept, too");
        assert_eq!(lapse_groups(&app.state).await.expect("no error"), 0, "once");
        let event = app.db_events("user.synced").await.remove(0);
        assert!(event.detail.contains("admin → nothing") && event.detail.contains("GROUPS_KEEP_FOR"), "{event:?}");
        member.get("/profile").await.assert_text("so none count");

        next_token(&app, json!({"groups": null}));
        assert!(!may_administrate(&app.sign_in("member1").await).await, "there is nothing left to keep");
        control.clear_faults();
        assert!(may_administrate(&app.sign_in("member1").await).await, "and everything comes back with an answer");
        app.sign_in("member1").await.get("/profile").await.assert_status(200);
        assert!(!app.db_user(MEMBER).await.groups_kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_past_the_bound_takes_the_role_by_itself() {
    let app = with_group_rule(&[("GROUPS_KEEP_FOR", "1h")]).await;
    app.sign_in("member1").await;
    app.emulator.control().fault(Endpoint::Groups, Fault::respond(403, ""));
    pass(&app, 3601).await;
    next_token(&app, json!({"groups": null}));
    assert!(!may_administrate(&app.sign_in("member1").await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_called_like_an_app_role_gives_nothing() {
    let named = json!({"groups": ["admin", "Admin", "approle:Admin", "group:Admin"]});
    for generic in [false, true] {
        let builder = TestApp::builder().setting("ROLE_MAPPING", "Admin=admin,group:Staff=staff");
        let app = if generic { builder.generic() } else { builder }.start().await;
        next_token(&app, named.clone());
        assert!(!may_administrate(&app.sign_in("member1").await).await);
        next_token(&app, json!({"groups": ["staff"], "roles": ["Staff"]}));
        app.sign_in("member1").await;
        assert_eq!(roles(&app, MEMBER).await, "staff", "the explicit form does");
        next_token(&app, json!({"groups": [], "roles": ["Staff"]}));
        app.sign_in("member1").await;
        assert_eq!(roles(&app, MEMBER).await, "", "and is about groups alone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_name_becomes_that_of_a_role_by_being_tidied_up() {
    let app = with_group_rule(&[("API_RATE_LIMIT", "off")]).await;
    let id = group_id(&app);
    let program = app.browser();
    for hidden in ["\u{202e}", "\u{200e}", "\0", "\n", "\u{2028}", "\u{2066}", "\t"] {
        let odd = |name: &str| [&name[..2], hidden, &name[2..]].concat();
        for claims in [
            json!({"roles": [odd("Admin")], "groups": [odd(&id)]}),
            json!({"roles": [format!("{hidden}Admin")], "groups": [format!("{id}{hidden}")]}),
            json!({"roles": odd("Admin"), "groups": odd(&id)}),
        ] {
            next_token(&app, claims.clone());
            assert!(!may_administrate(&app.sign_in("member2").await).await, "{claims}");
            app.emulator.control().edit_access_token(Some(1), TokenEdit::claims(claims.clone()));
            let token = app.member_token("member2").await;
            assert_eq!(program.call("/api/v1/users", &token).await.status, 403, "{claims}");
        }
    }
    next_token(&app, json!({"roles": ["Admin"]}));
    assert!(may_administrate(&app.sign_in("member2").await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_group_is_one_however_its_id_is_spelled() {
    let app = with_group_rule(&[]).await;
    let id = group_id(&app);
    next_token(&app, json!({"groups": [id, id.to_uppercase()]}));
    app.sign_in("member1").await;
    assert_eq!(roles(&app, MEMBER).await, "admin");
    let user = app.db_user(MEMBER).await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    assert_eq!(store::models::Group::list_by_user(&mut conn, &user.id).await.expect("groups").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_one_tenant_gives_nothing_to_people_of_another() {
    let home = entra_emulator::DEV_TENANT_ID;
    let group = Group::named("Administrators");
    let app = TestApp::builder()
        .two_tenants()
        .setting("ROLE_MAPPING", format!("{home}/Admin=admin,{home}/{}=admin,Admin=reader", group.id))
        .start()
        .await;
    app.add_stranger("stranger", |stranger| {
        stranger.upn = "stranger@fabrikam.example".into();
        stranger.roles = vec!["Admin".into()];
        stranger.groups = vec![group];
    });
    assert!(!may_administrate(&app.sign_in("stranger").await).await);
    assert_eq!(roles(&app, "stranger@fabrikam.example").await, "reader");
    assert!(may_administrate(&app.sign_in("admin").await).await);
    // Nor by a mapping that is added later.
    let admin = app.sign_in("admin").await;
    let asked = ask(&admin, &format!("{home}/approle:Admin"), "auditor", "add").await;
    asked.assert_text("This 1 person would gain auditor").assert_text("admin@contoso.example");
    confirm(&admin, &asked).await;
    assert_eq!(roles(&app, "stranger@fabrikam.example").await, "reader");
    admin.get("/admin/groups").await.assert_text(&format!("{home}/admin"));
}

/// Posts the form of a mapping: what the dry run says.
async fn ask(admin: &Browser, value: &str, role: &str, action: &str) -> Page {
    let form = admin.get("/admin/groups").await.form("/admin/groups/mappings");
    admin.submit(&form.with("value", value).with("role", role).with("action", action)).await
}

async fn confirm(admin: &Browser, asked: &Page) {
    asked.assert_status(200);
    admin.submit(&asked.form("/admin/groups/mappings")).await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_takes_the_rules_of_the_setting_and_refuses_what_is_none() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    next_token(&app, json!({"groups": ["Finance"], "roles": ["group:Finance"]}));
    app.sign_in("member1").await;
    let asked = ask(&admin, "Group: FINANCE", "finance", "add").await;
    asked.assert_text("group:FINANCE").assert_text("This 1 person would gain finance");
    confirm(&admin, &asked).await;
    let asked = ask(&admin, "group:finance", "finance", "add").await;
    admin.follow(asked).await.assert_text("No change was needed");
    let asked = ask(&admin, "approle:group:finance", "odd", "add").await;
    confirm(&admin, &asked).await;
    assert_eq!(roles(&app, MEMBER).await, "finance odd");
    for value in ["group:", "approle: ", "0a0b0c0d000040008000000000000001"] {
        let refused = ask(&admin, value, "finance", "add").await;
        admin.follow(refused).await.assert_text("A mapping needs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_mapping_takes_the_role_also_where_memberships_are_not_kept() {
    for mirrored in ["true", "false"] {
        let app = TestApp::builder().setting("MIRROR_GROUPS", mirrored).start().await;
        let group = group_id(&app);
        let admin = app.sign_in("admin").await;
        let asked = ask(&admin, &group, "admin", "add").await;
        confirm(&admin, &asked).await;
        let member = app.sign_in("member1").await;
        assert!(may_administrate(&member).await);
        let user = app.db_user(MEMBER).await;
        member.get("/profile").await.assert_text("Because of group");

        let asked = ask(&admin, &group, "admin", "remove").await;
        asked.assert_text("would lose admin").assert_text(MEMBER);
        assert!(may_administrate(&member).await, "a dry run does nothing");
        confirm(&admin, &asked).await;
        assert!(!may_administrate(&member).await, "at the next request");
        let event = app.db_events("roles.changed").await.remove(0);
        assert_eq!(event.subject_id.as_deref(), Some(user.id.as_str()));
        assert_eq!(event.actor_name, "admin@contoso.example");
        assert!(event.detail.contains("admin → nothing") && event.detail.contains("mapping.removed"), "{event:?}");
        let event = app.db_events("mapping.removed").await.remove(0);
        let lost: Value = serde_json::from_str(&event.detail).expect("JSON");
        let words = if lost["lost"] == "1" {
            "This 1 person would lose".into()
        } else {
            format!("These {} people would lose", lost["lost"].as_str().expect("a count"))
        };
        asked.assert_text(&words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_other_rules_takes_the_roles_of_those_that_are_gone_and_gives_those_of_new_ones() {
    for mirrored in ["true", "false"] {
        let app = TestApp::builder()
            .setting("ROLE_MAPPING", "Admin=admin,Admin=owner,Auditors=auditor")
            .setting("MIRROR_GROUPS", mirrored)
            .start()
            .await;
        let admin = app.sign_in("admin").await;
        assert_eq!(roles(&app, "admin@contoso.example").await, "admin owner");
        let settings = [("ROLE_MAPPING", "Admin=owner,Admin=reader"), ("MIRROR_GROUPS", mirrored)];
        // Several at once, on one database.
        let starts = (0..4).map(|_| {
            let state = app.state_with(&settings);
            tokio::spawn(async move { reconcile_at_start(&state).await })
        });
        for start in join_all(starts).await {
            start.expect("no panic").expect("no error");
        }
        assert_eq!(roles(&app, "admin@contoso.example").await, "owner reader");
        assert!(!may_administrate(&admin).await, "the live session feels it");
        let events = app.db_events("roles.changed").await;
        assert_eq!(events.len(), 1, "one of them did it");
        assert!(events[0].detail.contains("admin owner → owner reader"), "{:?}", events[0]);
        assert!(events[0].detail.contains("start") && events[0].actor_name == "system", "{:?}", events[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_rule_that_is_gone_at_a_start_leaves_no_role_where_memberships_are_not_kept() {
    let app = with_group_rule(&[("MIRROR_GROUPS", "false")]).await;
    let member = app.sign_in("member1").await;
    assert!(may_administrate(&member).await);
    let state = app.state_with(&[("ROLE_MAPPING", "Admin=admin")]);
    reconcile_at_start(&state).await.expect("no error");
    assert!(!may_administrate(&member).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn memberships_that_are_no_longer_kept_give_nobody_a_role_later() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let other = TestApp::builder().beside(&app).setting("MIRROR_GROUPS", "false").start().await;
    let admin = other.sign_in("admin").await;
    let asked = ask(&admin, &group_id(&app), "auditor", "add").await;
    asked.assert_text("Nobody who is known here would gain auditor");
    confirm(&admin, &asked).await;
    assert_eq!(roles(&app, MEMBER).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_taken_out_of_admin_users_is_no_administrator_after_the_start() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let user = app.db_user(MEMBER).await;
    let identity = format!("{}/{}", user.realm, user.subject);
    let listing = TestApp::builder().beside(&app).setting("ADMIN_USERS", identity.clone()).start().await;
    let member = listing.sign_in("member1").await;
    assert!(may_administrate(&member).await);
    reconcile_at_start(&app.state_with(&[("ADMIN_USERS", &identity)])).await.expect("no error");
    assert!(may_administrate(&member).await, "listed, they stay");
    reconcile_at_start(&app.state).await.expect("no error");
    assert!(!may_administrate(&member).await);
    let event = app.db_events("roles.changed").await.remove(0);
    assert!(event.detail.contains("ADMIN_USERS") && event.detail.contains("admin → nothing"), "{event:?}");

    // What an administrator granted is another matter.
    let act = server::people::acts::Act::GrantRole { user_id: user.id.clone(), role: "admin".into() };
    server::people::acts::run(&app.state, act, server::people::actor::By::command_line()).await.expect("granted");
    reconcile_at_start(&app.state).await.expect("no error");
    assert!(may_administrate(&app.sign_in("member1").await).await);
}
