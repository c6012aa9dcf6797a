//! What the recipes of `docs/recipes` promise, asked of a project in which all of them were followed.

use store::models::User;
use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn look_the_mark_and_the_hue_are_everywhere() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let mark = r#"<circle cx="16" cy="16" r="13""#;
    for path in ["/", "/auth/sign-in", "/assets/favicon.svg"] {
        let page = browser.get(path).await;
        assert!(page.body.contains(mark), "{path}: {}", page.body);
    }
    let style = browser.get("/assets/style.css").await;
    assert!(style.body.contains("--hue: 150;") && style.body.contains("--radius: 2px;"));
}

#[tokio::test(flavor = "multi_thread")]
async fn page_the_new_page_needs_a_sign_in_and_is_in_the_navigation() {
    let app = TestApp::start().await;
    let asked = app.browser().get("/help").await;
    asked.assert_status(303);
    let member = app.sign_in("member1").await;
    member.get("/help").await.assert_status(200).assert_text("help@contoso.example");
    assert!(member.get("/").await.links("nav a").iter().any(|link| link == "/help"));
}

#[tokio::test(flavor = "multi_thread")]
async fn admin_page_is_for_administrators_and_counts() {
    let app = TestApp::builder().setting("CLAIM_MAPPING", "department=country").start().await;
    app.emulator.control().change_persona("member1", |persona| {
        persona.extra_claims.insert("country".to_owned(), "Sales".into());
    });
    let member = app.sign_in("member1").await;
    member.get("/admin/departments").await.assert_status(403);
    let admin = app.sign_in("admin").await;
    admin.get("/admin/departments").await.assert_status(200).assert_text("Sales");
    assert!(admin.get("/admin").await.links(".admin-nav a").iter().any(|link| link == "/admin/departments"));
}

#[tokio::test(flavor = "multi_thread")]
async fn column_and_claim_the_office_is_stored_shown_and_recorded() {
    let app = TestApp::builder().setting("CLAIM_MAPPING", "office=office_location").start().await;
    let move_to = |office: &'static str| {
        app.emulator.control().change_persona("member1", |persona| {
            persona.extra_claims.insert("office_location".to_owned(), office.into());
        });
    };
    move_to("Berlin 4.12");
    app.sign_in("member1").await;
    let user: User = app.db_user("member1@contoso.example").await;
    assert_eq!(user.office, "Berlin 4.12");
    move_to("Bonn 1.01");
    app.sign_in("member1").await;
    let page = app.sign_in("admin").await.get(&format!("/admin/users/{}", user.id)).await;
    page.assert_text("Bonn 1.01");
}

#[tokio::test(flavor = "multi_thread")]
async fn role_and_route_the_report_is_for_auditors_alone() {
    let app = TestApp::builder().setting("ROLE_MAPPING", "Admin=admin,Auditor=auditor").start().await;
    app.emulator.control().change_persona("member1", |persona| persona.roles = vec!["Auditor".to_owned()]);
    app.browser().get("/reports").await.assert_status(303);
    app.sign_in("member2").await.get("/reports").await.assert_status(403);
    let report = app.sign_in("member1").await.get("/reports").await;
    report.assert_status(200);
    assert!(report.body.starts_with("0 administrators"), "{}", report.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn job_the_new_job_is_on_the_health_page() {
    let app = TestApp::start().await;
    server::jobs::start(&app.state);
    let admin = app.sign_in("admin").await;
    admin.get("/admin/health").await.assert_text("Active administrators");
}

#[tokio::test(flavor = "multi_thread")]
async fn language_the_pages_say_which_one_they_are_in() {
    let app = TestApp::start().await;
    let browser = app.browser();
    for path in ["/", "/auth/sign-in"] {
        assert!(browser.get(path).await.body.contains(r#"<html lang="de""#), "{path}");
    }
    browser.get("/").await.assert_text("Melden Sie sich mit Ihrem Geschäfts-, Schul- oder Unikonto an.");
}

#[tokio::test(flavor = "multi_thread")]
async fn graph_the_groups_come_from_graph() {
    let app = TestApp::start().await;
    let name = app.emulator.control().persona("member1").expect("a persona").groups[0].name.clone();
    let teams = app.sign_in("member1").await.get("/teams").await;
    teams.assert_status(200);
    assert!(teams.body.lines().any(|line| line == name), "{}", teams.body);
}
