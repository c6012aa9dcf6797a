//! What nobody is meant to see: files, versions, the inside of errors; and what goes on without the database.

use suite::{Page, TestApp};

use crate::access;

/// What the server is made of: none of these words is for its visitors.
const INSIDE: [&str; 12] = [
    "axum",
    "hyper",
    "leptos",
    "tokio",
    "tower",
    "diesel",
    "sqlite",
    "postgres",
    "openidconnect",
    "rustc",
    "panicked",
    ".rs:",
];

/// `text` without its nonces, states and sealed cookies: among thousands of random letters is "axum" sooner or later.
fn without_random_values(text: &str) -> String {
    let is_base64url = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    text.split_inclusive(|letter| !is_base64url(letter)).filter(|run| !is_random(run)).collect()
}

/// Whether `run` looks like 128 random bits or more in base64url (RFC 4648, section 5): long, and of both cases.
fn is_random(run: &str) -> bool {
    run.len() >= 22
        && run.contains(|letter: char| letter.is_ascii_lowercase())
        && run.contains(|letter: char| letter.is_ascii_uppercase())
}

#[track_caller]
fn assert_tells_nothing(page: &Page) {
    // The element that islands are found by has its name from the framework.
    let body = page.body.replace("leptos-island", "");
    let whole = without_random_values(&format!("{:?}\n{body}", page.headers)).to_lowercase();
    for word in INSIDE {
        let around = whole.split_once(word).map(|(before, after)| {
            let before: String = before.chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().collect();
            format!("{before}{word}{}", after.chars().take(60).collect::<String>())
        });
        assert_eq!(around, None, "{}", page.url);
    }
    assert!(page.header("server").is_empty() && page.header("x-powered-by").is_empty(), "{}", page.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_13_4_6_no_answer_tells_what_the_server_is_made_of() {
    let app = TestApp::start().await;
    let (anonymous, member) = (app.browser(), app.sign_in("member1").await);
    for path in access::paths(&app) {
        let path = path.replace("{id}", "x").replace("{file}", "x").replace("{*rest}", "x");
        for method in ["GET", "POST", "TRACE", "DELETE"] {
            for browser in [&anonymous, &member] {
                let body = (method == "POST").then(|| "%%%".to_owned());
                let headers = [("sec-fetch-site", "same-origin"), ("content-length-x", "x")];
                assert_tells_nothing(&browser.request(method, &path, body, &headers).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_13_4_no_file_no_folder_and_no_trace_is_to_be_had() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    for path in [
        "/.git/config",
        "/.git/HEAD",
        "/.svn/entries",
        "/.env",
        "/.env.example",
        "/Cargo.toml",
        "/Cargo.lock",
        "/data/app.db",
        "/data/dev-keys",
        "/server/src/main.rs",
        "/migrations/",
        "/style/",
        "/style/base.css",
        "/assets",
        "/assets/",
        "/assets/base.css",
        "/assets/..%2f.env",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/metrics",
        "/debug/pprof",
        "/server-status",
        "/swagger",
        "/docs",
        "/admin/health",
    ] {
        let anonymous = app.ask("GET", path, &[("accept", "text/html")], "").await;
        assert!([303, 404].contains(&anonymous.status), "{path}: {}", anonymous.status);
        let answer = member.get(path).await;
        assert!([403, 404].contains(&answer.status), "{path}: {}", answer.status);
    }
    for path in ["/", "/profile", "/assets/style.css", "/healthz"] {
        let answer = member.request("TRACE", path, None, &[("x-canary", "canary")]).await;
        answer.assert_status(405);
        assert!(!answer.body.contains("canary"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_16_5_without_the_database_pages_say_so_and_nothing_opens() {
    let app = TestApp::start().await;
    let (member, admin) = (app.sign_in("member1").await, app.sign_in("admin").await);
    app.settle().await;
    let form = admin.get("/profile").await.form("/auth/sign-out");
    let at_provider = app.browser();
    let begun = at_provider.begin("/auth/sign-in").await;
    app.state.db.close();
    for (browser, path) in [(&member, "/profile"), (&admin, "/admin/users"), (&admin, "/admin/audit.csv")] {
        let answer = browser.get(path).await;
        answer.assert_status(503).assert_text("Request id");
        assert!(!answer.header("retry-after").is_empty(), "{path}");
        assert_tells_nothing(&answer);
    }
    // A check that cannot be made lets nobody through, and an act that cannot be done is not said to be.
    assert_eq!(admin.submit(&form).await.status, 503);
    let answer = at_provider.pick(&begun, "member1").await;
    answer.assert_status(503);
    assert!(at_provider.cookie("id").is_none(), "no session without a row");
    let anonymous = app.browser();
    anonymous.get("/").await.assert_status(200);
    anonymous.get("/auth/sign-in").await.assert_status(200);
    anonymous.get("/healthz").await.assert_status(200);
    let ready = anonymous.get("/readyz").await;
    ready.assert_status(503);
    assert_eq!(ready.body, r#"{"status":"unavailable"}"#);
    app.ask_as_operator("/readyz").await.assert_status(503).assert_text("the log says why");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_learn_whether_it_is_ready_and_operators_what_is_wrong() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let told = async || app.browser().get("/readyz").await.assert_status(200).body.clone();
    let well = told().await;
    assert_eq!(well, r#"{"status":"ok"}"#);
    app.emulator.go_offline().await;
    app.advance(2 * 86_400);
    let form = app.browser().get("/auth/sign-in").await.form("/auth/sign-in");
    app.browser().submit(&form).await.assert_status(503);
    assert_eq!(told().await, well, "nothing of the provider");
    app.ask_as_operator("/readyz").await.assert_status(200).assert_text("degraded").assert_text("provider");
    app.ask_as_operator("/").await.assert_status(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_3_2_1_and_v_3_5_8_an_image_of_a_person_is_an_image_for_this_site_alone() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    app.settle().await;
    admin.get("/profile").await.assert_status(200);
    for headers in [
        [("sec-fetch-dest", "image"), ("sec-fetch-site", "same-origin")],
        [("sec-fetch-dest", "document"), ("sec-fetch-site", "cross-site")],
        [("sec-fetch-dest", "script"), ("sec-fetch-site", "cross-site")],
    ] {
        let photo = admin.get_with("/profile/photo", &headers).await;
        let kind = photo.assert_status(200).header("content-type");
        assert!(["image/jpeg", "image/png", "image/gif", "image/webp"].contains(&kind), "{kind}");
        assert_eq!(photo.header("x-content-type-options"), "nosniff");
        assert_eq!(photo.header("cross-origin-resource-policy"), "same-origin");
        assert!(photo.header("content-security-policy").contains("default-src 'self'"));
        assert!(photo.header("cache-control").starts_with("private"), "{}", photo.header("cache-control"));
        assert_eq!(photo.header("vary").to_ascii_lowercase(), "cookie", "not for whoever signs in next");
    }
    for path in ["/admin/users.csv", "/admin/audit.csv"] {
        let file = admin.get(path).await;
        assert!(file.header("content-type").starts_with("text/csv"), "{path}");
        assert!(file.header("content-disposition").starts_with("attachment"), "{path}");
    }
    for path in ["/healthz", "/readyz", "/api/openapi.json", "/api/v1/me", "/assets/style.css", "/favicon.ico"] {
        let answer = admin.get(path).await;
        assert!(!answer.header("content-type").is_empty(), "{path}");
        assert!(!answer.header("content-type").starts_with("text/html"), "{path}");
    }
}
