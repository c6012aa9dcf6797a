//! The whole application, walked: whatever a link leads to, for every kind of visitor.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use store::models::{SessionRecord, new_id};
use suite::{Browser, Page, TestApp};

use crate::access;

/// Lists have an address for each order and filter: so many of one path are enough.
const VARIANTS: u32 = 3;

/// Every page to which links lead from the start page, and some to which none does.
async fn walk(browser: &Browser) -> Vec<Page> {
    let mut queue: VecDeque<String> =
        ["/", "/profile", "/admin", "/auth/sign-in", "/auth/signed-out", "/nowhere"].map(str::to_owned).into();
    let (mut seen, mut variants) = (BTreeSet::new(), BTreeMap::<String, u32>::new());
    let mut pages = Vec::new();
    while let Some(address) = queue.pop_front() {
        let path = address.split(['?', '#']).next().unwrap_or_default().to_owned();
        let count = variants.entry(path).or_default();
        if *count >= VARIANTS || !seen.insert(address.clone()) {
            continue;
        }
        *count += 1;
        let page = browser.get(&address).await;
        queue.extend(page.links("a[href]").into_iter().filter(|link| link.starts_with('/')));
        pages.push(page);
    }
    pages
}

fn is_html(page: &Page) -> bool {
    page.header("content-type").starts_with("text/html")
}

/// The application with some people in it, and the browsers of nobody, a member and an administrator.
async fn visited() -> (TestApp, [Browser; 3]) {
    let app = TestApp::start().await;
    let browsers = [app.browser(), app.sign_in("member1").await, app.sign_in("admin").await];
    app.settle().await;
    (app, browsers)
}

/// Everything that a request might change, as text.
async fn everything(app: &TestApp) -> String {
    let mut rows = String::new();
    for user in app.db_users("").await {
        rows += &format!("{user:?}\n{:?}\n", app.db_grants(&user).await);
        let mut conn = app.state.db.conn().await.expect("a connection");
        let sessions = SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await.expect("sessions");
        rows += &format!("{sessions:?}\n");
    }
    rows
}

