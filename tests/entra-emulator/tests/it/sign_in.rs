//! Complete sign-ins: the code flow in each response mode, and what the tokens then say.

use entra_emulator::{Emulator, Endpoint, Fault, Options, OverageForm, Persona, Port, Tenant};
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::kit::{Answer, Kit, REDIRECT_URI, SCOPES, decode, form, text};

#[tokio::test]
async fn code_flow_by_query() {
    let kit = Kit::new();
    let answer = kit.pick("member1", &kit.request()).await;
    assert!(answer.url.starts_with(&format!("{REDIRECT_URI}?")));
    assert_eq!(answer.get("state"), "the-state");
    assert!(answer.cookie.as_ref().is_some_and(|cookie| cookie.starts_with("emulator-")));
    let (status, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["token_type"], "Bearer");
    let lifetime = body["expires_in"].as_i64().expect("a number");
    assert!((3600..=5400).contains(&lifetime), "{lifetime}");
    assert!(body["refresh_token"].is_string());
    let (header, claims) = decode(text(&body, "id_token"));
    assert_eq!(header["alg"], "RS256");
    assert_eq!(header["typ"], "JWT");
    let persona = kit.emulator.control().persona("member1").expect("a persona");
    let expected = json!({
        "ver": "2.0",
        "iss": kit.emulator.issuer(),
        "aud": kit.emulator.client_id(),
        "tid": kit.emulator.tenant_id(),
        "oid": persona.oid,
        "preferred_username": "member1@contoso.example",
        "upn": "member1@contoso.example",
        "email": "member1@contoso.example",
        "name": "Megan Bowen",
        "given_name": "Megan",
        "family_name": "Bowen",
        "nonce": "the-nonce",
        "acct": 0,
        "groups": persona.groups.iter().map(|group| group.id).collect::<Vec<_>>(),
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&claims[name], value, "{name}");
    }
    let time = |name: &str| claims[name].as_i64().expect("a time");
    assert_eq!(time("exp") - time("iat"), 3600);
    assert!(time("auth_time") <= time("iat"));
    assert_eq!(claims["sub"].as_str(), kit.emulator.control().subject("member1").as_deref());
    assert_ne!(claims["sub"], claims["oid"], "pairwise");
    for absent in ["roles", "idp", "at_hash", "_claim_names"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
}

#[tokio::test]
async fn code_flow_by_form_post() {
    let kit = Kit::new();
    let parameters = kit.request_with(&[("response_mode", "form_post")]);
    let page = kit.authorize(&parameters, None).await.text().await.expect("a page");
    let posted = kit.submit(&page, ("persona", "member2"), None).await;
    assert_eq!(posted.status(), StatusCode::OK);
    let page = posted.text().await.expect("a page");
    assert!(page.contains("<button"), "works without JavaScript");
    let (action, fields) = form(&page);
    assert_eq!(action, REDIRECT_URI);
    assert!(fields.contains(&("state".to_owned(), "the-state".to_owned())));
    let code = &fields.iter().find(|(name, _)| name == "code").expect("a code").1;
    let (status, body) = kit.token(&kit.redemption(code)).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(decode(text(&body, "id_token")).1["name"], "Miguel Ångström");
}

#[tokio::test]
async fn code_flow_by_fragment() {
    let kit = Kit::new();
    let answer = kit.pick("member1", &kit.request_with(&[("response_mode", "fragment")])).await;
    assert!(answer.url.starts_with(&format!("{REDIRECT_URI}#code=")));
}

#[tokio::test]
async fn the_request_may_be_posted() {
    let kit = Kit::new();
    let mut parameters = kit.request();
    parameters.push(("persona".to_owned(), "admin".to_owned()));
    let request = kit.http.post(kit.tenant_url("oauth2/v2.0/authorize")).form(&parameters);
    let answer = Answer::of(request.send().await.expect("an answer"));
    let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
    assert_eq!(decode(text(&body, "id_token")).1["roles"], json!(["Admin"]));
}

#[tokio::test]
async fn e_02_claims_follow_the_scopes() {
    let kit = Kit::new();
    let body = kit.sign_in_with("member1", &[("scope", "openid")]).await;
    let (_, claims) = decode(text(&body, "id_token"));
    for absent in ["oid", "name", "preferred_username", "email"] {
        assert!(claims.get(absent).is_none(), "{absent}");
    }
    assert!(body.get("refresh_token").is_none(), "no offline_access, no refresh token");
    let body = kit.sign_in_with("member1", &[("scope", "User.Read")]).await;
    assert!(body.get("id_token").is_none(), "no openid, no ID token");
}

#[tokio::test]
async fn e_04_a_guest_is_marked() {
    let kit = Kit::new();
    let (_, claims) = decode(text(&kit.sign_in("guest").await, "id_token"));
    assert_eq!(claims["acct"], 1);
    let idp = text(&claims, "idp");
    assert_ne!(idp, text(&claims, "iss"));
    assert!(text(&claims, "upn").contains("#EXT#"));
}

#[tokio::test]
async fn e_25_many_groups_become_an_overage() {
    let kit = Kit::new();
    let (_, claims) = decode(text(&kit.sign_in("groups").await, "id_token"));
    assert!(claims.get("groups").is_none());
    assert_eq!(claims["_claim_names"], json!({ "groups": "src1" }));
    let endpoint = claims["_claim_sources"]["src1"]["endpoint"].as_str().expect("an endpoint");
    kit.get(endpoint).await;
    assert_eq!(kit.emulator.control().count(Endpoint::ClaimSource), 1, "a call of it is seen");

    kit.emulator.control().set_overage_form(OverageForm::HasGroups);
    let (_, claims) = decode(text(&kit.sign_in("groups").await, "id_token"));
    assert_eq!(claims["hasgroups"], true);
    assert!(claims.get("_claim_names").is_none());
}

#[tokio::test]
async fn two_hundred_groups_still_fit() {
    let kit = Kit::new();
    kit.emulator.control().change_persona("groups", |persona| persona.groups.truncate(200));
    let (_, claims) = decode(text(&kit.sign_in("groups").await, "id_token"));
    assert_eq!(claims["groups"].as_array().map(Vec::len), Some(200));
}

#[tokio::test]
async fn e_01_a_second_tenant_may_use_the_same_address() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let fabrikam = Uuid::from_u128(0xfab);
    control.add_tenant(Tenant { id: fabrikam, domain: "fabrikam.example".to_owned(), name: "Fabrikam".to_owned() });
    control.put_persona(Persona {
        email: Some("admin@contoso.example".to_owned()),
        ..Persona::member(fabrikam, "fabrikam.example", "mallory", "Mallory", "Attacker")
    });
    let url = kit.authorize_url("organizations", &kit.request());
    let page = kit.get(&url).await.text().await.expect("a page");
    let answer = Answer::of(kit.submit(&page, ("persona", "mallory"), None).await);
    let form = kit.redemption(answer.get("code"));
    let elsewhere = kit.token(&form).await;
    assert_eq!(elsewhere.1["error_codes"], json!([700005]), "redeemed at another tenant than asked");
    let url = format!("{}/organizations/oauth2/v2.0/token", kit.emulator.base_url());
    let body: serde_json::Value =
        kit.http.post(url).form(&form).send().await.expect("an answer").json().await.expect("JSON");
    let (_, claims) = decode(text(&body, "id_token"));
    assert_eq!(claims["tid"], json!(fabrikam));
    assert_eq!(claims["iss"], json!(format!("{}/{fabrikam}/v2.0", kit.emulator.base_url())));
    assert_eq!(claims["email"], "admin@contoso.example");
}

