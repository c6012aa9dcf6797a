//! Who somebody is: (tenant, object id), whatever their names and addresses say.

use entra_emulator::{Endpoint, Fault, OverageForm, TokenEdit};
use serde_json::json;
use suite::{OTHER_TENANT, TestApp};

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
        store::models::Group::list_by_user(&mut conn, &user.id).await.expect("groups").len()
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
    assert_eq!(store::models::Group::list_by_user(&mut conn, &user.id).await.expect("groups").len(), 2000);
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

#[tokio::test(flavor = "multi_thread")]
async fn e_25_an_overage_asks_graph_alone_and_without_graph_nobody_gains_a_role() {
    for form in [OverageForm::ClaimSources, OverageForm::HasGroups] {
        let mapped = entra_emulator::Group::named("group 1");
        let app = TestApp::builder().setting("ROLE_MAPPING", format!("{}=admin", mapped.id)).start().await;
        let control = app.emulator.control();
        control.set_overage_form(form);
        control.change_persona("groups", |persona| persona.groups.push(mapped));
        control.fault(Endpoint::Groups, Fault::respond(503, ""));
        let first = app.sign_in("groups").await;
        first.get("/admin").await.assert_status(403);
        first.get("/profile").await.assert_status(200);
        control.clear_faults();
        // Graph was asked to wait for a moment.
        app.advance(120);
        let second = app.sign_in("groups").await;
        second.get("/admin").await.assert_status(200);
        control.fault(Endpoint::Groups, Fault::respond(503, ""));
        app.sign_in("groups").await;
        second.get("/admin").await.assert_status(200);
        assert_eq!(control.count(Endpoint::ClaimSource), 0, "the address in the claim is never asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e_26_unknown_roles_mean_nothing_and_many_are_no_trouble() {
    let app = TestApp::start().await;
    let many: Vec<String> = (0..500).map(|number| format!("Role {number}")).collect();
    for (roles, is_admin) in [
        (json!(["Superuser", "administrator", "Admin2", "admin/../Admin", "Admin\u{0}x"]), false),
        (json!(many.clone()), false),
        (json!([many, vec!["Admin".to_owned()]].concat()), true),
        (json!({"Admin": true}), false),
        (json!([["Admin"], {"x": "Admin"}, null, 7]), false),
        (json!("Admin"), true),
        (json!([]), false),
        (json!(null), false),
    ] {
        app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(json!({"roles": roles})));
        let browser = app.sign_in("member1").await;
        browser.get("/admin").await.assert_status(if is_admin { 200 } else { 403 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_4_1_people_of_two_tenants_do_not_touch_each_other() {
    let app = TestApp::builder().two_tenants().start().await;
    let control = app.emulator.control();
    // The same object id, names and groups as somebody of the first tenant.
    let original = control.persona("member1").expect("a persona");
    let same_id = || control.edit_id_token(Some(1), TokenEdit::claims(json!({"oid": original.oid})));
    app.add_stranger("twin", |_| {});
    let member = app.sign_in("member1").await;
    same_id();
    let twin = app.sign_in("twin").await;
    app.settle().await;
    let users = app.db_users("member1@contoso.example").await;
    assert_eq!(users.len(), 2);
    assert_eq!(users[0].subject, users[1].subject);
    assert_ne!(users[0].realm, users[1].realm);

    // Neither by a session's id nor by all of one's own.
    let mine =
        app.db_users("").await.into_iter().find(|user| user.realm != OTHER_TENANT.to_string()).expect("the member");
    let mut conn = app.state.db.conn().await.expect("a connection");
    let session = store::models::SessionRecord::list_by_user(&mut conn, &mine.id, app.state.live_at()).await;
    let session = session.expect("sessions").remove(0).id;
    drop(conn);
    let page = twin.get("/profile").await;
    let csrf = page.form("/auth/sign-out").fields[0].1.clone();
    twin.post(&format!("/profile/sessions/{session}/end"), &[("csrf", &csrf)]).await.assert_status(404);
    twin.submit(&page.form("/profile/sign-out-everywhere")).await.assert_status(303);
    member.get("/profile").await.assert_status(200);
    assert_eq!(app.db_grants(&mine).await.len(), 1);

    // A role and a disable are one person's.
    let by = server::people::actor::By::command_line;
    let stranger =
        app.db_users("").await.into_iter().find(|user| user.realm == OTHER_TENANT.to_string()).expect("the twin");
    let role = server::people::acts::Act::GrantRole { user_id: stranger.id.clone(), role: "admin".into() };
    server::people::acts::run(&app.state, role, by()).await.expect("granted");
    member.get("/admin").await.assert_status(403);
    server::people::acts::run(&app.state, server::people::acts::Act::Disable { user_id: stranger.id }, by())
        .await
        .expect("disabled");
    same_id();
    app.browser().sign_in("twin").await.assert_status(403);
    app.sign_in("member1").await.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_turns_the_reading_direction_is_kept_without_that_wherever_it_comes_from() {
    let app = TestApp::start().await;
    let bad = |text: &str| format!("\u{202e}{text}\u{2069}\u{200f}\u{0}\r\n");
    let joined = "نوید\u{200c}الله";
    app.emulator.control().change_persona("member1", |persona| {
        persona.name = bad(joined);
        persona.given_name = bad("Megan");
    });
    let claims = json!({ "preferred_username": bad("member1@contoso.example"), "roles": [bad("Editor")] });
    app.emulator.control().edit_id_token(Some(1), TokenEdit::claims(claims));
    let browser = app.sign_in("member1").await;
    app.settle().await;
    let user = app.db_user("member1@contoso.example").await;
    assert_eq!((user.display_name.as_str(), user.given_name.as_str()), (joined, "Megan"));
    let is_clean = |text: &str| !text.contains(['\u{202e}', '\u{2069}', '\u{200f}', '\0']);
    assert!(is_clean(&user.claims) && !user.claims.contains("u202e"), "{}", user.claims);
    for path in ["/profile", "/"] {
        assert!(is_clean(&browser.get(path).await.body), "{path}");
    }
    for event in app.db_events("").await {
        assert!(is_clean(&format!("{}{}{}", event.actor_name, event.subject_name, event.detail)), "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_who_are_signed_in_are_out_when_guests_are_blocked() {
    let open = TestApp::start().await;
    let (guest, member) = (open.sign_in("guest").await, open.sign_in("member1").await);
    let closed = TestApp::builder().beside(&open).setting("BLOCK_GUEST_USERS", "true").start().await;
    for path in ["/profile", "/profile/photo"] {
        let out = guest.get(&closed.address(path)).await;
        assert_eq!(out.status, 303, "{path}");
        assert!(out.location_path().starts_with("/auth/sign-in"), "{path}");
    }
    member.get(&closed.address("/profile")).await.assert_status(200);
    guest.get("/profile").await.assert_status(200);
}
