//! Acts on many people at once: what is ticked, who is left out, and the question before.

use suite::{Browser, Form, Page, TestApp};

async fn list_form(app: &TestApp, admin: &Browser, action: &str, upns: &[&str]) -> Form {
    let mut form = admin.get("/admin/users?type=member&per_page=10").await.form("/admin/users/bulk");
    form.fields.push(("action".to_owned(), action.to_owned()));
    for upn in upns {
        form.fields.push(("id".to_owned(), app.db_user(upn).await.id));
    }
    form
}

async fn confirm(admin: &Browser, asked: &Page) -> Page {
    let done = admin.submit(&asked.form("/admin/users/bulk")).await;
    done.assert_status(303);
    assert_eq!(done.location_path(), "/admin/users?type=member&per_page=10", "back to the same list");
    admin.follow(done).await
}

const EVERYBODY: [&str; 3] = ["admin@contoso.example", "member1@contoso.example", "member2@contoso.example"];

#[tokio::test(flavor = "multi_thread")]
async fn t_14_disabling_many_names_them_first_and_leaves_out_oneself() {
    let app = TestApp::start().await;
    let (member1, member2) = (app.sign_in("member1").await, app.sign_in("member2").await);
    let admin = app.sign_in("admin").await;
    let form = list_form(&app, &admin, "disable", &EVERYBODY).await;
    let asked = admin.submit(&form).await;
    asked.assert_status(200).assert_text("2 people");
    asked.assert_text("member1@contoso.example").assert_text("member2@contoso.example");
    asked.assert_text("Left out, because it is you");
    member1.get("/profile").await.assert_status(200);

    let page = confirm(&admin, &asked).await;
    page.assert_text("Done for 2 people.").assert_text("You were left out");
    for member in [member1, member2] {
        member.get("/profile").await.assert_status(303);
    }
    admin.get("/admin").await.assert_status(200);
    let events = app.db_events("user.disabled").await;
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.actor_name == "admin@contoso.example" && !event.request_id.is_empty()));

    let asked = admin.submit(&list_form(&app, &admin, "enable", &EVERYBODY).await).await;
    confirm(&admin, &asked).await.assert_text("Done for 2 people.").assert_text("No change was needed for 1 person");
    app.sign_in("member1").await.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_4_5_signing_many_out_ends_their_sessions_but_not_ones_own() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let asked = admin.submit(&list_form(&app, &admin, "sign-out", &EVERYBODY[..2]).await).await;
    confirm(&admin, &asked).await.assert_text("Done for 1 person.");
    member.get("/profile").await.assert_status(303);
    admin.get("/profile").await.assert_status(200);
    assert_eq!(app.db_events("user.signed_out").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_selected_unknown_ids_and_unknown_actions_change_nothing() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let nobody = admin.submit(&list_form(&app, &admin, "disable", &[]).await).await;
    admin.follow(nobody).await.assert_text("No one is selected");
    let mut unknown = list_form(&app, &admin, "disable", &[]).await;
    unknown.fields.push(("id".into(), "' OR 1=1 --".into()));
    admin.follow(admin.submit(&unknown).await).await.assert_text("No one is selected");
    admin.submit(&list_form(&app, &admin, "delete", &EVERYBODY[..1]).await).await.assert_status(400);
    let mut many = list_form(&app, &admin, "disable", &[]).await;
    many.fields.extend((0..201).map(|number| ("id".to_owned(), number.to_string())));
    admin.submit(&many).await.assert_status(400);
    let hostile = list_form(&app, &admin, "disable", &[]).await.with("back", "//evil.example/?q=x\r\nset-cookie: a=b");
    let answer = admin.submit(&hostile).await;
    assert!(answer.location_path().starts_with("/admin/users"), "{}", answer.location_path());
    member.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_of_a_page_are_ticked_by_a_link() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let list = admin.get("/admin/users").await;
    assert_eq!(list.texts("input[type=checkbox]").len(), 2);
    assert_eq!(list.texts("input[type=checkbox][checked]").len(), 0);
    let link = list.links(".bulk a").remove(0);
    assert_eq!(admin.get(&link).await.texts("input[type=checkbox][checked]").len(), 2);
}
