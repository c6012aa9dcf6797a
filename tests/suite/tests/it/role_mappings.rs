//! Mappings of groups and app roles to roles: the dry run, the change, and who is protected.

use suite::{Browser, Page, TestApp};

async fn group_id(app: &TestApp, persona: &str) -> String {
    app.emulator.control().persona(persona).expect("a persona").groups[0].id.to_string()
}

/// Posts the form of a mapping: what the dry run says.
async fn ask(admin: &Browser, value: &str, role: &str, action: &str) -> Page {
    let form = admin.get("/admin/groups").await.form("/admin/groups/mappings");
    admin.submit(&form.with("value", value).with("role", role).with("action", action)).await
}

async fn confirm(admin: &Browser, asked: &Page) -> Page {
    asked.assert_status(200);
    let done = admin.submit(&asked.form("/admin/groups/mappings")).await;
    done.assert_status(303);
    admin.follow(done).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_says_who_gains_or_loses_and_is_felt_at_once() {
    let app = TestApp::start().await;
    let member = app.sign_in("member2").await;
    let admin = app.sign_in("admin").await;
    let group = group_id(&app, "member2").await;
    let asked = ask(&admin, &group.to_uppercase(), "admin", "add").await;
    asked.assert_text("would gain admin").assert_text("member2@contoso.example");
    member.get("/admin").await.assert_status(403);
    let page = confirm(&admin, &asked).await;
    page.assert_text("Mapping saved").assert_text("Added by admin@contoso.example");
    member.get("/admin").await.assert_status(200);

    let user = app.db_user("member2@contoso.example").await;
    admin.get(&format!("/admin/users/{}", user.id)).await.assert_text("Because of group");
    member.get("/profile").await.assert_text("Because of group");
    let again = app.sign_in("member2").await;
    again.get("/admin").await.assert_status(200);

    let asked = ask(&admin, &group, "admin", "remove").await;
    asked.assert_text("would lose admin").assert_text("member2@contoso.example");
    confirm(&admin, &asked).await.assert_text("Mapping removed");
    member.get("/admin").await.assert_status(403);
    let kinds = [app.db_events("mapping.added").await.len(), app.db_events("mapping.removed").await.len()];
    assert_eq!(kinds, [1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_something_else_gives_is_kept_when_a_mapping_goes() {
    let app = TestApp::start().await;
    app.emulator.control().change_persona("member1", |persona| persona.roles = vec!["Auditors".into()]);
    let group = group_id(&app, "member1").await;
    app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    for value in [group.as_str(), "AUDITORS"] {
        let asked = ask(&admin, value, "auditor", "add").await;
        confirm(&admin, &asked).await;
    }
    assert_eq!(app.db_user("member1@contoso.example").await.roles, "auditor");
    let asked = ask(&admin, "auditors", "auditor", "remove").await;
    asked.assert_text("Nobody who is known here would lose auditor");
    confirm(&admin, &asked).await;
    assert_eq!(app.db_user("member1@contoso.example").await.roles, "auditor");
}

#[tokio::test(flavor = "multi_thread")]
async fn t_14_nobody_takes_admin_from_themselves_by_a_mapping() {
    let app = TestApp::builder().setting("ROLE_MAPPING", "Nobody=admin").start().await;
    let admin_upn = "admin@contoso.example";
    app.sign_in("admin").await;
    let group = group_id(&app, "admin").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let mapping = store::models::RoleMapping {
        value: group.clone(),
        role: "admin".into(),
        created_by: String::new(),
        created_at: app.state.clock.now_utc(),
    };
    assert!(mapping.insert(&mut conn).await.expect("a row"));
    drop(conn);
    let admin = app.sign_in("admin").await;
    assert_eq!(app.db_user(admin_upn).await.roles, "admin");
    let refused = ask(&admin, &group, "admin", "remove").await;
    admin.follow(refused).await.assert_text("You cannot do this to yourself");
    let csrf = admin.get("/admin").await.form("/auth/sign-out").fields.remove(0).1;
    let fields =
        [("csrf", csrf.as_str()), ("value", &group), ("role", "admin"), ("action", "remove"), ("confirm", "yes")];
    let refused = admin.post("/admin/groups/mappings", &fields).await;
    admin.follow(refused).await.assert_text("You cannot do this to yourself");
    admin.get("/admin").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_mappings_keep_what_was_typed_and_those_of_the_setting_are_read_only() {
    let app = TestApp::builder().setting("ROLE_MAPPING", "Admin=admin,Readers=reader").start().await;
    let admin = app.sign_in("admin").await;
    let refused = ask(&admin, "finance", "No Such Role!", "add").await;
    let page = admin.follow(refused).await;
    page.assert_text("A mapping needs");
    assert!(page.body.contains("value=\"No Such Role!\"") && page.body.contains("value=\"finance\""));
    let page = admin.get("/admin/groups").await;
    page.assert_text("Readers").assert_text("Setting ROLE_MAPPING");
    let asked = ask(&admin, "readers", "reader", "remove").await;
    admin.follow(asked).await.assert_text("No change was needed");
    app.sign_in("member1").await.post("/admin/groups/mappings", &[("confirm", "yes")]).await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_two_thousand_is_mapped_in_one_go_and_named_in_part() {
    let app = TestApp::start().await;
    app.sign_in("member2").await;
    let admin = app.sign_in("admin").await;
    let group = group_id(&app, "member2").await;
    suite::db_fill(&app, 2_000).await;
    suite::db_join(&app, &group).await;
    let asked = ask(&admin, &group, "staff", "add").await;
    asked.assert_text("people would gain staff").assert_text("more");
    assert!(asked.texts(".sheet-people li").len() <= 21);
    confirm(&admin, &asked).await.assert_text("Mapping saved");
    assert_eq!(app.db_users("user1999").await[0].roles, "staff");
    let asked = ask(&admin, &group, "staff", "remove").await;
    confirm(&admin, &asked).await;
    assert_eq!(app.db_users("user1999").await[0].roles, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_called_by_their_names_when_graph_tells_them() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    app.settle().await;
    let name = app.emulator.control().persona("member1").expect("a persona").groups[0].name.clone();
    let admin = app.sign_in("admin").await;
    admin.get("/admin/groups").await.assert_text(&name);
}
