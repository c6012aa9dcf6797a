//! Ways out that do not begin at our button: the provider's word, and the way back from it.

use entra_emulator::Signing;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use store::models::SessionRecord;
use suite::{Browser, Page, TestApp};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// A logout token as the emulator would send one, before it is signed.
struct LogoutToken {
    header: Value,
    claims: Value,
    signing: Signing,
}

impl LogoutToken {
    /// For this session of the provider's, or for the person by `sub` without one.
    fn new(app: &TestApp, persona: &str, sid: Option<&str>) -> Self {
        let now = app.emulator.control().now();
        let subject = app.emulator.control().subject(persona).expect("a persona");
        Self {
            header: json!({ "typ": "logout+jwt" }),
            claims: json!({
                "iss": app.emulator.issuer(),
                "aud": app.emulator.client_id(),
                "iat": now,
                "exp": now + 120,
                "jti": "jti-1",
                "events": { EVENT: {} },
                "sub": subject,
                "sid": sid,
            }),
            signing: Signing::Current,
        }
        .without_null()
    }

    fn without_null(mut self) -> Self {
        self.claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        self
    }

    /// The same with other claims; `null` removes one.
    fn with(mut self, claims: Value) -> Self {
        let given = claims.as_object().expect("an object").clone();
        self.claims.as_object_mut().expect("an object").extend(given);
        self.without_null()
    }

