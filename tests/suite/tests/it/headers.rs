//! The headers and cookies of every kind of response, over the whole application behind https.

use std::collections::BTreeMap;

use entra_emulator::Endpoint;
use suite::{Browser, LogMark, Page, TestApp};
use url::form_urlencoded;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// An application at https, and the session cookie of somebody who has signed in.
async fn https() -> (TestApp, String) {
    let app = TestApp::builder().setting("PUBLIC_URL", "https://app.example.com").start().await;
    app.emulator.control().set_redirect_uris(&["https://app.example.com/auth/callback"]);
    // Whether Graph's photo has come in time must not matter.
    app.emulator.control().change_persona("admin", |persona| persona.photo = false);
    let begun = app.ask("POST", "/auth/sign-in", &[SAME_ORIGIN, FORM], "").await;
    let transaction = cookie_of(&begun, "__Host-login-");
    let mut authorize = begun.location().expect("to the provider");
    authorize.query_pairs_mut().append_pair("persona", "admin");
    let back = Browser::new(app.emulator.authority()).get(authorize.as_str()).await;
    let back = back.location().expect("an authorization response");
    let path = format!("{}?{}", back.path(), back.query().expect("parameters"));
    let answer = app.ask("GET", &path, &[("cookie", &transaction)], "").await;
    let session = cookie_of(answer.assert_status(303), "__Host-id");
    (app, session)
}

fn set_cookies(page: &Page) -> Vec<&str> {
    page.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect()
}

fn cookie_of(page: &Page, name: &str) -> String {
    let cookies = set_cookies(page);
    let cookie = cookies.iter().find(|cookie| cookie.starts_with(name));
    let cookie = cookie.unwrap_or_else(|| panic!("no {name} in {cookies:?}"));
    cookie.split(';').next().expect("a pair").to_owned()
}

/// Every kind of response: method, path, whether with the session, status.
async fn responses(app: &TestApp, session: &str) -> Vec<(String, Page)> {
    let style = server::web::assets::stylesheet_url();
    let (big, none) = ("x".repeat(70_000), "");
    let kinds = [
        ("GET", "/", false, none, 200),
        ("HEAD", "/", false, none, 200),
        ("GET", "/auth/sign-in", false, none, 200),
        ("POST", "/auth/sign-in", false, none, 303),
        ("GET", "/auth/callback", false, none, 400),
        ("POST", "/auth/back-channel-logout", false, none, 400),
        ("GET", "/auth/signed-out", false, none, 200),
        ("GET", "/profile", false, none, 303),
        ("GET", "/profile", true, none, 200),
        ("GET", "/profile/photo", true, none, 404),
        ("GET", "/admin/users", true, none, 200),
        ("GET", "/admin/users/x", true, none, 404),
        ("GET", "/nowhere", true, none, 404),
        ("POST", "/profile", true, none, 405),
        ("OPTIONS", "/profile", true, none, 405),
        ("TRACE", "/", false, none, 405),
        ("POST", "/theme", false, none, 400),
        ("POST", "/theme", false, "theme=dark", 303),
        ("POST", "/theme", false, &big, 400),
        ("POST", "/auth/sign-in", false, &big, 413),
        ("POST", "/auth/sign-out", true, none, 400),
        ("GET", "/healthz", false, none, 200),
        ("GET", "/readyz", false, none, 200),
        ("GET", style, false, none, 200),
        ("GET", "/favicon.ico", false, none, 200),
        ("GET", "/assets/nothing", false, none, 404),
        ("GET", "/api/openapi.json", false, none, 200),
        ("GET", "/api/v1/me", false, none, 401),
        ("GET", "/api/nothing", true, none, 401),
    ];
    let mut responses = Vec::new();
    for (method, path, signed_in, body, status) in kinds {
        let mut headers = vec![SAME_ORIGIN, FORM, ("accept", "text/html")];
        headers.extend(signed_in.then_some(("cookie", session)));
        let page = app.ask(method, path, &headers, body).await;
        let name = format!("{method} {path}");
        assert_eq!(page.status, status, "{name}: {}", page.text());
        responses.push((name, page));
    }
    let cross_site = app.ask("POST", "/theme", &[("sec-fetch-site", "cross-site"), FORM], "theme=dark").await;
    responses.push(("cross-site".to_owned(), cross_site.assert_status(403).clone()));
    responses
}

