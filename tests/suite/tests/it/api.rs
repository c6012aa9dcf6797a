//! The API for programs: who may call, what they get, and what is refused how.

use entra_emulator::TokenEdit;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use suite::{Page, TestApp, db_fill};

/// Checks an error of the API: problem details, and the challenge where there is one.
#[track_caller]
fn assert_problem(name: &str, answer: &Page, status: u16, error: &str) {
    assert_eq!(answer.status, status, "{name}: {}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{name}");
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{name}");
    assert_eq!(problem["request_id"], answer.header("x-request-id"), "{name}");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{name}");
    let challenge = answer.header("www-authenticate");
    if error.is_empty() {
        assert!(!challenge.contains("error="), "{name}: {challenge}");
    } else {
        assert!(
            challenge.starts_with(&format!("Bearer error=\"{error}\", error_description=\"")),
            "{name}: {challenge}"
        );
        assert!(challenge.contains("scope=\""), "{name}: {challenge}");
    }
}

fn upns(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().expect("items");
    items.iter().map(|item| item["upn"].as_str().expect("a UPN").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_3_a_program_reads_the_person_it_works_for() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let answer = app.browser().call("/api/v1/me", &app.member_token("admin").await).await;
    answer.assert_status(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.headers.contains_key("set-cookie"));
    let (me, user) = (answer.json(), app.db_user("admin@contoso.example").await);
    assert_eq!(me["id"], user.id);
    assert_eq!(me["realm"], app.emulator.tenant_id().to_string());
    assert_eq!(me["subject"], user.subject);
    assert_eq!(me["upn"], "admin@contoso.example");
    assert_eq!(me["type"], "member");
    assert_eq!(me["status"], "active");
    assert_eq!(me["roles"], json!(["admin"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_3_users_are_for_administrators_and_for_programs_with_the_role() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    app.sign_in("member1").await;
    let program = app.browser();
    let page = program.call("/api/v1/users", &app.member_token("admin").await).await;
    assert_eq!(upns(&page.assert_status(200).json()), ["admin@contoso.example", "member1@contoso.example"]);
    program.call("/api/v1/users", &app.program_token().await).await.assert_status(200);

    let member = app.member_token("member1").await;
    assert_problem("member", &program.call("/api/v1/users", &member).await, 403, "");
    for roles in [&[][..], &["Users.Read"], &["Admin"]] {
        app.emulator.control().set_own_app_roles(roles);
        let answer = program.call("/api/v1/users", &app.program_token().await).await;
        assert_problem("a program without the role", &answer, 403, "insufficient_scope");
        assert!(answer.header("www-authenticate").contains("scope=\"Users.Read.All\""));
    }
    let answer = program.call("/api/v1/me", &app.program_token().await).await;
    assert_problem("a program is nobody", &answer, 403, "insufficient_scope");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_a_demotion_and_a_disable_are_felt_at_the_next_call() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    app.sign_in("member1").await;
    let (program, token) = (app.browser(), app.member_token("member1").await);
    let act = async |act| {
        server::people::acts::run(&app.state, act, server::people::actor::By::command_line()).await.expect("done")
    };
    let user_id = app.db_user("member1@contoso.example").await.id;
    let role = "admin".to_owned();
    act(server::people::acts::Act::GrantRole { user_id: user_id.clone(), role: role.clone() }).await;
    program.call("/api/v1/users", &token).await.assert_status(200);
    act(server::people::acts::Act::RevokeRole { user_id: user_id.clone(), role }).await;
    assert_problem("demoted", &program.call("/api/v1/users", &token).await, 403, "");
    program.call("/api/v1/me", &token).await.assert_status(200);
    act(server::people::acts::Act::Disable { user_id }).await;
    let answer = program.call("/api/v1/me", &token).await;
    assert_problem("disabled", &answer, 403, "");
    assert!(answer.body.contains("disabled"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_04_a_guest_who_signed_in_before_guests_were_blocked_is_not_admitted() {
    let open = TestApp::start().await;
    open.sign_in("guest").await;
    open.sign_in("member1").await;
    let closed = TestApp::builder().beside(&open).setting("BLOCK_GUEST_USERS", "true").start().await;
    let (guest, member) = (open.member_token("guest").await, open.member_token("member1").await);
    open.browser().call("/api/v1/me", &guest).await.assert_status(200);
    assert_problem("guest", &closed.browser().call("/api/v1/me", &guest).await, 403, "");
    closed.browser().call("/api/v1/me", &member).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_3_somebody_who_never_signed_in_is_told_to() {
    let app = TestApp::start().await;
    let answer = app.browser().call("/api/v1/me", &app.member_token("member1").await).await;
    assert_problem("unknown", &answer, 403, "");
    assert!(answer.body.contains("never signed in"), "{}", answer.body);
    assert!(app.db_users("").await.is_empty(), "a call makes no user");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_3_without_a_token_there_is_a_challenge_and_no_error() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    for path in ["/api/v1/me", "/api/v1/users", "/api/v1/nothing", "/api", "/api/", "/api/v1"] {
        for client in [&app.browser(), &browser] {
            let answer = client.get(path).await;
            assert_problem(path, &answer, 401, "");
            assert_eq!(answer.header("www-authenticate"), "Bearer scope=\"access_as_user\"", "{path}");
            assert!(!answer.body.contains("contoso"), "k_18: {path}");
        }
    }
    let token = app.member_token("admin").await;
    for (query, headers) in [
        (format!("?access_token={token}"), vec![]),
        (String::new(), vec![("authorization", "Basic YTpi")]),
        (String::new(), vec![("authorization", token.as_str())]),
        (String::new(), vec![("x-authorization", "Bearer x")]),
    ] {
        assert_problem("elsewhere", &app.browser().get_with(&format!("/api/v1/me{query}"), &headers).await, 401, "");
    }
    let malformed = app.browser().get_with("/api/v1/me", &[("authorization", "Bearer ")]).await;
    assert!([400, 401].contains(&malformed.status), "a blank may be cut on the way: {}", malformed.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_and_bearer_token_are_kept_apart() {
    let app = TestApp::start().await;
    let browser = app.sign_in("admin").await;
    let token = app.member_token("admin").await;
    // A token opens no page, alone or in place of a cookie.
    for path in ["/profile", "/admin", "/admin/users"] {
        let authorization = format!("Bearer {token}");
        let answer = app.browser().get_with(path, &[("authorization", &authorization)]).await;
        assert_eq!((answer.status, answer.location_path().split('?').next()), (303, Some("/auth/sign-in")), "{path}");
        app.browser().call(path, &token).await.assert_status(401);
    }
    // The cookie adds nothing to a token, and a bad token is not made good by it.
    app.sign_in("member1").await;
    let member = app.member_token("member1").await;
    assert_eq!(browser.call("/api/v1/me", &member).await.json()["upn"], "member1@contoso.example");
    assert_problem("with a cookie", &browser.call("/api/v1/users", &member).await, 403, "");
    assert_problem("with a cookie", &browser.call("/api/v1/me", "a.b.c").await, 401, "invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_3_e_22_tokens_for_anything_else_are_refused() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let control = app.emulator.control();
    let (program, client_id) = (app.browser(), app.emulator.client_id().to_owned());
    let user = app.db_user("admin@contoso.example").await;
    let grant = app.db_grants(&user).await.remove(0);
    let tokens = server::tokens::open(&app.state.config.tokens.keys, &grant).expect("tokens");
    let id_token = tokens.id_token.expect("an ID token");
    for (name, token) in [
        ("an ID token", id_token.expose_secret()),
        ("Graph's token", tokens.access_token.expose_secret()),
        ("text", "abc"),
        ("no claims", "e30.e30.e30"),
        ("long", &"x".repeat(7_000)),
    ] {
        assert_problem(name, &program.call("/api/v1/me", token).await, 401, "invalid_token");
    }

    control.set_access_token_version(1);
    assert_problem("v1", &program.call("/api/v1/me", &app.member_token("admin").await).await, 401, "invalid_token");
    control.set_access_token_version(2);

    let now = control.now();
    let personal = entra_emulator::PERSONAL_TENANT_ID.to_string();
    let personal_issuer = format!("{}/{personal}/v2.0", app.emulator.authority());
    for (name, claims) in [
        ("another audience", json!({ "aud": "0d0d0d0d-0000-4000-8000-000000000000" })),
        ("Graph's audience", json!({ "aud": "00000003-0000-0000-c000-000000000000" })),
        ("a second audience", json!({ "aud": [client_id, "other"] })),
        ("no audience", json!({ "aud": null })),
        ("another issuer", json!({ "iss": "https://evil.example/v2.0" })),
        ("another tenant", json!({ "tid": "0d0d0d0d-0000-4000-8000-000000000000" })),
        ("a personal account", json!({ "tid": personal, "iss": personal_issuer })),
        ("no tenant", json!({ "tid": null })),
        ("no object id", json!({ "oid": null })),
        ("expired", json!({ "exp": now - 301 })),
        ("no expiry", json!({ "exp": null })),
        ("expiry as text", json!({ "exp": (now + 600).to_string() })),
        ("not yet", json!({ "nbf": now + 301 })),
        ("neither scope nor idtyp", json!({ "scp": null })),
        ("roles, but no idtyp", json!({ "scp": null, "roles": ["Users.Read.All"] })),
    ] {
        control.edit_access_token(Some(1), TokenEdit::claims(claims));
        let token = app.member_token("admin").await;
        assert_problem(name, &program.call("/api/v1/users", &token).await, 401, "invalid_token");
    }
    for signing in [
        entra_emulator::Signing::None,
        entra_emulator::Signing::HmacWithClientSecret,
        entra_emulator::Signing::Ps256,
        entra_emulator::Signing::UnpublishedKey,
        entra_emulator::Signing::PersonalAccountsKey,
        entra_emulator::Signing::BrokenSignature,
    ] {
        control.edit_access_token(Some(1), TokenEdit { signing: Some(signing), ..TokenEdit::default() });
        let token = app.member_token("admin").await;
        assert_problem(&format!("{signing:?}"), &program.call("/api/v1/me", &token).await, 401, "invalid_token");
    }
    program.call("/api/v1/me", &app.member_token("admin").await).await.assert_status(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_10_3_another_scope_is_not_enough_and_the_settings_decide_which() {
    let app = TestApp::builder().setting("API_SCOPE", "read").setting("API_AUDIENCE", "api://other").start().await;
    app.sign_in("member1").await;
    let (program, control) = (app.browser(), app.emulator.control());
    let own = format!("openid api://{}", app.emulator.client_id());
    let answer = program.call("/api/v1/me", &app.access_token("member1", &format!("{own}/read")).await).await;
    assert_problem("the default audience", &answer, 401, "invalid_token");
    for (scope, status) in [("read", 200), ("access_as_user", 403), ("read.all", 403)] {
        control.edit_access_token(Some(1), TokenEdit::claims(json!({ "aud": "api://other" })));
        let token = app.access_token("member1", &format!("{own}/{scope}")).await;
        let answer = program.call("/api/v1/me", &token).await;
        answer.assert_status(status);
        if status == 403 {
            assert_problem(scope, &answer, 403, "insufficient_scope");
            assert!(answer.header("www-authenticate").ends_with("scope=\"read\""));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_in_pages_with_links_in_body_and_header() {
    let app = TestApp::start().await;
    db_fill(&app, 25).await;
    let filled: Vec<String> = (0..25).map(|number| format!("user{number:04}@contoso.example")).collect();
    let (program, token) = (app.browser(), app.program_token().await);
    let mut seen = Vec::new();
    let mut next = format!("{}/api/v1/users?q=user0&per_page=10", app.origin());
    let mut pages = Vec::new();
    loop {
        let answer = program.call(&next, &token).await;
        let page = answer.assert_status(200).json();
        seen.extend(upns(&page));
        let link = answer.header("link").to_owned();
        for relation in ["next", "prev"] {
            let expected = page[relation].as_str().map(|url| format!("<{url}>; rel=\"{relation}\""));
            assert_eq!(expected.is_some(), link.contains(&format!("rel=\"{relation}\"")), "{link}");
            assert!(expected.is_none_or(|expected| link.contains(&expected)), "{link}");
        }
        pages.push(page.clone());
        match page["next"].as_str() {
            Some(url) => next = url.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, filled);
    assert_eq!(pages.len(), 3);
    let back = program.call(pages[2]["prev"].as_str().expect("a page before"), &token).await.json();
    assert_eq!(upns(&back), upns(&pages[1]));
    let last = program.call("/api/v1/users?q=user0&per_page=10&end=1&dir=desc", &token).await.json();
    assert_eq!(upns(&last).last(), filled.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_filtered_and_a_bad_parameter_is_named() {
    let app = TestApp::start().await;
    db_fill(&app, 6).await;
    let (program, token) = (app.browser(), app.program_token().await);
    for (query, count) in [
        ("", 6),
        ("?q=user0003", 1),
        ("?q=%25", 0),
        ("?type=guest", 2),
        ("?status=disabled", 0),
        ("?role=admin", 0),
        ("?sort=name&dir=desc&unknown=1", 6),
    ] {
        let page = program.call(&format!("/api/v1/users{query}"), &token).await;
        assert_eq!(upns(&page.assert_status(200).json()).len(), count, "{query}");
    }
    for (query, name) in [
        ("?status=gone", "status"),
        ("?sort=age", "sort"),
        ("?dir=up", "dir"),
        ("?per_page=0", "per_page"),
        ("?per_page=201", "per_page"),
        ("?per_page=x", "per_page"),
        ("?type=robot", "type"),
        ("?after=%00", "after"),
        ("?after=abc", "cursor"),
        ("?after=abc&end=1", "after, before and end"),
    ] {
        let answer = program.call(&format!("/api/v1/users{query}"), &token).await;
        assert_problem(query, &answer, 400, "");
        assert!(
            answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(name)),
            "{query}: {}",
            answer.body
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_has_no_cors_and_other_methods_do_nothing() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let token = app.member_token("admin").await;
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("origin", "https://elsewhere.example")];
    let answer = app.browser().get_with("/api/v1/me", &headers).await;
    answer.assert_status(200);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{:?}", answer.headers);
    let answer = app.browser().post_raw("/api/v1/me", String::new(), &headers[..1]).await;
    assert_problem("POST", &answer, 405, "");
    assert_eq!(answer.header("allow"), "GET,HEAD");
    assert_problem("nothing", &app.browser().call("/api/v1/nothing", &token).await, 404, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn e_20_known_keys_outlive_the_provider_and_without_any_it_is_an_outage() {
    let app = TestApp::start().await;
    app.sign_in("member1").await;
    let token = app.member_token("member1").await;
    let fresh = TestApp::builder().beside(&app).start().await;
    app.emulator.go_offline().await;
    app.browser().call("/api/v1/me", &token).await.assert_status(200);
    let answer = fresh.browser().call("/api/v1/me", &token).await;
    assert_problem("no keys", &answer, 503, "");
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_without_the_api_has_nothing_there() {
    let app = TestApp::builder().without_api().start().await;
    let browser = app.sign_in("admin").await;
    for path in ["/api", "/api/", "/api/openapi.json", "/api/v1/me", "/api/v1/users"] {
        assert_problem(path, &app.browser().get(path).await, 404, "");
        assert_problem(path, &browser.get(path).await, 404, "");
        assert_problem(path, &app.browser().call(path, &app.member_token("admin").await).await, 404, "");
    }
}

/// What of JSON Schema (2020-12) the document uses, checked strictly: an object has no member that
/// the schema does not name.
fn conforms(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).ok_or(format!("{at}: no {reference}"))?;
        return conforms(document, target, value, at);
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let fits = choices.iter().any(|choice| conforms(document, choice, value, at).is_ok());
        return fits.then_some(()).ok_or(format!("{at}: {value} is none of {schema}"));
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    };
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return Err(format!("{at}: a schema without type: {schema}")),
    };
    if !kinds.into_iter().any(is) {
        return Err(format!("{at}: {value} is no {}", schema["type"]));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        value.get(name).ok_or(format!("{at}: no {name}"))?;
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let known = schema["properties"].get(name).or(schema.get("additionalProperties"));
        let schema = known.ok_or(format!("{at}: {name} is not in the document"))?;
        conforms(document, schema, member, &format!("{at}.{name}"))?;
    }
    value.as_array().into_iter().flatten().try_for_each(|item| conforms(document, &schema["items"], item, at))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_public_openapi_3_1_and_every_answer_is_what_it_says() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    db_fill(&app, 12).await;
    let answer = app.browser().get("/api/openapi.json").await;
    let document = answer.assert_status(200).json();
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")), "{}", document["openapi"]);
    assert_eq!(document["servers"][0]["url"], app.origin());
    let paths: Vec<&String> = document["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(paths, ["/api/v1/audit", "/api/v1/me", "/api/v1/me/manager", "/api/v1/users"]);

    let token = app.member_token("admin").await;
    for (path, query, token, status) in [
        ("/api/v1/me", "", token.as_str(), 200),
        ("/api/v1/me", "", "a.b.c", 401),
        ("/api/v1/me/manager", "", &token, 200),
        ("/api/v1/audit", "", &token, 200),
        ("/api/v1/audit", "?per_page=1", &token, 200),
        ("/api/v1/audit", "?after=x", &token, 400),
        ("/api/v1/users", "?per_page=10", &token, 200),
        ("/api/v1/users", "?end=1", &token, 200),
        ("/api/v1/users", "?q=nobody", &token, 200),
        ("/api/v1/users", "?status=x", &token, 400),
    ] {
        let answer = app.browser().call(&format!("{path}{query}"), token).await;
        answer.assert_status(status);
        let responses = &document["paths"][path]["get"]["responses"];
        let response = responses.get(status.to_string()).or(responses.get("4XX")).expect("a response");
        let schema = &response["content"][answer.header("content-type")]["schema"];
        conforms(&document, schema, &answer.json(), path).unwrap_or_else(|error| panic!("{path}{query}: {error}"));
    }
    let parameters = document["paths"]["/api/v1/users"]["get"]["parameters"].as_array().expect("parameters");
    for parameter in parameters {
        let name = parameter["name"].as_str().expect("a name");
        assert!(parameter["in"] == "query" && parameter["required"] != true, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_has_an_allowance_of_its_own_and_bad_tokens_count_by_address() {
    let app = TestApp::builder().setting("API_RATE_LIMIT", "3/1h").start().await;
    app.sign_in("member1").await;
    app.sign_in("member2").await;
    let (first, second) = (app.member_token("member1").await, app.member_token("member1").await);
    let other = app.member_token("member2").await;
    let program = app.browser();
    for token in [&first, &second, &first] {
        program.call("/api/v1/me", token).await.assert_status(200);
    }
    let refused = program.call("/api/v1/me", &second).await;
    assert_problem("used up", &refused, 429, "");
    assert_eq!(refused.header("retry-after"), "1200");
    program.call("/api/v1/me", &other).await.assert_status(200);
    for status in [401, 401, 401, 429] {
        program.call("/api/v1/me", "no-token").await.assert_status(status);
    }
    program.call("/api/v1/me", &other).await.assert_status(200);
    app.browser().get("/api/openapi.json").await.assert_status(200);
}