#[tokio::test]
async fn the_own_api_gets_a_jwt() {
    let kit = Kit::new();
    let client_id = kit.emulator.client_id();
    let scope = format!("openid profile offline_access api://{client_id}/access_as_user");
    let body = kit.sign_in_with("admin", &[("scope", &scope)]).await;
    assert_eq!(body["scope"], json!(format!("api://{client_id}/access_as_user")));
    let (_, claims) = decode(text(&body, "access_token"));
    assert_eq!(claims["ver"], "2.0");
    assert_eq!(claims["aud"], client_id);
    assert_eq!(claims["azp"], client_id);
    assert_eq!(claims["scp"], "access_as_user");
    assert_eq!(claims["roles"], json!(["Admin"]));

    kit.emulator.control().set_access_token_version(1);
    let body = kit.sign_in_with("admin", &[("scope", &scope)]).await;
    let (_, claims) = decode(text(&body, "access_token"));
    assert_eq!(claims["ver"], "1.0");
    assert_eq!(claims["aud"], json!(format!("api://{client_id}")));
    assert_eq!(claims["appid"], client_id);
}

#[tokio::test]
async fn e_22_graph_tokens_are_opaque() {
    let kit = Kit::new();
    let body = kit.sign_in("member1").await;
    assert!(!text(&body, "access_token").starts_with("ey"));
    assert!(text(&body, "scope").contains("User.Read"));
    assert!(!text(&body, "scope").contains("offline_access"));
    assert!(SCOPES.contains("offline_access"));
}

