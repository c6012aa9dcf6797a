//! E-01 to E-13: several tenants, whose people must not pass for one another's.

use entra_emulator::{
    Control, DEV_TENANT_ID, Endpoint, KeySetShape, PERSONAL_TENANT_ID, Persona, Signing, Tenant, TokenEdit,
};
use serde_json::json;
use suite::{Refusal, TestApp};

use crate::case::{Case, case};
use crate::setup::{PERSON, UPN, merge, refuses_keys, signs_in, without};

/// A second tenant.
const OTHER: &str = "0d0d0d0d-0000-4000-8000-000000000000";

/// Somebody there, with the first tenant's administrator's addresses.
const STRANGER: &str = "stranger";

pub(crate) fn all() -> Vec<Case> {
    let mut all = vec![
        case("tenants-organizations", || signs_in_through("organizations")),
        case("tenants-common", || signs_in_through("common")),
        case("tenants-same-address-in-two", same_address_in_two),
        case("tenants-unlisted", unlisted),
        case("tenants-personal-account", personal_account),
        case("tenants-template-of-another-document", another_document),
    ];
    all.extend(tokens());
    all.extend(guests());
    all
}

/// An application for the first tenant, and for the second one if it is listed.
async fn several(endpoint: &str, with_other: bool) -> TestApp {
    let listed = if with_other { format!("{DEV_TENANT_ID},{OTHER}") } else { DEV_TENANT_ID.to_string() };
    let app =
        TestApp::builder().setting("ENTRA_TENANT_ID", endpoint).setting("ENTRA_ALLOWED_TENANTS", listed).start().await;
    add_tenant(app.emulator.control(), OTHER);
    app
}

fn add_tenant(control: &Control, id: &str) {
    let domain = "fabrikam.example";
    let tenant = Tenant { id: id.parse().expect("a GUID"), domain: domain.to_owned(), name: "Fabrikam".to_owned() };
    let stranger = Persona::member(tenant.id, domain, STRANGER, "Sam", "Stranger");
    control.add_tenant(tenant);
    let address = "admin@contoso.example".to_owned();
    control.put_persona(Persona { upn: address.clone(), email: Some(address), ..stranger });
}

async fn signs_in_through(endpoint: &str) {
    let app = several(endpoint, false).await;
    signs_in(&app).await;
    assert_eq!(app.db_user(UPN).await.realm, DEV_TENANT_ID.to_string());
}

/// nOAuth: an address is nobody's identity.
async fn same_address_in_two() {
    let app = several("organizations", true).await;
    app.sign_in("admin").await.get("/admin").await.assert_status(200);
    app.sign_in(STRANGER).await.get("/admin").await.assert_status(403);
    let users = app.db_users("admin@contoso.example").await;
    assert_eq!(users.len(), 2);
    assert_ne!(users[0].realm, users[1].realm);
}

async fn refuses(app: TestApp, persona: &str, reason: &str) {
    let refusal = Refusal::watch(&app).await;
    let answer = refusal.browser.sign_in(persona).await;
    refusal.assert(&answer, reason).await;
}

async fn unlisted() {
    refuses(several("organizations", false).await, STRANGER, "id_token.tenant_not_allowed").await;
}

async fn personal_account() {
    let app = several("common", false).await;
    add_tenant(app.emulator.control(), &PERSONAL_TENANT_ID.to_string());
    refuses(app, STRANGER, "id_token.personal_account").await;
}

/// A document for one tenant alone is not the shared one.
async fn another_document() {
    let app = several("organizations", false).await;
    let issuer = json!({"issuer": app.emulator.issuer()});
    merge(app.emulator.control(), Endpoint::Metadata, issuer);
    let refusal = Refusal::watch(&app).await;
    let page = refusal.browser.get("/auth/sign-in").await;
    let answer = refusal.browser.submit(&page.form("/auth/sign-in")).await;
    refusal.assert_not_begun(&answer, "metadata.bad_issuer").await;
}

/// Tokens that mix tenants: both are listed.
fn tokens() -> Vec<Case> {
    let refused = |id: &str, edit: TokenEdit, reason: &'static str| {
        case(id, move || async move {
            let app = several("organizations", true).await;
            app.emulator.control().edit_id_token(None, edit);
            refuses(app, PERSON, reason).await;
        })
    };
    let tid = |tid: &str| TokenEdit::claims(json!({"tid": tid}));
    vec![
        refused("tenants-tid-of-another", tid(OTHER), "id_token.bad_iss"),
        refused("tenants-tid-missing", without("tid"), "id_token.missing_tid"),
        refused("tenants-tid-path", tid("../0d0d0d0d"), "id_token.bad_tid"),
        refused("tenants-tid-upper-case", tid(&OTHER.to_uppercase()), "id_token.bad_tid"),
        refused(
            "tenants-iss-template",
            TokenEdit::claims(json!({"iss": "https://x/{tenantid}/v2.0"})),
            "id_token.bad_iss",
        ),
        refused(
            "tenants-key-of-personal-accounts",
            TokenEdit::signing(Signing::PersonalAccountsKey),
            "id_token.bad_key_issuer",
        ),
        case("tenants-key-without-issuer", || async {
            let shape = KeySetShape { without_issuer: true, ..KeySetShape::default() };
            refuses_keys(several("organizations", true).await, shape, "id_token.bad_key_issuer").await;
        }),
    ]
}

/// `BLOCK_GUEST_USERS`: by `acct`, else by `idp`; who cannot be told is a guest.
fn guests() -> Vec<Case> {
    let refused = |id: &str, claims: serde_json::Value| {
        case(id, move || async move {
            let app = TestApp::builder().setting("BLOCK_GUEST_USERS", "true").start().await;
            app.emulator.control().edit_id_token(None, TokenEdit::claims(claims));
            refuses(app, PERSON, "user.guest").await;
        })
    };
    vec![
        refused("guests-by-acct", json!({"acct": 1})),
        refused("guests-by-acct-text", json!({"acct": "1"})),
        refused("guests-by-idp", json!({"acct": null, "idp": "https://sts.windows.net/another/"})),
        refused("guests-by-personal-idp", json!({"acct": null, "idp": "live.com"})),
        refused("guests-unknown", json!({"acct": null, "idp": null})),
        case("guests-not-blocked", || async {
            let app = TestApp::start().await;
            let browser = app.sign_in("guest").await;
            browser.get("/profile").await.assert_status(200);
            assert_eq!(app.db_users("guest").await[0].user_type, "guest");
        }),
    ]
}
