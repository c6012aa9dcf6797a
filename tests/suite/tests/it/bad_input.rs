//! Malformed input gets a clear page and no panic; every response has its headers.

use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_callbacks_are_explained() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let long = format!("state={}", "A".repeat(20_000));
    for query in [
        "",
        "code=x",
        "state=x",
        "code=x&state=y",
        "state=a&state=b&code=c",
        "code=%FF&state=%FF",
        "error=x",
        "code=a&error=b&state=c",
        long.as_str(),
        "%%%",
    ] {
        let answer = browser.get(&format!("/auth/callback?{query}")).await;
        answer.assert_status(400).assert_text("Request id");
        let answer = browser.post_raw("/auth/callback", query.to_owned(), &[]).await;
        answer.assert_status(400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_sign_in_pages_and_forms_are_answered() {
    let app = TestApp::start().await;
    let browser = app.browser();
    for query in
        ["next=%00", "next=%FF", "prompt=evil", "prompt=none&prompt=login", "login_hint=%0d%0aSet-Cookie:x", "%%%"]
    {
        let page = browser.get(&format!("/auth/sign-in?{query}")).await;
        page.assert_status(200);
        assert!(page.has_form("/auth/sign-in"));
    }
    let origin = app.origin().to_owned();
    for body in ["%%%", "next=%FF", "=&=&", "next"] {
        let answer = browser.post_raw("/auth/sign-in", body.to_owned(), &[("origin", &origin)]).await;
        assert!([303, 400, 422].contains(&answer.status), "{body}: {}", answer.status);
    }
    let big = "a".repeat(200_000);
    browser.post_raw("/auth/sign-in", big, &[("origin", &origin)]).await.assert_status(413);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_pages_and_methods_are_errors_with_a_page_or_problem_details() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    admin.get("/nope").await.assert_status(404).assert_text("There is nothing here");
    admin.get("/auth/sign-out").await.assert_status(405);
    let json = admin.get_with("/nope", &[("accept", "application/json")]).await;
    json.assert_status(404);
    assert!(json.header("content-type").starts_with("application/problem+json"), "{:?}", json.headers);
    let anonymous = app.browser().get_with("/profile", &[("accept", "application/json")]).await;
    anonymous.assert_status(401);
    assert!(!anonymous.header("www-authenticate").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn v_3_4_every_response_has_the_security_headers() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    let style = browser.get("/").await.links("link[rel=stylesheet]").remove(0);
    for path in
        ["/", "/auth/sign-in", "/profile", "/admin/users", "/nope", "/healthz", "/auth/callback", style.as_str()]
    {
        let page = browser.get(path).await;
        let csp = page.header("content-security-policy");
        for part in ["default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"] {
            assert!(csp.contains(part), "{path}: {csp}");
        }
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{path}");
        assert!(!page.header("referrer-policy").is_empty(), "{path}");
        assert!(!page.header("x-request-id").is_empty(), "{path}");
        assert!(!page.body.contains(" style=\""), "{path}: no inline style");
    }
    let style = browser.get(&style).await;
    style.assert_status(200);
    assert!(!style.header("etag").is_empty());
}
