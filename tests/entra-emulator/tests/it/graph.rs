//! Microsoft Graph: profile, photo, manager, groups, users, delta queries, and their refusals.

use entra_emulator::{DEV_TENANT_ID, Persona};
use reqwest::{Response, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::{Kit, text};

async fn access_token(kit: &Kit, persona: &str) -> String {
    text(&kit.sign_in(persona).await, "access_token").to_owned()
}

async fn json_of(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.expect("JSON")
}

async fn refused(response: Response, status: StatusCode, code: &str) -> Value {
    assert_eq!(response.status(), status);
    assert!(response.headers().contains_key("request-id"));
    let body: Value = response.json().await.expect("JSON");
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["innerError"]["request-id"].is_string(), "{body}");
    body
}

#[tokio::test]
async fn g_03_me_is_the_persona() {
    let kit = Kit::new();
    let me = json_of(kit.graph("/v1.0/me", &access_token(&kit, "member1").await).await).await;
    let persona = kit.emulator.control().persona("member1").expect("a persona");
    assert_eq!(me["id"], json!(persona.oid));
    assert_eq!(me["userPrincipalName"], "member1@contoso.example");
    assert_eq!(me["displayName"], "Megan Bowen");
    assert_eq!(me["jobTitle"], "Account Manager");
    assert!(me.get("department").is_none(), "not a default property");
    let token = access_token(&kit, "member1").await;
    let me = json_of(kit.graph("/v1.0/me?$select=department,userType", &token).await).await;
    assert_eq!(me["department"], "Sales");
    assert_eq!(me["userType"], "Member");
    assert!(me.get("displayName").is_none());
}

