//! What people see of each of Microsoft's errors: what happened, who can fix it, what to do, ids to copy (E-30 and its
//! table). One row for each number.

use entra_emulator::{AuthorizationEdit, Control, Endpoint, Fault};
use suite::{Browser, LogMark, Page, TestApp};

const YOU: &str = "What you can do";
const ADMINISTRATOR: &str = "Your administrator can fix this";
const DEVELOPERS: &str = "The developers of this application can fix this";
const TIME: &str = "This usually passes";

/// Numbers, the page's heading, who can fix it, and a word of the remedy.
type Row = (&'static [u32], &'static str, &'static str, &'static str);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    (&[50_011], "The reply address is not registered", DEVELOPERS, "/auth/callback"),
    (&[700_016, 50_194, 650_056, 65_005], "This application is not registered there", DEVELOPERS, "ENTRA_CLIENT_ID"),
    (&[90_002], "The organisation was not found", DEVELOPERS, "ENTRA_TENANT_ID"),
    (&[70_011, 28_002], "A permission is not known", DEVELOPERS, "ENTRA_SCOPES"),
    (&[7_000_215, 700_027, 7_000_218, 700_025], "This application could not identify itself", DEVELOPERS, "ENTRA_CLIENT_SECRET"),
    (&[7_000_222], "This application's secret has expired", DEVELOPERS, "Certificates & secrets"),
    (&[65_001, 90_094, 90_095], "Approval is needed", ADMINISTRATOR, "approve this application"),
    (&[65_004], "You declined the permissions", YOU, "accept them"),
    (&[50_072, 50_074, 50_076, 50_078, 50_079, 50_158], "Another factor is needed", YOU, "complete it"),
    (&[53_000, 53_001, 53_002, 53_003, 53_004, 530_032, 50_131, 50_097], "rules do not allow this sign-in", ADMINISTRATOR, "sign-in logs"),
    (&[50_173, 70_008, 700_082, 70_043, 70_000, 50_089], "Your sign-in has ended", YOU, "Sign in again"),
    (&[54_005, 501_481], "Please start again", YOU, "Start the sign-in again"),
    (&[50_057], "Your account is disabled", ADMINISTRATOR, "enable it"),
    (&[50_034, 51_004, 50_020, 16_000, 90_072, 50_014], "This account does not belong here", ADMINISTRATOR, "invite you"),
    (&[50_105], "You are not assigned to this application", ADMINISTRATOR, "assign you"),
    (&[50_058], "You need to sign in", YOU, "Sign in again"),
    (&[50_196], "Too many attempts", YOU, "Wait a few minutes"),
    (&[90_033, 90_006, 90_090, 90_024, 50_033, 50_087, 90_012, 90_055], "Sign-in is not available right now", TIME, "Wait a moment"),
];

