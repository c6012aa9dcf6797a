//! Who somebody is: (tenant, object id), whatever their names and addresses say.

use entra_emulator::{Endpoint, Fault, TokenEdit};
use serde_json::json;
use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn e_01_another_object_id_with_an_administrators_address_is_another_person() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let control = app.emulator.control();
    let names = json!({
        "upn": "admin@contoso.example",
        "email": "admin@contoso.example",
        "preferred_username": "admin@contoso.example",
    });
    control.edit_id_token(Some(1), TokenEdit::claims(names));
    let browser = app.sign_in("member1").await;
    assert_eq!(app.db_users("admin@contoso.example").await.len(), 2);
    browser.get("/admin").await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_01_a_renamed_person_keeps_their_row_and_the_change_is_recorded() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let before = app.db_user("member1@contoso.example").await;
    app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(json!({"upn": "renamed@contoso.example"})));
    app.sign_in("member1").await;
    let after = app.db_user("renamed@contoso.example").await;
    assert_eq!(before.id, after.id);
    let event = app.db_events("user.synced").await.remove(0);
    assert!(event.detail.contains("member1@contoso.example → renamed@contoso.example"), "{}", event.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_06_t_14_a_verified_address_links_nobody() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let claims = json!({"email": "admin@contoso.example", "email_verified": true, "xms_edov": true});
    app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(claims));
    app.sign_in("member1").await.get("/admin").await.assert_status(403);
    assert_eq!(app.db_users("").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn f_34_concurrent_first_sign_ins_of_one_person_make_one_row() {
    let app = TestApp::start().await;
    let mut sign_ins = Vec::new();
    for _ in 0..50 {
        let browser = app.browser();
        let at_provider = browser.begin("/auth/sign-in").await;
        let response = browser.pick_only(&at_provider, "member1").await;
        sign_ins.push(tokio::spawn(async move { browser.deliver(response).await }));
    }
    for sign_in in sign_ins {
        sign_in.await.expect("no panic").assert_status(303);
    }
    let user = app.db_user("member1@contoso.example").await;
    assert_eq!(app.db_grants(&user).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_25_overage_is_read_from_graph_and_a_failing_graph_wipes_nothing() {
    let app = TestApp::start().await;
    let groups = async |app: &TestApp| {
        let user = app.db_user("groups@contoso.example").await;
        let mut conn = app.state.db.conn().await.expect("a connection");
        server::models::Group::list_by_user(&mut conn, &user.id).await.expect("groups").len()
    };
    app.sign_in("groups").await;
    let known = groups(&app).await;
    assert!(known > 200, "{known}");
    app.emulator.control().fault(Endpoint::Groups, Fault::respond(503, ""));
    app.sign_in("groups").await;
    assert_eq!(groups(&app).await, known);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_26_a_role_that_the_provider_takes_back_is_gone_and_a_local_one_stays() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    browser.get("/admin").await.assert_status(200);
    app.emulator.control().change_persona("admin", |persona| persona.roles.clear());
    app.sign_in("admin").await;
    browser.get("/admin").await.assert_status(403);

    let admin = app.db_user("admin@contoso.example").await;
    let identity = format!("{}/{}", admin.realm, admin.subject);
    let other = TestApp::builder().beside(&app).setting("ADMIN_USERS", identity).start().await;
    let browser = other.sign_in("admin").await;
    browser.get("/admin").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_04_guests_are_blocked_by_their_account_and_not_by_the_tenant() {
    let app = TestApp::builder().setting("BLOCK_GUEST_USERS", "true").start().await;
    app.browser().sign_in("guest").await.assert_status(403).assert_text("Guests cannot sign in here");
    assert!(app.db_users("").await.is_empty());
    app.sign_in("member1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_create_new_users_only_known_people_come_in() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let closed = TestApp::builder().beside(&app).setting("CREATE_NEW_USERS", "false").start().await;
    closed.sign_in("member1").await;
    closed.browser().sign_in("member2").await.assert_status(403);
    assert_eq!(app.db_users("").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_25_a_member_of_two_thousand_groups_signs_in_and_is_shown() {
    let app = TestApp::start().await;
    app.emulator.control().change_persona("groups", |persona| {
        persona.groups = (0..2000).map(|number| entra_emulator::Group::named(&format!("Team {number:04}"))).collect();
    });
    let browser = app.sign_in("groups").await;
    app.settle().await;
    let user = app.db_user("groups@contoso.example").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    assert_eq!(server::models::Group::list_by_user(&mut conn, &user.id).await.expect("groups").len(), 2000);
    browser.get("/profile").await.assert_status(200);
    let admin = app.sign_in("admin").await;
    for tab in ["", "?tab=roles", "?tab=groups", "?tab=sessions"] {
        admin.get(&format!("/admin/users/{}{tab}", user.id)).await.assert_status(200);
    }
    admin.get("/admin/groups").await.assert_status(200);
    // Once more: nothing changes, and nobody leaves a group.
    app.sign_in("groups").await;
    assert!(app.db_events("user.synced").await.is_empty());
}