#[tokio::test]
async fn tokens_are_needed_and_checked() {
    let kit = Kit::new();
    let url = format!("{}/v1.0/me", kit.emulator.graph_url());
    let response = kit.get(&url).await;
    assert!(response.headers()[header::WWW_AUTHENTICATE].to_str().expect("text").starts_with("Bearer "));
    refused(response, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken").await;
    refused(kit.graph("/v1.0/me", "made-up").await, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken").await;
    let own = format!("openid api://{}/access_as_user", kit.emulator.client_id());
    let body = kit.sign_in_with("member1", &[("scope", &own)]).await;
    let wrong_audience = kit.graph("/v1.0/me", text(&body, "access_token")).await;
    refused(wrong_audience, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken").await;
    let token = access_token(&kit, "member1").await;
    assert!(kit.emulator.control().revoke_access_tokens("member1"));
    refused(kit.graph("/v1.0/me", &token).await, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken").await;
}

#[tokio::test]
async fn s_08_a_token_in_the_query_is_an_error() {
    let kit = Kit::new();
    let token = access_token(&kit, "member1").await;
    let query = serde_urlencoded::to_string([("access_token", &token)]).expect("pairs");
    let response = kit.get(&format!("{}/v1.0/me?{query}", kit.emulator.graph_url())).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let recorded = kit.emulator.control().requests().pop().expect("a request");
    assert_eq!(recorded.parameter("access_token"), Some("[redacted]"));
}

#[tokio::test]
async fn permissions_decide() {
    let kit = Kit::new();
    kit.emulator.control().set_granted_scopes(&[]);
    let token = access_token(&kit, "member1").await;
    assert_eq!(kit.graph("/v1.0/me", &token).await.status(), StatusCode::OK);
    for path in ["/v1.0/me/manager", "/v1.0/users", "/v1.0/users/delta"] {
        refused(kit.graph(path, &token).await, StatusCode::FORBIDDEN, "Authorization_RequestDenied").await;
    }
    let groups = json_of(kit.graph("/v1.0/me/transitiveMemberOf", &token).await).await;
    assert!(groups["value"][0]["id"].is_string());
    assert!(groups["value"][0]["displayName"].is_null(), "limited information without a permission for groups");
    let body = kit.sign_in_with("member1", &[("scope", "openid profile")]).await;
    let response = kit.graph("/v1.0/me", text(&body, "access_token")).await;
    refused(response, StatusCode::FORBIDDEN, "Authorization_RequestDenied").await;
}

#[tokio::test]
async fn g_04_photos_are_there_or_not() {
    let kit = Kit::new();
    let token = access_token(&kit, "member1").await;
    let response = kit.graph("/v1.0/me/photo/$value", &token).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "image/png");
    let png = response.bytes().await.expect("a body");
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(&png[16..24], [0, 0, 0, 96, 0, 0, 0, 96]);
    let small = kit.graph("/v1.0/me/photos/48x48/$value", &token).await.bytes().await.expect("a body");
    assert!(small.len() < png.len());
    let metadata = json_of(kit.graph("/v1.0/me/photo", &token).await).await;
    assert_eq!(metadata["@odata.mediaContentType"], "image/png");
    let token = access_token(&kit, "member2").await;
    refused(kit.graph("/v1.0/me/photo/$value", &token).await, StatusCode::NOT_FOUND, "ImageNotFound").await;
}

#[tokio::test]
async fn managers_are_there_or_not() {
    let kit = Kit::new();
    let token = access_token(&kit, "member1").await;
    let manager = json_of(kit.graph("/v1.0/me/manager", &token).await).await;
    assert_eq!(manager["userPrincipalName"], "admin@contoso.example");
    assert_eq!(manager["@odata.type"], "#microsoft.graph.user");
    let token = access_token(&kit, "admin").await;
    refused(kit.graph("/v1.0/me/manager", &token).await, StatusCode::NOT_FOUND, "Request_ResourceNotFound").await;
}

#[tokio::test]
async fn g_05_groups_come_in_pages() {
    let kit = Kit::new();
    let token = access_token(&kit, "groups").await;
    let mut url = format!("{}/v1.0/me/transitiveMemberOf?$top=100&$count=true", kit.emulator.graph_url());
    let mut sizes = Vec::new();
    let mut ids = std::collections::HashSet::new();
    loop {
        let page = json_of(kit.http.get(&url).bearer_auth(&token).send().await.expect("an answer")).await;
        let groups = page["value"].as_array().expect("groups");
        sizes.push(groups.len());
        ids.extend(groups.iter().map(|group| text(group, "id").to_owned()));
        match page["@odata.nextLink"].as_str() {
            Some(next) => next.clone_into(&mut url),
            None => break,
        }
    }
    assert_eq!(sizes, [100, 100, 30]);
    assert_eq!(ids.len(), 230);
    let too_many = kit.graph("/v1.0/me/transitiveMemberOf?$top=1000", &token).await;
    refused(too_many, StatusCode::BAD_REQUEST, "Request_BadRequest").await;
    let cast = json_of(kit.graph("/v1.0/me/memberOf/microsoft.graph.group", &token).await).await;
    assert_eq!(cast["value"][0]["@odata.type"], "#microsoft.graph.group");
}

#[tokio::test]
async fn g_06_member_objects_are_ids() {
    let kit = Kit::new();
    let token = access_token(&kit, "groups").await;
    let url = format!("{}/v1.0/me/getMemberObjects", kit.emulator.graph_url());
    let request = kit.http.post(url).bearer_auth(&token).json(&json!({ "securityEnabledOnly": true }));
    let body = json_of(request.send().await.expect("an answer")).await;
    assert_eq!(body["value"].as_array().map(Vec::len), Some(230));
}

#[tokio::test]
async fn users_are_found_within_the_tenant() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let stranger = Persona::member(Uuid::from_u128(9), "other.example", "stranger", "Sam", "Stranger");
    let stranger_id = stranger.oid;
    control.put_persona(stranger);
    let token = access_token(&kit, "admin").await;
    let user = json_of(kit.graph("/v1.0/users/member1@contoso.example", &token).await).await;
    let by_id = json_of(kit.graph(&format!("/v1.0/users/{}", text(&user, "id")), &token).await).await;
    assert_eq!(user, by_id);
    let manager = json_of(kit.graph(&format!("/v1.0/users/{}/manager", text(&user, "id")), &token).await).await;
    assert_eq!(manager["displayName"], "Ada Admin");
    let foreign = kit.graph(&format!("/v1.0/users/{stranger_id}"), &token).await;
    refused(foreign, StatusCode::NOT_FOUND, "Request_ResourceNotFound").await;
    control.generate_personas(250);
    let page = json_of(kit.graph("/v1.0/users?$top=200", &token).await).await;
    let next = text(&page, "@odata.nextLink").to_owned();
    let rest = json_of(kit.http.get(next).bearer_auth(&token).send().await.expect("an answer")).await;
    assert_eq!(rest["value"].as_array().map(Vec::len), Some(57));
    assert!(rest.get("@odata.nextLink").is_none());
}

#[tokio::test]
async fn userinfo_has_the_same_subject() {
    let kit = Kit::new();
    let body = kit.sign_in("member1").await;
    let (_, claims) = crate::kit::decode(text(&body, "id_token"));
    let userinfo = json_of(kit.graph("/oidc/userinfo", text(&body, "access_token")).await).await;
    assert_eq!(userinfo["sub"], claims["sub"]);
    assert_eq!(userinfo["email"], "member1@contoso.example");
    assert_eq!(userinfo["name"], "Megan Bowen");
}

#[tokio::test]
async fn e_39_graph_may_ask_for_claims() {
    let kit = Kit::new();
    let challenge = json!({ "access_token": { "nbf": { "essential": true, "value": "1" } } });
    let token = access_token(&kit, "member1").await;
    assert!(kit.emulator.control().require_claims("member1", Some(&challenge.to_string())));
    let response = kit.graph("/v1.0/me", &token).await;
    let header = response.headers()[header::WWW_AUTHENTICATE].to_str().expect("text").to_owned();
    assert!(header.contains("error=\"insufficient_claims\"") && header.contains("claims=\""), "{header}");
    refused(response, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken").await;

    let mut merged = challenge;
    merged["access_token"]["xms_cc"] = json!({ "values": ["cp1"] });
    let body = kit.sign_in_with("member1", &[("claims", &merged.to_string())]).await;
    assert_eq!(kit.graph("/v1.0/me", text(&body, "access_token")).await.status(), StatusCode::OK);
    assert_eq!(kit.graph("/v1.0/me", &token).await.status(), StatusCode::UNAUTHORIZED);
    kit.emulator.control().require_claims("member1", None);
    assert_eq!(kit.graph("/v1.0/me", &token).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn e_39_claims_that_only_a_sign_in_meets() {
    let kit = Kit::new();
    let challenge = json!({ "access_token": { "nbf": { "essential": true, "value": "1" } } }).to_string();
    let before = kit.sign_in_with("member1", &[]).await;
    assert!(kit.emulator.control().require_claims_interactively("member1", &challenge));
    let mut form = kit.refresh(text(&before, "refresh_token"));
    form.push(("claims".to_owned(), challenge.clone()));
    let (_, refreshed) = kit.token(&form).await;
    assert_eq!(text(&refreshed, "error"), "invalid_grant");
    assert_eq!((text(&refreshed, "suberror"), text(&refreshed, "claims")), ("basic_action", challenge.as_str()));
    let after = kit.sign_in_with("member1", &[("claims", &challenge)]).await;
    let (_, renewed) = kit.token(&kit.refresh(text(&after, "refresh_token"))).await;
    assert_eq!(kit.graph("/v1.0/me", text(&renewed, "access_token")).await.status(), StatusCode::OK);
}

/// Follows a delta round to its end: the users and the delta link.
async fn round(kit: &Kit, token: &str, url: &str) -> (Vec<Value>, String) {
    let mut url = url.to_owned();
    let mut users = Vec::new();
    loop {
        let request = kit.http.get(&url).bearer_auth(token).header("prefer", "odata.maxpagesize=3");
        let page = json_of(request.send().await.expect("an answer")).await;
        users.extend(page["value"].as_array().expect("users").iter().cloned());
        match page["@odata.nextLink"].as_str() {
            Some(next) => next.clone_into(&mut url),
            None => return (users, text(&page, "@odata.deltaLink").to_owned()),
        }
    }
}

#[tokio::test]
async fn g_07_delta_tells_of_changes() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let token = access_token(&kit, "admin").await;
    let url = format!("{}/v1.0/users/delta?$select=displayName,accountEnabled", kit.emulator.graph_url());
    let (users, delta) = round(&kit, &token, &url).await;
    assert_eq!(users.len(), 7);
    assert!(users.iter().all(|user| user.get("mail").is_none() && user["displayName"].is_string()));

    let (users, delta) = round(&kit, &token, &delta).await;
    assert!(users.is_empty());
    control.change_persona("member1", |persona| persona.enabled = false);
    control.delete_persona("member2");
    control.put_persona(Persona::member(DEV_TENANT_ID, "contoso.example", "new", "Nora", "New"));
    let (users, next) = round(&kit, &token, &delta).await;
    let member2 = Persona::member(DEV_TENANT_ID, "contoso.example", "member2", "", "").oid;
    assert_eq!(users.len(), 3);
    assert_eq!(users[0]["accountEnabled"], false);
    assert_eq!(users[1], json!({ "id": member2, "@removed": { "reason": "changed" } }));
    assert_eq!(users[2]["displayName"], "Nora New");
    assert_eq!(round(&kit, &token, &delta).await.0, users, "a replayed link says the same");

    control.force_delta_resync();
    let response = kit.http.get(&next).bearer_auth(&token).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::GONE);
    let location = response.headers()[header::LOCATION].to_str().expect("text").to_owned();
    let (users, _) = round(&kit, &token, &location).await;
    assert_eq!(users.len(), 7, "a full round leaves the deleted out");
}

#[tokio::test]
async fn g_07_a_change_during_a_round_loses_nobody() {
    let kit = Kit::new();
    let token = access_token(&kit, "admin").await;
    let url = format!("{}/v1.0/users/delta", kit.emulator.graph_url());
    let page = |url: String| kit.http.get(url).bearer_auth(&token).header("prefer", "odata.maxpagesize=3").send();
    let first = json_of(page(url).await.expect("an answer")).await;
    kit.emulator.control().change_persona("admin", |persona| persona.name = "Ada Renamed".to_owned());
    let (rest, delta) = round(&kit, &token, text(&first, "@odata.nextLink")).await;
    assert_eq!(rest.len(), 4, "everybody who was not on the first page");
    let (changed, _) = round(&kit, &token, &delta).await;
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0]["displayName"], "Ada Renamed");
}