#[tokio::test]
async fn personas_can_be_changed_and_generated() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    control.change_persona("member1", |persona| {
        persona.roles = vec!["Auditor".to_owned()];
        persona.extra_claims = json!({ "xms_edov": true, "acct": null }).as_object().expect("an object").clone();
    });
    let (_, claims) = decode(text(&kit.sign_in("member1").await, "id_token"));
    assert_eq!(claims["roles"], json!(["Auditor"]));
    assert_eq!(claims["xms_edov"], true);
    assert!(claims.get("acct").is_none());

    control.generate_personas(3);
    control.auto_sign_in_all("user");
    let mut names = Vec::new();
    for _ in 0..4 {
        let answer = Answer::of(kit.authorize(&kit.request(), None).await);
        let (_, body) = kit.token(&kit.redemption(answer.get("code"))).await;
        names.push(decode(text(&body, "id_token")).1["upn"].as_str().expect("a name").to_owned());
    }
    let expected = [1, 2, 3, 1].map(|number| format!("user0000{number}@contoso.example"));
    assert_eq!(names, expected);
}

#[tokio::test]
async fn going_offline_keeps_what_was_issued() {
    let kit = Kit::new();
    let body = kit.sign_in("member1").await;
    kit.emulator.go_offline().await;
    let refused = kit.http.get(kit.emulator.base_url()).send().await;
    assert!(refused.is_err_and(|error| error.is_connect()));
    kit.emulator.go_online().await;
    let (status, _) = kit.token(&kit.refresh(text(&body, "refresh_token"))).await;
    assert_eq!(status, StatusCode::OK);
    let base = kit.emulator.base_url().to_owned();
    kit.emulator.control().fault(Endpoint::Other, Fault::Hang);
    kit.emulator.shutdown().await;
    assert!(kit.http.get(base).send().await.is_err());
}

#[tokio::test]
async fn host_and_port_are_as_asked() {
    let kit = Kit::with(Options { host: "127.0.0.1".to_owned(), ..Options::default() });
    let port = kit.emulator.address().port();
    assert_eq!(kit.emulator.base_url(), format!("http://127.0.0.1:{port}"));
    assert!(kit.emulator.issuer().starts_with(kit.emulator.base_url()));
    let taken = Options { port: Port::Exact(port), ..Options::default() };
    assert!(Emulator::start(taken).is_err());
    let next = Kit::with(Options { port: Port::From(port), ..Options::default() });
    assert_ne!(next.emulator.address().port(), port);
}

#[tokio::test]
async fn secrets_are_drawn_and_not_shown() {
    let (one, other) = (Kit::new(), Kit::new());
    assert_ne!(one.emulator.client_secret(), other.emulator.client_secret());
    assert!(one.emulator.client_secret().len() >= 32);
    let options = Options { client_secret: Some("the-secret".to_owned()), ..Options::default() };
    assert!(!format!("{options:?}").contains("the-secret"));
    assert!(!format!("{:?}", Kit::with(options).emulator).contains("the-secret"));
}

#[tokio::test]
async fn the_start_page_says_what_it_is() {
    let kit = Kit::new();
    let page = kit.get(kit.emulator.base_url()).await.text().await.expect("a page");
    assert!(page.contains("development only"));
    assert!(page.contains("member2@contoso.example"));
    assert!(!page.contains(kit.emulator.client_secret()));
}
