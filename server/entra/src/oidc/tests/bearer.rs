//! Access tokens for the application's own API: ASVS V10.3, security.md E-10 to E-22.

use serde_json::json;

use crate::oidc::testing::{AUTHORITY, Bench, CLIENT_ID, Key, OID, TENANT, Token, entra, multi};
use crate::oidc::{ApiCaller, OidcError, Permissions};

async fn verify(bench: &Bench, token: &Token) -> Result<ApiCaller, OidcError> {
    let audiences = [CLIENT_ID.to_owned(), format!("api://{CLIENT_ID}")];
    bench.client.verify_access_token(&token.sign(), &audiences, "access_as_user").await
}

#[tokio::test]
async fn v_10_3_access_tokens_for_the_api_are_checked_like_all_others() {
    type Edit = fn(&mut Token);
    let edits: [(&str, Edit, &str); 19] = [
        ("good", |_| (), "accepted"),
        ("aud by URI", |t| t.set("aud", format!("api://{CLIENT_ID}")), "accepted"),
        ("issued hours ago", |t| t.set("iat", 1_790_000_000 - 40_000), "accepted"),
        ("at+jwt", |t| drop(t.header.insert("typ".to_owned(), json!("at+jwt"))), "accepted"),
        ("Graph's token", |t| t.set("aud", "00000003-0000-0000-c000-000000000000"), "id_token.bad_aud"),
        ("aud besides ours", |t| t.set("aud", json!([CLIENT_ID, "other"])), "id_token.bad_aud"),
        ("an ID token", |t| t.remove("scp"), "access_token.no_permissions"),
        (
            "an administrator's ID token",
            |t| {
                t.remove("scp");
                t.set("roles", json!(["Admin", "Users.Read.All"]));
            },
            "access_token.no_permissions",
        ),
        ("a scope and idtyp app", |t| t.set("idtyp", "app"), "access_token.no_permissions"),
        ("scp as a list", |t| t.set("scp", json!(["access_as_user"])), "id_token.wrong_type"),
        ("alg none", |t| drop(t.header.insert("alg".to_owned(), json!("none"))), "id_token.bad_alg"),
        ("a logout token", |t| drop(t.header.insert("typ".to_owned(), json!("logout+jwt"))), "id_token.bad_typ"),
        (
            "a personal account",
            |t| {
                let personal = "9188040d-6c67-4c5b-b112-36a304b66dad";
                t.set("tid", personal);
                t.set("iss", format!("{AUTHORITY}/{personal}/v2.0"));
            },
            "id_token.bad_iss",
        ),
        ("other scope", |t| t.set("scp", "access_as_user2 User.Read"), "access_token.missing_scope"),
        ("expired", |t| t.set("exp", 1_790_000_000 - 301), "id_token.expired"),
        ("not yet", |t| t.set("nbf", 1_790_000_000 + 301), "id_token.not_yet_valid"),
        ("other key", |t| t.key = Key::B, "id_token.bad_signature"),
        ("v1 token", |t| t.set("iss", format!("https://sts.windows.net/{TENANT}/")), "id_token.bad_iss"),
        ("no oid", |t| t.remove("oid"), "id_token.missing_oid"),
    ];
    for (name, edit, expected) in edits {
        let bench = Bench::entra();
        let mut token = bench.token();
        token.set("scp", "access_as_user User.Read");
        edit(&mut token);
        let outcome = verify(&bench, &token).await;
        if let Ok(caller) = &outcome {
            assert_eq!((caller.identity.realm.as_str(), caller.identity.subject.as_str()), (TENANT, OID));
        }
        assert_eq!(outcome.map_or_else(|error| error.reason(), |_| "accepted"), expected, "{name}");
    }
}

#[tokio::test]
async fn v_10_3_an_applications_own_token_has_roles_and_says_so() {
    let bench = Bench::entra();
    let mut token = bench.token();
    token.set("idtyp", "app");
    token.set("roles", json!(["Users.Read.All"]));
    let caller = verify(&bench, &token).await.expect("accepted");
    assert_eq!(caller.permissions, Permissions::Application(vec!["Users.Read.All".to_owned()]));
    token.remove("roles");
    let caller = verify(&bench, &token).await.expect("accepted");
    assert_eq!(caller.permissions, Permissions::Application(Vec::new()));
}

#[tokio::test]
async fn v_10_3_with_several_tenants_only_those_listed_may_call() {
    let bench = Bench::with_config(entra(multi(&[TENANT])));
    for (tenant, reason) in [
        (TENANT, "accepted"),
        ("0d0d0d0d-0000-4000-8000-000000000000", "id_token.tenant_not_allowed"),
        ("9188040d-6c67-4c5b-b112-36a304b66dad", "id_token.personal_account"),
    ] {
        let mut token = bench.token();
        token.set("scp", "access_as_user");
        token.set("tid", tenant);
        token.set("iss", format!("{AUTHORITY}/{tenant}/v2.0"));
        let outcome = verify(&bench, &token).await;
        assert_eq!(outcome.map_or_else(|error| error.reason(), |_| "accepted"), reason, "{tenant}");
    }
}

#[tokio::test]
async fn e_20a_a_flood_of_unknown_keys_costs_five_fetches() {
    let bench = Bench::entra();
    bench.client.warm_up().await.expect("keys");
    for number in 0..50 {
        let mut token = bench.token();
        token.set("scp", "access_as_user");
        token.header.insert("kid".to_owned(), json!(format!("unknown-{number}")));
        verify(&bench, &token).await.expect_err("an unknown key");
    }
    assert!(bench.script.count("/keys") <= 6, "{}", bench.script.count("/keys"));
}