fn explains(page: &Page, number: u32, (_, title, who, remedy): &Row) {
    assert!([400, 403, 503].contains(&page.status), "{number}: {}", page.status);
    assert_eq!(page.texts("h1").len(), 1, "{number}");
    assert!(page.texts("h1")[0].contains(title), "{number}: {:?}", page.texts("h1"));
    page.assert_text(who).assert_text(remedy).assert_text(&format!("AADSTS{number}"));
    page.assert_text("Request id").assert_text("Trace id").assert_text("Correlation id");
    assert_eq!(page.header("cache-control"), "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_30_every_number_of_the_table_says_what_happened_and_who_can_fix_it() {
    let log = LogMark::here();
    let app = TestApp::start().await;
    let mut numbers = 0;
    for row in ROWS {
        for number in row.0 {
            assert!(Control::knows_aadsts(*number), "{number}: the emulator has Microsoft's words");
            app.emulator.control().fault_next(Endpoint::Token, 1, Fault::aadsts(*number));
            let browser = app.browser();
            explains(&browser.sign_in("member1").await, *number, row);
            browser.get("/profile").await.assert_status(303);
            numbers += 1;
        }
    }
    assert_eq!(numbers, 57);
    assert_eq!(app.db_events("sign_in.failed").await.len(), numbers, "one event each");
    assert!(app.db_users("contoso").await.is_empty());
    app.sign_in("member1").await;
    log.assert_no_token();
}

#[tokio::test(flavor = "multi_thread")]
async fn e_30_every_oauth_error_has_words_and_its_number_decides_nothing() {
    let app = TestApp::start().await;
    for (error, title, status) in [
        ("access_denied", "Access was denied", 403),
        ("consent_required", "Approval is needed", 400),
        ("interaction_required", "Another step is needed", 400),
        ("login_required", "You need to sign in", 400),
        ("account_selection_required", "You need to sign in", 400),
        ("invalid_request", "The sign-in was refused", 400),
        ("unauthorized_client", "This application is not registered there", 400),
        ("invalid_scope", "A permission is not known", 400),
        ("invalid_resource", "A permission is not known", 400),
        ("server_error", "Sign-in is not available right now", 503),
        ("temporarily_unavailable", "Sign-in is not available right now", 503),
        ("made_up_in_2031", "The sign-in was refused", 400),
    ] {
        let page = refused(&app, error, "").await;
        assert_eq!((page.status, page.texts("h1")[0].as_str()), (status, title), "{error}");
        // Numbers and texts of other errors: the status, which follows from the decision, stays.
        for description in ["AADSTS50105: x", "AADSTS7000222: x", "AADSTS90033: x", "AADSTS99999999: x"] {
            assert_eq!(refused(&app, error, description).await.status, status, "{error} with {description}");
        }
    }
}

/// The answer to an authorization response with this error.
async fn refused(app: &TestApp, error: &str, description: &str) -> Page {
    app.emulator.control().edit_authorization(Some(1), AuthorizationEdit::error(error, description));
    app.browser().sign_in("member1").await
}

#[tokio::test(flavor = "multi_thread")]
async fn e_30_an_administrator_approves_the_permissions_from_the_page_itself() {
    let app = TestApp::start().await;
    app.emulator.control().set_granted_scopes(&[]);
    let page = refused(&app, "access_denied", "AADSTS90094: x").await;
    let link = page.links("main a").into_iter().find(|link| link.contains("adminconsent")).expect("a link");
    let expected = format!("{}/{}/v2.0/adminconsent?", app.emulator.authority(), app.emulator.tenant_id());
    assert!(link.starts_with(&expected), "{link}");
    let administrator = app.browser();
    let approved = administrator.get(&link).await;
    assert_eq!(approved.location_path().split('?').next(), Some("/auth/callback"), "{}", approved.location_path());
    let page = administrator.follow(approved).await;
    page.assert_status(200).assert_text("The permissions are approved");
    let at_provider = administrator.submit(&page.form("/auth/sign-in")).await;
    at_provider.assert_status(303);

    // It begins nothing and proves nothing.
    assert!(app.db_users("contoso").await.is_empty());
    let crafted = "/auth/callback?admin_consent=True";
    for (path, status) in [(crafted, 303), ("/auth/callback?admin_consent=False", 400)] {
        app.browser().get(path).await.assert_status(status);
    }
    for with in ["code=x", "state=x", "error=x", "admin_consent=True"] {
        app.browser().get(&format!("{crafted}&{with}")).await.assert_status(400);
    }
    let other = refused(&app, "access_denied", "AADSTS50105: x").await;
    assert!(!other.links("main a").iter().any(|link| link.contains("adminconsent")), "where it would not help");
}

async fn readiness(app: &TestApp) -> serde_json::Value {
    app.browser().get("/readyz").await.assert_status(200);
    app.ask_as_operator("/readyz").await.assert_status(200).json()
}

fn check<'a>(readiness: &'a serde_json::Value, name: &str) -> (bool, &'a str) {
    let checks = readiness["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == name).expect(name);
    (check["ok"].as_bool().expect("ok"), check["detail"].as_str().expect("detail"))
}

async fn health_page(admin: &Browser) -> Page {
    let page = admin.get("/admin/health").await;
    page.assert_status(200).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn e_30_and_f_15_a_refused_credential_is_an_alert_for_all_and_costs_nobody_anything() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    assert_eq!(readiness(&app).await["status"], "ready");
    app.emulator.control().expire_client_secrets(true);
    explains(&app.browser().sign_in("member1").await, 7_000_222, &ROWS[5]);

    let told = readiness(&app).await;
    assert_eq!(told["status"], "degraded");
    assert!(check(&told, "provider").0, "the provider is well: {told}");
    let (ok, detail) = check(&told, "credential");
    assert!(!ok && detail.contains("AADSTS7000222") && detail.contains("ENTRA_CLIENT_SECRET"), "{detail}");
    assert!(!detail.contains(app.emulator.client_secret()));
    health_page(&admin)
        .await
        .assert_text("This application's secret has expired")
        .assert_text("Stored tokens are kept");
    admin.get("/profile").await.assert_status(200);
    let grant = app.db_grants(&app.db_user("admin@contoso.example").await).await.remove(0);
    assert_eq!(grant.state, "live");

    app.emulator.control().expire_client_secrets(false);
    app.sign_in("member1").await;
    let told = readiness(&app).await;
    assert_eq!((&told["status"], check(&told, "credential").0), (&"ready".into(), true), "{told}");
    health_page(&admin).await.assert_text("Everything works");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_named_as_what_it_is_now() {
    let app = TestApp::start().await;
    app.emulator.control().fault_next(Endpoint::Keys, 1, Fault::respond(500, ""));
    app.browser().sign_in("member1").await.assert_status(503);
    app.advance(6);
    app.sign_in("member1").await;
    app.emulator.control().fault_next(Endpoint::Token, 1, Fault::respond(503, ""));
    app.browser().sign_in("member2").await.assert_status(503);
    let told = readiness(&app).await;
    let (ok, detail) = check(&told, "provider");
    assert!(!ok && detail.contains("not available right now") && !detail.contains("keys"), "{detail}");
    assert!(check(&told, "credential").0, "{told}");
}
