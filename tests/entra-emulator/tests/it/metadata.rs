//! Discovery documents: what Entra's have, and what they lack.

use reqwest::header;
use serde_json::json;

use crate::kit::Kit;

#[tokio::test]
async fn the_tenant_document_says_what_entras_says() {
    let kit = Kit::new();
    let url = kit.tenant_url("v2.0/.well-known/openid-configuration");
    let response = kit.get(&url).await;
    assert_eq!(response.headers()[header::CACHE_CONTROL], "max-age=86400, private");
    let document: serde_json::Value = response.json().await.expect("JSON");
    assert_eq!(document["issuer"], kit.emulator.issuer());
    assert_eq!(document["issuer"], kit.tenant_url("v2.0"));
    assert_eq!(document["authorization_endpoint"], kit.tenant_url("oauth2/v2.0/authorize"));
    assert_eq!(document["token_endpoint"], kit.tenant_url("oauth2/v2.0/token"));
    assert_eq!(document["end_session_endpoint"], kit.tenant_url("oauth2/v2.0/logout"));
    assert_eq!(document["jwks_uri"], kit.tenant_url("discovery/v2.0/keys"));
    assert_eq!(document["userinfo_endpoint"], format!("{}/oidc/userinfo", kit.emulator.graph_url()));
    assert_eq!(
        document["token_endpoint_auth_methods_supported"],
        json!(["client_secret_post", "private_key_jwt", "client_secret_basic"])
    );
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
    assert_eq!(document["response_modes_supported"], json!(["query", "fragment", "form_post"]));
    assert_eq!(document["subject_types_supported"], json!(["pairwise"]));
    assert_eq!(document["frontchannel_logout_supported"], true);
    assert_eq!(document["http_logout_supported"], true);
    for absent in [
        "code_challenge_methods_supported",
        "authorization_response_iss_parameter_supported",
        "revocation_endpoint",
        "introspection_endpoint",
        "pushed_authorization_request_endpoint",
        "backchannel_logout_supported",
    ] {
        assert!(document.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn e_10_shared_documents_have_the_template_issuer() {
    let kit = Kit::new();
    let base = kit.emulator.base_url();
    for name in ["common", "organizations"] {
        let document = kit.get_json(&format!("{base}/{name}/v2.0/.well-known/openid-configuration")).await;
        assert_eq!(document["issuer"], format!("{base}/{{tenantid}}/v2.0"));
        assert_eq!(document["token_endpoint"], format!("{base}/{name}/oauth2/v2.0/token"));
    }
}

#[tokio::test]
async fn the_domain_names_the_tenant_too() {
    let kit = Kit::new();
    let url = format!("{}/contoso.example/v2.0/.well-known/openid-configuration", kit.emulator.base_url());
    assert_eq!(kit.get_json(&url).await["issuer"], kit.emulator.issuer());
}

#[tokio::test]
async fn an_unknown_tenant_has_no_document() {
    let kit = Kit::new();
    let url = format!("{}/{}/v2.0/.well-known/openid-configuration", kit.emulator.base_url(), uuid::Uuid::nil());
    let response = kit.get(&url).await;
    assert_eq!(response.status(), 400);
    let body: serde_json::Value = response.json().await.expect("JSON");
    crate::kit::assert_error(&body, "invalid_request", 90002);
}