#[tokio::test(flavor = "multi_thread")]
async fn h_08_v_3_4_every_kind_of_response_has_the_headers() {
    let (app, session) = https().await;
    for (name, page) in responses(&app, &session).await {
        for (header, value) in [
            ("strict-transport-security", "max-age=63072000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("reporting-endpoints", "csp=\"/csp-reports\""),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("server", ""),
            ("x-powered-by", ""),
            ("access-control-allow-origin", ""),
        ] {
            assert_eq!(page.header(header), value, "{name}: {header}");
        }
        let policy = page.header("content-security-policy");
        assert!(policy.contains("; report-uri /csp-reports; report-to csp;"), "v_3_4_7: {name}: {policy}");
        assert!(page.header("permissions-policy").contains("camera=()"), "{name}");
        assert!(!page.header("x-request-id").is_empty(), "{name}");
        let may_be_kept = ["GET /assets/style", "GET /favicon.ico", "GET /api/openapi.json"];
        let is_kept = page.header("cache-control") != "no-store";
        assert_eq!(is_kept, may_be_kept.iter().any(|start| name.starts_with(start)), "h_05: {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_06_the_policy_of_every_kind_of_response_is_strict() {
    let (app, session) = https().await;
    let mut nonces = Vec::new();
    for (name, page) in responses(&app, &session).await {
        let policy = page.header("content-security-policy");
        let directives: Vec<&str> = policy.split("; ").collect();
        for directive in [
            "default-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ] {
            assert!(directives.contains(&directive), "{name}: {policy}");
        }
        assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'"), "{name}: {policy}");
        assert!(policy.ends_with(&format!("form-action 'self' {}", app.emulator.authority())), "{name}: {policy}");
        assert!(!page.body.contains(" style=\"") && !page.body.contains(" onclick="), "{name}: nothing inline");
        let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).expect("a nonce");
        assert!(!nonces.contains(&nonce.to_owned()), "{name}");
        nonces.push(nonce.to_owned());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_01_h_02_every_cookie_has_its_attributes() {
    let (app, session) = https().await;
    let headers = [SAME_ORIGIN, FORM];
    let begun = app.ask("POST", "/auth/sign-in", &headers, "").await;
    let theme = app.ask("POST", "/theme", &headers, "theme=dark").await;
    let page = app.ask("GET", "/profile", &[("cookie", &session)], "").await;
    let csrf = page.form("/auth/sign-out").fields.remove(0).1;
    let signed_out =
        app.ask("POST", "/auth/sign-out", &[SAME_ORIGIN, FORM, ("cookie", &session)], &format!("csrf={csrf}")).await;
    assert_eq!(signed_out.assert_status(303).header("clear-site-data"), "\"storage\"");
    for (page, prefix) in [(&begun, "__Host-login-"), (&theme, "__Host-theme="), (&signed_out, "__Host-id=")] {
        let cookies = set_cookies(page);
        assert!(!cookies.is_empty(), "{prefix}");
        for cookie in cookies {
            assert!(cookie.starts_with(prefix) && cookie.len() <= 4_096, "{cookie}");
            let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
            for attribute in ["Path=/", "HttpOnly", "Secure", "SameSite=Lax"] {
                assert!(attributes.contains(&attribute), "{attribute} in {cookie}");
            }
            assert!(!cookie.contains("Domain="), "{cookie}");
        }
    }
}

/// A browser at the application's https address, which no test can reach by itself: it keeps cookies, and every
/// `Set-Cookie` that it was ever sent.
struct Visitor<'a> {
    app: &'a TestApp,
    cookies: BTreeMap<String, String>,
    seen: Vec<String>,
}

impl<'a> Visitor<'a> {
    fn new(app: &'a TestApp) -> Self {
        Self { app, cookies: BTreeMap::new(), seen: Vec::new() }
    }

    async fn send(&mut self, method: &str, path: &str, body: &str) -> Page {
        let pairs = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        let headers = [SAME_ORIGIN, FORM, ("accept", "text/html"), ("cookie", cookies.as_str())];
        let page = self.app.ask(method, path, &headers, body).await;
        for line in set_cookies(&page) {
            self.seen.push(line.to_owned());
            let pair = line.split(';').next().expect("a pair");
            let (name, value) = pair.split_once('=').expect("a name and a value");
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        page
    }

    async fn sign_in(&mut self, persona: &str, fields: &[(&str, &str)]) -> Page {
        let begun = self.send("POST", "/auth/sign-in", &encode(fields.iter().copied())).await;
        let mut authorize = begun.assert_status(303).location().expect("to the provider");
        authorize.query_pairs_mut().append_pair("persona", persona);
        let back = Browser::new(self.app.emulator.authority()).get(authorize.as_str()).await;
        match back.location() {
            Some(url) => {
                let path = format!("{}?{}", url.path(), url.query().expect("parameters"));
                self.send("GET", &path, "").await
            }
            None => {
                let form = back.form("/auth/callback");
                let body = encode(form.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())));
                self.send("POST", "/auth/callback", &body).await
            }
        }
    }
}

fn encode<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// An application at https, whatever way the answer comes back.
async fn at_https(response_mode: &str) -> TestApp {
    let builder = TestApp::builder().setting("PUBLIC_URL", "https://app.example.com");
    let app = builder.setting("ENTRA_RESPONSE_MODE", response_mode).start().await;
    app.emulator.control().set_redirect_uris(&["https://app.example.com/auth/callback"]);
    app
}

/// V-3.3.1 to V-3.3.5: each cookie of a whole run, removals too.
fn assert_is_safe(cookie: &str, response_mode: &str) {
    let (pair, _) = cookie.split_once("; ").expect("attributes");
    let (name, value) = pair.split_once('=').expect("a name and a value");
    assert!(name.starts_with("__Host-"), "{cookie}");
    assert!(name.len() + value.len() <= 4_096, "{} bytes: {name}", name.len() + value.len());
    let attributes: Vec<&str> = cookie.split("; ").skip(1).collect();
    for attribute in ["Secure", "HttpOnly", "Path=/"] {
        assert!(attributes.contains(&attribute), "{attribute} in {cookie}");
    }
    // Only the transaction has to come along with a form that the provider posts.
    let crosses_sites = name.starts_with("__Host-login-") && response_mode == "form_post";
    let same_site = if crosses_sites { "SameSite=None" } else { "SameSite=Lax" };
    assert!(attributes.contains(&same_site), "{same_site} in {cookie}");
    assert!(!cookie.contains("Domain="), "{cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_3_3_every_cookie_of_a_whole_run_is_safe() {
    for response_mode in ["query", "form_post"] {
        let app = at_https(response_mode).await;
        let mut visitor = Visitor::new(&app);
        visitor.send("GET", "/", "").await;
        for _ in 0..7 {
            visitor.send("POST", "/auth/sign-in", "").await;
        }
        visitor.send("POST", "/theme", "theme=dark").await;
        visitor.send("GET", "/auth/callback?error=access_denied&state=x", "").await;
        visitor.sign_in("admin", &[("next", "/admin")]).await.assert_status(303);
        let profile = visitor.send("GET", "/profile", "").await;
        let csrf = profile.assert_status(200).form("/auth/sign-out").fields.remove(0).1;
        let id = app.db_user("admin@contoso.example").await.id;
        let acted = visitor.send("POST", &format!("/admin/users/{id}/enable"), &format!("csrf={csrf}")).await;
        acted.assert_status(303);
        visitor.send("GET", "/admin/users", "").await.assert_status(200);
        visitor.sign_in("admin", &[("prompt", "login")]).await.assert_status(303);
        let profile = visitor.send("GET", "/profile", "").await;
        let csrf = profile.form("/auth/sign-out").fields.remove(0).1;
        visitor.send("POST", "/auth/sign-out", &format!("csrf={csrf}")).await.assert_status(303);
        let names: Vec<&str> = visitor.seen.iter().filter_map(|cookie| cookie.split('=').next()).collect();
        for prefix in ["__Host-id", "__Host-login-", "__Host-theme"] {
            assert!(names.iter().filter(|name| name.starts_with(prefix)).count() >= 1, "{prefix}: {names:?}");
        }
        let notices = names
            .iter()
            .filter(|name| !["__Host-id", "__Host-theme"].contains(name) && !name.starts_with("__Host-login-"));
        assert!(notices.count() >= 2, "a message and its removal: {names:?}");
        for cookie in &visitor.seen {
            assert_is_safe(cookie, response_mode);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_3_3_5_the_longest_wishes_fit_into_a_cookie_or_lose_their_way_back() {
    let app = at_https("query").await;
    let hint = "h".repeat(256);
    for (length, kept) in [(1_000, true), (2_000, false)] {
        let next = format!("/profile?q={}", "\"".repeat(length - 11));
        let wishes = [("next", next.as_str()), ("login_hint", &hint), ("domain_hint", &hint), ("auth_context", "c1")];
        let mut visitor = Visitor::new(&app);
        let begun = visitor.send("POST", "/auth/sign-in", &encode(wishes.iter().copied())).await;
        begun.assert_status(303);
        assert_eq!(visitor.seen.len(), 1);
        assert_is_safe(&visitor.seen[0], "query");
        let answer = visitor.sign_in("member1", &[("next", &next)]).await;
        let expected = if kept { next.as_str() } else { "/" };
        assert_eq!(answer.assert_status(303).header("location"), expected, "{length}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_05_leaving_clears_what_is_ours_and_nothing_else() {
    let app = TestApp::start().await;
    for action in ["/auth/sign-out", "/profile/sign-out-everywhere"] {
        let browser = app.sign_in("member1").await;
        let form = browser.get("/profile").await.form(action);
        let answer = browser.submit(&form).await;
        assert_eq!(answer.assert_status(303).header("clear-site-data"), "\"storage\"", "{action}");
        assert!(browser.cookie("id").is_none(), "{action}: the session's cookie goes by its name");
    }
    assert_eq!(app.browser().get("/auth/signed-out").await.header("clear-site-data"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn h_06_forms_may_lead_to_a_providers_other_origins_once_they_are_known() {
    let app = TestApp::builder().generic().start().await;
    app.emulator.control().edit_json_with(Endpoint::Metadata, None, |document| {
        document["authorization_endpoint"] = "http://127.0.0.1:9/authorize".into();
        document["end_session_endpoint"] = "http://127.0.0.2:9/logout".into();
    });
    let issuer = url::Url::parse(&app.emulator.issuer()).expect("a URL").origin().ascii_serialization();
    let policy = async || app.browser().get("/auth/sign-in").await.header("content-security-policy").to_owned();
    assert!(policy().await.ends_with(&format!("form-action 'self' {issuer}")), "{}", policy().await);
    app.state.oidc.warm_up().await.expect("metadata");
    let further = format!("form-action 'self' {issuer} http://127.0.0.1:9 http://127.0.0.2:9");
    assert!(policy().await.ends_with(&further), "{}", policy().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn h_07_the_front_channel_logout_page_alone_may_be_framed_and_by_the_provider_alone() {
    let app = TestApp::start().await;
    let page = app.browser().get("/auth/front-channel-logout?sid=x").await;
    let policy = page.assert_status(200).header("content-security-policy");
    assert!(policy.contains(&format!("frame-ancestors {};", app.emulator.authority())), "{policy}");
    assert!(page.header("x-frame-options").is_empty());
    assert!(page.body.len() < 100, "no other content: {}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn h_10_no_form_is_taken_from_another_site_whatever_its_address() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    let csrf = admin.get("/profile").await.form("/auth/sign-out").fields.remove(0).1;
    let body = format!("csrf={csrf}&confirm=yes&theme=dark");
    let id = app.db_user("admin@contoso.example").await.id;
    for path in [
        "/auth/sign-in".to_owned(),
        "/auth/sign-out".to_owned(),
        "/theme".to_owned(),
        "/profile/sign-out-everywhere".to_owned(),
        format!("/admin/users/{id}/sign-out"),
        format!("/admin/users/{id}/roles"),
        "/nowhere".to_owned(),
    ] {
        for header in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("referer", "http://localhost/"),
        ] {
            for method in ["POST", "PUT", "DELETE", "PATCH"] {
                let answer = admin.request(method, &path, Some(body.clone()), &[header]).await;
                assert_eq!(answer.status, 403, "{method} {path} {header:?}");
            }
        }
    }
    admin.get("/profile").await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_auth_address_shares_one_allowance_per_client() {
    let app = TestApp::builder().setting("AUTH_RATE_LIMIT", "4/1h").start().await;
    let browser = app.browser();
    let paths = ["/auth/sign-in", "/auth/callback", "/auth/signed-out", "/auth/front-channel-logout"];
    for path in paths {
        assert_ne!(browser.get(path).await.status, 429, "{path}");
    }
    for path in paths {
        let answer = browser.get(path).await;
        answer.assert_status(429).assert_text("Too many requests");
        assert_eq!(answer.header("retry-after"), "900", "{path}");
    }
    browser.get("/").await.assert_status(200);
}

/// The sources of `form-action`.
fn form_action(page: &Page) -> String {
    let policy = page.header("content-security-policy");
    let (_, sources) = policy.split_once("form-action ").expect("form-action");
    sources.split(';').next().expect("sources").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn h_06_a_sign_in_for_an_organisation_may_lead_on_to_its_own_provider() {
    let app = TestApp::start().await;
    let ordinary = form_action(&app.browser().get("/auth/sign-in").await);
    assert_eq!(ordinary, format!("'self' {}", app.emulator.authority()));
    let federated = form_action(&app.browser().get("/auth/sign-in?domain_hint=contoso.example").await);
    assert_eq!(federated, format!("{ordinary} http:"), "the scheme of the provider");
    let blank = form_action(&app.browser().get("/auth/sign-in?domain_hint=%20").await);
    assert_eq!(blank, ordinary);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_3_4_7_violations_of_the_policy_are_reported_and_logged_without_codes() {
    let log = LogMark::here();
    let app = TestApp::start().await;
    let page = app.browser().get("/").await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("; report-uri /csp-reports; form-action"), "http: {policy}");
    assert_eq!(page.header("reporting-endpoints"), "");

    let new = r#"[{"type":"csp-violation","age":1,"url":"x","user_agent":"x","body":{"documentURL":
        "http://localhost/auth/callback?code=1.AXoA_secret","blockedURL":"https://new.example/a.js?token=1.AXoA_secret",
        "effectiveDirective":"script-src-elem"}},{"type":"deprecation","body":{"documentURL":"http://localhost/deprecated"}}]"#;
    let old = r#"{"csp-report":{"document-uri":"http://localhost/old","blocked-uri":"inline","violated-directive":
        "style-src-attr","effective-directive":"style-src-attr\r\nforged"}}"#;
    for (kind, body, status) in [
        ("application/reports+json", new, 204),
        ("application/csp-report", old, 204),
        ("application/csp-report; charset=utf-8", old, 204),
        ("application/reports+json", "[]", 204),
        ("application/reports+json", r#"[{"type":"csp-violation","body":7}]"#, 204),
        ("application/reports+json", "{", 400),
        ("application/csp-report", "[]", 400),
        ("application/json", new, 415),
        ("text/plain", new, 415),
    ] {
        // Browsers send reports by themselves: no cookie, and from whatever site the document was.
        let headers = [("content-type", kind), ("sec-fetch-site", "cross-site")];
        let answer = app.browser().post_raw("/csp-reports", body.to_owned(), &headers).await;
        answer.assert_status(status);
        assert!(set_cookies(&answer).is_empty());
    }
    let big = "x".repeat(70_000);
    let headers = [("content-type", "application/csp-report")];
    app.browser().post_raw("/csp-reports", big, &headers).await.assert_status(413);
    log.assert_has("https://new.example/a.js\"");
    log.assert_has("script-src-elem");
    log.assert_has("style-src-attrforged");
    log.assert_no_token();
    assert!(!log.since().contains("deprecated"));
}