/// Addresses of every route, about somebody who is there, and with all that a form would say.
async fn addresses(app: &TestApp, csrf: &str) -> Vec<String> {
    let user = app.db_user("member1@contoso.example").await;
    let grant = app.db_grants(&user).await.remove(0).id;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let sessions = SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await.expect("sessions");
    let ids = [user.id, grant, sessions[0].id.clone(), new_id()];
    let query = format!("csrf={csrf}&confirm=yes&action=revoke&role=admin&user={}&act=disable&theme=dark", ids[0]);
    let filled = |path: &str, id: &str| path.replace("{id}", id).replace("{file}", "x").replace("{*rest}", "x");
    let of = |path: &str| ids.iter().map(|id| format!("{}?{query}", filled(path, id))).collect::<BTreeSet<_>>();
    access::paths(app).into_iter().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn v_3_5_3_and_v_3_7_2_safe_methods_change_nothing_and_lead_nowhere_else() {
    let (app, browsers) = visited().await;
    let before = everything(&app).await;
    let hosts = [app.origin().to_owned(), app.emulator.authority().to_owned()];
    for browser in &browsers {
        walk(browser).await;
        let page = browser.get("/profile").await;
        let csrf = if page.has_form("/auth/sign-out") {
            page.form("/auth/sign-out").fields[0].1.clone()
        } else {
            String::new()
        };
        for address in addresses(&app, &csrf).await {
            for method in ["GET", "HEAD", "OPTIONS"] {
                let answer = browser.request(method, &address, None, &[]).await;
                assert!(answer.status < 500, "{method} {address}: {}", answer.status);
                if let Some(to) = answer.location() {
                    assert!(hosts.contains(&to.origin().ascii_serialization()), "{method} {address} leads to {to}");
                }
            }
        }
    }
    app.settle().await;
    assert_eq!(everything(&app).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_3_7_2_what_is_posted_leads_to_this_host_or_the_provider() {
    let (app, browsers) = visited().await;
    let hosts = [app.origin().to_owned(), app.emulator.authority().to_owned()];
    for browser in &browsers {
        for path in access::paths(&app) {
            let path = path.replace("{id}", &new_id()).replace("{file}", "x").replace("{*rest}", "x");
            for field in ["next", "target_link_uri", "post_logout_redirect_uri", "redirect_uri", "url"] {
                let answer = browser.post(&path, &[(field, "https://evil.example/")]).await;
                let Some(to) = answer.location() else { continue };
                assert!(hosts.contains(&to.origin().ascii_serialization()), "{path} leads to {to}");
                assert!(!to.as_str().contains("evil"), "{path}: {to}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_3_6_1_v_3_5_7_and_e_42_pages_are_whole_by_themselves() {
    let (_app, browsers) = visited().await;
    for browser in &browsers {
        for page in walk(browser).await {
            assert!(!page.header("content-type").contains("javascript"), "{}", page.url);
            if !is_html(&page) {
                continue;
            }
            let active = "script[src]:not([src^='/assets/islands.']), iframe, frame, object, embed, form[target], a[target], [onclick], meta[http-equiv=refresh]";
            let found = page.texts(active);
            assert!(found.is_empty(), "{}: no frame, no window of its own: {found:?}", page.url);
            // What Leptos writes for a client that is not there: empty lists.
            let scripts = page.texts("script").concat();
            let is_empty = |part: &str| part.is_empty() || part.starts_with("__") && part.ends_with("=[]");
            assert!(scripts.split(';').all(is_empty), "{}: no data in a script: {scripts}", page.url);
            let loaded = [page.links("link[href]"), page.sources("[src]")].concat();
            assert!(!loaded.is_empty(), "{}: a style sheet", page.url);
            let own = |target: &String| {
                target.starts_with('/') && !target.starts_with("//") || target.starts_with("data:image/")
            };
            assert!(loaded.iter().all(own), "{}: {loaded:?}", page.url);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_4_4_every_page_behind_the_sign_in_has_the_way_out() {
    let (app, [_, member, admin]) = visited().await;
    for browser in [&member, &admin] {
        let pages = walk(browser).await;
        let behind = |page: &&Page| {
            let path = page.url.path();
            page.status == 200 && is_html(page) && (path.starts_with("/profile") || path.starts_with("/admin"))
        };
        assert!(pages.iter().filter(behind).count() >= 1);
        for page in pages.iter().filter(behind) {
            assert!(page.has_form("/auth/sign-out"), "{}", page.url);
        }
    }
    let user = app.db_user("member1@contoso.example").await;
    let detail = admin.get(&format!("/admin/users/{}", user.id)).await;
    let question = admin.submit(&detail.form("/disable")).await;
    let way_out = question.assert_status(200).form("/auth/sign-out");
    admin.submit(&way_out).await.assert_status(303);
    admin.get("/profile").await.assert_status(303);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_1_1_nothing_that_a_browser_gets_holds_a_token() {
    let (app, browsers) = visited().await;
    let mut secrets = BTreeSet::new();
    for upn in ["member1@contoso.example", "admin@contoso.example"] {
        let grant = app.db_grants(&app.db_user(upn).await).await.remove(0);
        let tokens = server::tokens::open(&app.state.config.tokens.keys, &grant).expect("the tokens open");
        let plain = String::from_utf8_lossy(&tokens.to_sealed_json()).into_owned();
        secrets.extend(plain.split('"').filter(|text| text.len() > 60).map(str::to_owned));
    }
    assert!(secrets.len() >= 4, "an access and a refresh token each");
    for browser in &browsers {
        let id = browser.cookie("id").unwrap_or_else(|| "no session".to_owned());
        let mut pages = walk(browser).await;
        for path in access::paths(&app) {
            pages.push(browser.get(&path.replace("{id}", "x").replace("{file}", "x")).await);
        }
        assert!(pages.len() > 20);
        for page in pages {
            let whole = format!("{:?}\n{}", page.headers, page.body);
            assert!(!secrets.iter().any(|secret| whole.contains(secret)), "{}", page.url);
            assert!(!page.body.contains(&id), "{}", page.url);
        }
    }
}