    fn signed(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    fn sign(self, app: &TestApp) -> String {
        app.emulator.control().sign_jwt(self.header, self.claims, self.signing)
    }
}

/// Posts as a provider does: no cookie, no `Origin`.
async fn post(app: &TestApp, token: &str) -> Page {
    let body = format!("logout_token={token}");
    app.browser().post_raw(&app.address("/auth/back-channel-logout"), body, &[]).await
}

/// The provider's session id of the person's only session.
async fn sid_of(app: &TestApp, persona: &str) -> String {
    let user = app.db_user(&format!("{persona}@contoso.example")).await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let mut sessions = SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await.expect("sessions");
    assert_eq!(sessions.len(), 1);
    sessions.remove(0).sid.expect("the provider sends sid")
}

async fn assert_signed_in(browser: &Browser) {
    browser.get("/profile").await.assert_status(200);
}

async fn assert_signed_out(browser: &Browser) {
    browser.get("/profile").await.assert_status(303);
}

#[track_caller]
fn assert_refused(name: &str, answer: &Page) {
    assert_eq!(answer.status, 400, "{name}: {}", answer.body);
    assert_eq!(answer.header("cache-control"), "no-store", "{name}");
    let error: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!(error["error"], "invalid_request", "{name}");
    assert!(error["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_a_sid_ends_its_sessions_on_every_instance_and_leaves_others() {
    let app = TestApp::builder().generic().start().await;
    let second = TestApp::builder().beside(&app).setting("PUBLIC_URL", app.origin()).start().await;
    let browser = app.sign_in("member1").await;
    let sid = sid_of(&app, "member1").await;
    let [phone, other] = [app.sign_in("member1").await, app.sign_in("member2").await];

    let answer = post(&second, &LogoutToken::new(&app, "member1", Some(&sid)).sign(&app)).await;
    answer.assert_status(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_signed_out(&browser).await;
    browser.get(&second.address("/profile")).await.assert_status(303);
    assert_signed_in(&phone).await;
    assert_signed_in(&other).await;
    let user = app.db_user("member1@contoso.example").await;
    assert_eq!(app.db_grants(&user).await.len(), 1, "a session is left");
    let event = app.db_events("sign_out.back_channel").await.remove(0);
    assert_eq!(event.subject_id.as_deref(), Some(user.id.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_a_sub_without_sid_ends_all_sessions_and_the_grants() {
    let app = TestApp::builder().generic().start().await;
    let browsers = [app.sign_in("member1").await, app.sign_in("member1").await];
    let other = app.sign_in("member2").await;
    post(&app, &LogoutToken::new(&app, "member1", None).sign(&app)).await.assert_status(200);
    for browser in &browsers {
        assert_signed_out(browser).await;
    }
    assert_signed_in(&other).await;
    assert!(app.db_grants(&app.db_user("member1@contoso.example").await).await.is_empty());
    browsers[0].sign_in("member1").await.assert_status(303);
    assert_signed_in(&browsers[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_nobody_signed_in_is_a_logout_that_succeeded() {
    let app = TestApp::builder().generic().start().await;
    post(&app, &LogoutToken::new(&app, "member1", Some("unknown")).sign(&app)).await.assert_status(200);
    assert!(app.db_events("sign_out").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_what_is_no_good_logout_token_is_refused_and_the_session_lives() {
    let app = TestApp::builder().generic().start().await;
    let browser = app.sign_in("member1").await;
    let sid = sid_of(&app, "member1").await;
    let good = || LogoutToken::new(&app, "member1", Some(&sid));
    let now = app.emulator.control().now();
    let mut id_token = good().with(json!({ "events": null, "nonce": "n" }));
    id_token.header = json!({ "typ": "JWT" });
    let mut access_token = good();
    access_token.header = json!({ "typ": "at+jwt" });
    let bad = [
        ("alg none", good().signed(Signing::None)),
        ("another alg", good().signed(Signing::HmacWithClientSecret)),
        ("PS256", good().signed(Signing::Ps256)),
        ("another key", good().signed(Signing::UnpublishedKey)),
        ("broken signature", good().signed(Signing::BrokenSignature)),
        ("no events", good().with(json!({ "events": null }))),
        ("another event", good().with(json!({ "events": { "https://example.com/event": {} } }))),
        ("event is text", good().with(json!({ "events": EVENT }))),
        ("nonce", good().with(json!({ "nonce": "n" }))),
        ("another audience", good().with(json!({ "aud": "another" }))),
        ("another issuer", good().with(json!({ "iss": "https://evil.example" }))),
        ("nobody", good().with(json!({ "sid": null, "sub": null }))),
        ("no jti", good().with(json!({ "jti": null }))),
        ("no iat", good().with(json!({ "iat": null }))),
        ("from the future", good().with(json!({ "iat": now + 301 }))),
        ("old", good().with(json!({ "iat": now - 4_000, "exp": now + 4_000 }))),
        ("expired", good().with(json!({ "iat": now - 500, "exp": now - 301 }))),
        ("an ID token", id_token),
        ("another kind", access_token),
    ];
    let count = bad.len();
    for (name, token) in bad {
        assert_refused(name, &post(&app, &token.sign(&app)).await);
        assert_signed_in(&browser).await;
    }
    let events = app.db_events("sign_out.refused").await;
    assert_eq!(events.len(), 1, "the first one stands for the others of the hour");
    assert!(events[0].detail.contains("\"reason\""), "{}", events[0].detail);
    // Refused tokens have not used the jti up.
    post(&app, &good().sign(&app)).await.assert_status(200);
    assert_signed_out(&browser).await;

    app.advance(3_600);
    assert_refused("an hour later", &post(&app, "a.b.c").await);
    let newest = app.db_events("sign_out.refused").await.remove(0);
    assert!(newest.detail.contains(&format!("\"not_recorded_before\":\"{}\"", count - 1)), "{}", newest.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_a_real_id_token_is_no_logout_token() {
    let app = TestApp::builder().generic().start().await;
    let browser = app.sign_in("member1").await;
    let user = app.db_user("member1@contoso.example").await;
    let grant = app.db_grants(&user).await.remove(0);
    let tokens = server::tokens::open(&app.state.config.tokens.keys, &grant).expect("tokens");
    let id_token = tokens.id_token.expect("an ID token");
    assert_refused("ID token", &post(&app, id_token.expose_secret()).await);
    assert_signed_in(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_a_jti_is_taken_once_on_all_instances() {
    let app = TestApp::builder().generic().start().await;
    let second = TestApp::builder().beside(&app).setting("PUBLIC_URL", app.origin()).start().await;
    let token = LogoutToken::new(&app, "member1", None).sign(&app);
    app.sign_in("member1").await;
    post(&app, &token).await.assert_status(200);
    let browser = app.sign_in("member1").await;
    for instance in [&app, &second] {
        assert_refused("replayed", &post(instance, &token).await);
    }
    server::jobs::purge(&app.state).await.expect("a purge");
    assert_refused("replayed after a purge", &post(&app, &token).await);
    assert_signed_in(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_requests_that_hold_no_token_are_refused() {
    let app = TestApp::builder().generic().start().await;
    let browser = app.browser();
    let target = app.address("/auth/back-channel-logout");
    for body in
        ["", "token=x", "logout_token=", "logout_token=a.b.c", "logout_token=%FF", "logout_token=a&logout_token=b"]
    {
        assert_refused(body, &browser.post_raw(&target, body.to_owned(), &[]).await);
    }
    browser.get("/auth/back-channel-logout").await.assert_status(405);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_ten_megabytes_are_refused_unread() {
    let app = TestApp::builder().generic().start().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("logout_token={}", "x".repeat(10 << 20));
    assert_refused("10 MB", &app.ask("POST", "/auth/back-channel-logout", &form, &body).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_h_10_it_takes_posts_from_elsewhere_and_only_what_is_refused_is_limited() {
    let app = TestApp::builder().generic().setting("AUTH_RATE_LIMIT", "3/1h").start().await;
    let headers = [("origin", "https://provider.example"), ("sec-fetch-site", "cross-site")];
    let send = async |jti: &str, audience: &str| {
        let claims = json!({ "jti": jti, "aud": audience });
        let token = LogoutToken::new(&app, "member1", None).with(claims).sign(&app);
        app.browser().post_raw("/auth/back-channel-logout", format!("logout_token={token}"), &headers).await
    };
    let ours = app.emulator.client_id();
    for number in 0..75 {
        send(&format!("good-{number}"), ours).await.assert_status(200);
    }
    for status in [400, 400, 400, 429, 429] {
        let refused = send("bad", "another").await;
        refused.assert_status(status);
        assert_eq!(refused.header("retry-after"), if status == 429 { "1200" } else { "" });
    }
    app.browser().get("/auth/sign-in").await.assert_status(429);
    send("good", ours).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_entras_tokens_are_taken_for_the_own_tenant_alone() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    let sid = sid_of(&app, "member1").await;
    let token = |tid: &str| LogoutToken::new(&app, "member1", Some(&sid)).with(json!({ "tid": tid }));
    let other = "0d0d0d0d-0000-4000-8000-000000000000";
    assert_refused("another tenant", &post(&app, &token(other).sign(&app)).await);
    let issuer = app.emulator.issuer().replace(&app.emulator.tenant_id().to_string(), other);
    assert_refused("its issuer", &post(&app, &token(other).with(json!({ "iss": issuer })).sign(&app)).await);
    assert_signed_in(&browser).await;
    post(&app, &token(&app.emulator.tenant_id().to_string()).sign(&app)).await.assert_status(200);
    assert_signed_out(&browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s_40_with_the_provider_down_nothing_is_believed() {
    let app = TestApp::builder().generic().start().await;
    let token = LogoutToken::new(&app, "member1", None).sign(&app);
    app.emulator.go_offline().await;
    assert_refused("no keys", &post(&app, &token).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s_30_the_way_back_with_whatever_state_shows_the_page_and_signs_nobody_in() {
    let app = TestApp::start().await;
    let browser = app.browser();
    for query in ["", "?state=other", "?state=", "?state=a&state=b", "?state=%FF%00<script>", "?error=x&code=y", "?%%%"]
    {
        let page = browser.get(&format!("/auth/signed-out{query}")).await;
        page.assert_status(200).assert_text("You are signed out");
        assert!(!page.body.contains("<script>"), "{query}");
        assert!(browser.cookie("id").is_none(), "{query}");
        assert_signed_out(&browser).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s_30_sign_out_leads_through_the_provider_and_back() {
    for app in [TestApp::start().await, TestApp::builder().generic().start().await] {
        let browser = app.sign_in("member1").await;
        let form = browser.get("/profile").await.form("/auth/sign-out");
        let to_provider = browser.submit(&form).await;
        to_provider.assert_status(303);
        assert_signed_out(&browser).await;
        let page = browser.follow(to_provider).await;
        page.assert_status(200);
        assert!(app.db_grants(&app.db_user("member1@contoso.example").await).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_4_sign_out_everywhere_ends_all_of_ones_own_sessions_and_nobody_elses() {
    let app = TestApp::start().await;
    let [browser, phone, other] =
        [app.sign_in("member1").await, app.sign_in("member1").await, app.sign_in("member2").await];
    let form = browser.get("/profile").await.form("/profile/sign-out-everywhere");
    browser.submit(&form).await.assert_status(303);
    assert_signed_out(&browser).await;
    assert_signed_out(&phone).await;
    assert_signed_in(&other).await;
    assert!(app.db_grants(&app.db_user("member1@contoso.example").await).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn v_7_4_the_end_of_the_last_session_forgets_the_grants() {
    let app = TestApp::start().await;
    let [browser, phone] = [app.sign_in("member1").await, app.sign_in("member1").await];
    let user = app.db_user("member1@contoso.example").await;
    browser.submit(&browser.get("/profile").await.form("/end")).await.assert_status(303);
    assert_signed_out(&phone).await;
    assert_eq!(app.db_grants(&user).await.len(), 1);

    let admin = app.sign_in("admin").await;
    let mut conn = app.state.db.conn().await.expect("a connection");
    let last = SessionRecord::list_by_user(&mut conn, &user.id, app.state.live_at()).await.expect("sessions").remove(0);
    let form = admin.get("/admin/sessions").await.form(&format!("/admin/sessions/{}/end", last.id));
    admin.submit(&form.with("confirm", "yes")).await.assert_status(303);
    assert_signed_out(&browser).await;
    assert!(app.db_grants(&user).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn e_44_single_sign_on_lets_nobody_in_unawares_after_a_sign_out() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    let form = browser.get("/profile").await.form("/auth/sign-out");
    let left = browser.submit(&form).await;
    // The provider did not end its session: the person closed the window there.
    assert!(left.location().is_some());
    let page = browser.get("/auth/signed-out").await;
    page.assert_status(200);
    assert!(page.location().is_none() && !page.body.contains("http-equiv"), "it leads nowhere by itself");
    browser.get("/profile").await.assert_status(303);
    let again = browser.submit(&page.form("/auth/sign-in")).await.location().expect("to the provider");
    assert!(again.query_pairs().any(|(name, value)| name == "prompt" && value == "select_account"), "{again}");
    assert!(browser.cookie("id").is_none(), "v_7_6_2: no session without a choice");
}

#[tokio::test(flavor = "multi_thread")]
async fn t_06_a_sign_out_needs_its_token_and_a_session() {
    let app = TestApp::start().await;
    let browser = app.sign_in("member1").await;
    let csrf = browser.get("/profile").await.form("/auth/sign-out").fields[0].1.clone();
    let other = app.sign_in("member2").await.get("/profile").await.form("/auth/sign-out").fields[0].1.clone();
    for path in ["/auth/sign-out", "/profile/sign-out-everywhere"] {
        for fields in [&[][..], &[("csrf", "")], &[("csrf", "x")], &[("csrf", other.as_str())]] {
            browser.post(path, fields).await.assert_status(400);
        }
        browser.get("/profile").await.assert_status(200);
    }
    // Without a session there is nothing to sign out of; everything else is 401 for a program.
    let anonymous = app.browser();
    let answer = anonymous.post("/auth/sign-out", &[("csrf", &csrf)]).await;
    assert_eq!(answer.assert_status(303).location_path(), "/auth/signed-out");
    let headers = [("accept", "application/json"), ("origin", app.origin())];
    let answer = anonymous.post_raw("/profile/sign-out-everywhere", format!("csrf={csrf}"), &headers).await;
    answer.assert_status(401);
    browser.get("/profile").await.assert_status(200);
}
