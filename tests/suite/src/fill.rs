//! Rows in bulk, for tests of lists.

use crate::TestApp;

/// `count` users straight into the table: signing in hundreds would test the emulator. Every fifth is
/// a guest, many share a name, and two each were first seen in the same minute.
///
/// # Panics
/// When they cannot be written.
pub async fn db_fill(app: &TestApp, count: usize) {
    let now = app.state.clock.now_utc();
    let mut conn = app.state.db.conn().await.expect("a connection");
    for number in 0..count {
        let upn = format!("user{number:04}@contoso.example");
        let user = store::models::NewUser {
            id: store::models::new_id(),
            realm: app.emulator.tenant_id().to_string(),
            subject: format!("subject{number}"),
            upn_fold: upn.clone(),
            upn: upn.clone(),
            // Many share a name: the id must break ties.
            display_name: format!("Name {}", number % 3),
            name_fold: format!("name {}", number % 3),
            email: upn.clone(),
            email_fold: upn,
            user_type: if number % 5 == 0 { "guest" } else { "member" }.into(),
            status: "active".into(),
            claims: "{}".into(),
            created_at: now - chrono::Duration::minutes(i64::try_from(number / 2).expect("small")),
            last_sign_in_at: now,
            synced_at: now,
            ..Default::default()
        };
        user.upsert(&mut conn).await.expect("a row");
    }
}

/// `count` people with the grants of sign-ins at the emulator, without the pages between: it has their refresh tokens.
///
/// # Panics
/// When one cannot be made.
pub async fn db_grants(app: &TestApp, count: usize) {
    use futures_util::StreamExt as _;

    app.emulator.control().generate_personas(count);
    app.emulator.control().auto_sign_in_all("user");
    let personas = app.emulator.control().personas().into_iter().filter(|persona| persona.id.starts_with("user"));
    let made = futures_util::stream::iter(personas.take(count)).map(|persona| db_grant(app, persona));
    made.buffer_unordered(16).collect::<Vec<()>>().await;
    app.emulator.control().auto_sign_in(&[]);
}

async fn db_grant(app: &TestApp, persona: entra_emulator::Persona) {
    let scopes = "openid profile email offline_access User.Read";
    let tokens = app.token_answer(&persona.upn, scopes).await;
    let text = |name: &str| tokens[name].as_str().map(secrecy::SecretString::from);
    let (now, lifetime) = (app.state.clock.now(), tokens["expires_in"].as_i64().expect("a lifetime"));
    let set = entra::oidc::TokenSet {
        access_token: text("access_token").expect("an access token"),
        refresh_token: text("refresh_token"),
        id_token: text("id_token"),
        expires_at: now + chrono::Duration::seconds(lifetime),
        obtained_at: now,
        scopes: scopes.split(' ').map(str::to_owned).collect(),
    };
    let user = store::models::NewUser {
        id: store::models::new_id(),
        realm: persona.tenant_id.to_string(),
        subject: persona.oid.to_string(),
        upn: persona.upn.clone(),
        upn_fold: persona.upn,
        user_type: "member".into(),
        status: "active".into(),
        claims: "{}".into(),
        created_at: now.naive_utc(),
        last_sign_in_at: now.naive_utc(),
        synced_at: now.naive_utc(),
        ..Default::default()
    };
    let mut conn = app.state.db.conn().await.expect("a connection");
    let user = user.upsert(&mut conn).await.expect("a row");
    let config = &app.state.config.tokens;
    server::tokens::store_grant(&mut conn, config, &user.id, "graph", &set, now).await.expect("a grant");
}

/// Puts everybody into the group with this object id.
///
/// # Panics
/// When they cannot be written.
pub async fn db_join(app: &TestApp, object_id: &str) {
    use diesel::prelude::*;
    use store::RunQueryDsl;
    use store::schema::{group_members, groups, users};

    let mut conn = app.state.db.conn().await.expect("a connection");
    let group: String = groups::table
        .filter(groups::object_id.eq(object_id))
        .select(groups::id)
        .first(&mut conn)
        .await
        .expect("a group that somebody is in");
    let others = group_members::table.select(group_members::user_id);
    users::table
        .filter(users::id.ne_all(others))
        .select((users::id, group.into_sql::<diesel::sql_types::Text>()))
        .insert_into(group_members::table)
        .into_columns((group_members::user_id, group_members::group_id))
        .execute(&mut conn)
        .await
        .expect("rows");
}

/// How SQLite goes about a query (with `?` for its values): the lines of `EXPLAIN QUERY PLAN`.
///
/// # Panics
/// When the query is none.
#[cfg(feature = "sqlite")]
pub async fn db_plan(app: &TestApp, sql: &str) -> String {
    use store::RunQueryDsl as _;

    #[derive(diesel::QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }

    let sql = sql.split("-- binds").next().unwrap_or_default();
    let mut conn = app.state.db.conn().await.expect("a connection");
    let lines: Vec<Line> =
        diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(&mut conn).await.expect("a query");
    lines.into_iter().map(|line| line.detail).collect::<Vec<_>>().join("; ")
}
