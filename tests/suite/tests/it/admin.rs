//! Administrators: lists, details, acts; and nobody else.

use suite::{Browser, TestApp, db_fill};

async fn user_path(app: &TestApp, upn: &str) -> String {
    format!("/admin/users/{}", app.db_user(upn).await.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_1_admin_pages_and_acts_are_for_administrators() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let path = user_path(&app, "member1@contoso.example").await;
    let pages = [
        "/admin",
        "/admin/users",
        path.as_str(),
        "/admin/sessions",
        "/admin/groups",
        "/admin/grants",
        "/admin/audit",
        "/admin/health",
    ];
    let anonymous = app.browser();
    for page in pages {
        member.get(page).await.assert_status(403);
        let answer = anonymous.get(page).await;
        answer.assert_status(303);
        assert!(!answer.body.contains("member1@"), "K-18: nothing beside the redirect");
    }
    for act in ["disable", "enable", "roles", "sign-out"] {
        member.post(&format!("{path}/{act}"), &[("confirm", "yes")]).await.assert_status(403);
        anonymous.post(&format!("{path}/{act}"), &[("confirm", "yes")]).await.assert_status(303);
    }
    let admin = app.sign_in("admin").await;
    for page in pages {
        admin.get(page).await.assert_status(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_4_2_disabling_asks_first_and_ends_the_live_session_at_once() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let list = admin.get("/admin/users?q=member1").await;
    let links = list.links("td a[href^='/admin/users/']");
    assert_eq!(links.len(), 1, "{links:?}");

    let detail = admin.get(&links[0]).await;
    let asked = admin.submit(&detail.form("/disable")).await;
    asked.assert_status(200).assert_text("member1@contoso.example");
    member.get("/profile").await.assert_status(200);

    let done = admin.submit(&asked.form("/disable")).await;
    done.assert_status(303);
    assert_eq!(done.location_path(), links[0]);
    admin.follow(done).await.assert_text("User disabled");
    member.get("/profile").await.assert_status(303);
    member.sign_in("member1").await.assert_status(403).assert_text("disabled");
    let user = app.db_user("member1@contoso.example").await;
    assert!(app.db_grants(&user).await.is_empty());
    let event = app.db_events("user.disabled").await.remove(0);
    assert_eq!(
        (event.actor_name.as_str(), event.subject_name.as_str()),
        ("admin@contoso.example", "member1@contoso.example")
    );

    let detail = admin.get(&links[0]).await;
    admin.submit(&detail.form("/enable")).await.assert_status(303);
    member.sign_in("member1").await.assert_status(303);
}

async fn grant(admin: &Browser, path: &str, action: &str) {
    let csrf = admin.get(path).await.form("/auth/sign-out").fields.remove(0).1;
    let fields = [("csrf", csrf.as_str()), ("role", "admin"), ("action", action), ("confirm", "yes")];
    admin.post(&format!("{path}/roles"), &fields).await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_3_1_a_granted_role_works_at_once_and_a_revoked_one_is_lost_at_once() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let path = user_path(&app, "member1@contoso.example").await;
    grant(&admin, &path, "grant").await;
    member.get("/admin").await.assert_status(200);
    grant(&admin, &path, "revoke").await;
    member.get("/admin").await.assert_status(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn t_14_nobody_disables_themselves_or_takes_what_the_provider_gives() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    let own = user_path(&app, "admin@contoso.example").await;
    let csrf = admin.get(&own).await.form("/auth/sign-out").fields.remove(0).1;
    let done = admin.post(&format!("{own}/disable"), &[("csrf", &csrf), ("confirm", "yes")]).await;
    admin.follow(done).await.assert_text("You cannot do this to yourself");
    grant(&admin, &own, "revoke").await;
    admin.get("/admin").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn h_10_a_form_without_the_sessions_token_or_from_elsewhere_does_nothing() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let path = format!("{}/disable", user_path(&app, "member1@contoso.example").await);
    admin.post(&path, &[("confirm", "yes")]).await.assert_status(400);
    let foreign = member.get("/profile").await.form("/auth/sign-out").fields.remove(0).1;
    admin.post(&path, &[("csrf", &foreign), ("confirm", "yes")]).await.assert_status(400);
    let csrf = admin.get("/profile").await.form("/auth/sign-out").fields.remove(0).1;
    let body = format!("csrf={csrf}&confirm=yes");
    for headers in [
        vec![],
        vec![("origin", "https://evil.example")],
        vec![("origin", app.origin()), ("sec-fetch-site", "cross-site")],
        vec![("origin", app.origin()), ("sec-fetch-site", "same-site")],
    ] {
        admin.post_raw(&path, body.clone(), &headers).await.assert_status(403);
    }
    member.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_and_grants_are_listed_and_ended_one_by_one() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    let list = admin.get("/admin/sessions").await;
    list.assert_text("Megan Bowen");
    let grants = admin.get("/admin/grants").await;
    grants.assert_text("Microsoft Graph");

    let user = app.db_user("member1@contoso.example").await;
    let grant = app.db_grants(&user).await.remove(0);
    let asked = admin.submit(&grants.form(&format!("/{}/forget", grant.id))).await;
    admin.submit(&asked.form("/forget")).await.assert_status(303);
    assert!(app.db_grants(&user).await.is_empty());
    member.get("/profile").await.assert_status(200);

    let mut conn = app.state.db.conn().await.expect("a connection");
    let sessions = store::models::SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await;
    let id = sessions.expect("sessions").remove(0).id;
    drop(conn);
    admin.submit(&list.form(&format!("/admin/sessions/{id}/end"))).await.assert_status(303);
    member.get("/profile").await.assert_status(303);
}

async fn walk(admin: &Browser, start: &str, rel: &str) -> Vec<String> {
    let mut rows = Vec::new();
    let mut next = Some(start.to_owned());
    while let Some(path) = next {
        let page = admin.get(&path).await;
        page.assert_status(200);
        let mut links = page.links("td a[href^='/admin/users/']");
        if rel == "prev" {
            links.reverse();
        }
        rows.extend(links);
        next = page.links(&format!("a[rel={rel}]")).pop();
        assert!(rows.len() < 1000, "the walk ends");
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sort_pages_by_key_forward_and_backward_without_loss() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    db_fill(&app, 57).await;
    for sort in ["upn", "name", "email", "last_sign_in", "created"] {
        for dir in ["asc", "desc"] {
            let base = format!("/admin/users?sort={sort}&dir={dir}&per_page=10");
            let forward = walk(&admin, &base, "next").await;
            let unique: std::collections::BTreeSet<&String> = forward.iter().collect();
            assert_eq!((forward.len(), unique.len()), (58, 58), "{base}");
            let mut backward = walk(&admin, &format!("{base}&end=1"), "prev").await;
            backward.reverse();
            assert_eq!(backward, forward, "{base}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_search_and_hostile_values_keep_the_page() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    db_fill(&app, 20).await;
    let rows = async |query: &str| {
        let page = admin.get(&format!("/admin/users?{query}")).await;
        page.assert_status(200);
        page.links("td a[href^='/admin/users/']").len()
    };
    assert_eq!(rows("q=USER0007").await, 1);
    assert_eq!(rows("q=name+user0007").await, 1);
    assert_eq!(rows("type=guest").await, 4);
    assert_eq!(rows("role=admin").await, 1);
    assert_eq!(rows("status=disabled").await, 0);
    assert_eq!(rows("q=%25").await, 0);
    assert_eq!(rows("q=_").await, 0);
    for hostile in [
        "q=%00",
        "q='--",
        "sort=password",
        "dir=up",
        "per_page=-1",
        "per_page=9999999999999",
        "after=%FF",
        "after=AAAA",
        "status=x&type=y&role=z",
        "end=2",
    ] {
        rows(hostile).await;
    }
    admin.get("/admin/users?sort=password").await.assert_text("sort");
    admin.get("/admin/users/none").await.assert_status(404);
    admin.get("/admin/users/%00").await;
}
