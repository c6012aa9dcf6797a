//! Microsoft Graph data of a person, fetched once in a while and kept with its age: pages show
//! what is kept and never wait for Graph once there is something.

use std::time::Duration;

use chrono::NaiveDateTime;
use entra::graph::GraphError;
use store::models::{GraphCache, Group, User};
use store::{DbConn, DbError, to_end, write_transaction};
use tokio::task::JoinHandle;

use crate::state::AppState;
use crate::tokens::user_graph::UserGraph;

/// Kept data older than this is fetched again after it was shown.
const FRESH_FOR: chrono::Duration = chrono::Duration::hours(1);
/// After a try that brought nothing there is no other one for this long, however often the page is viewed.
const RETRY_AFTER: chrono::Duration = chrono::Duration::minutes(1);
/// How long the very first view of a profile waits for Graph.
pub(crate) const FIRST_WAIT: Duration = Duration::from_secs(4);

/// Fetches the person's data in the background: after a sign-in, and when it has grown old. The
/// handle may be waited for or dropped.
pub fn spawn(state: &AppState, user: &User) -> Option<JoinHandle<()>> {
    state.graph.as_ref()?;
    let (state, user) = (state.clone(), user.clone());
    let tasks = state.tasks.clone();
    Some(tasks.spawn(async move {
        if let Err(error) = fetch(&state, &user).await {
            tracing::warn!(%error, "Graph data could not be kept");
        }
    }))
}

/// The kept parts of a person, as [`GraphCache::list`] has them. When nothing is kept yet, waits some seconds for
/// Graph; when it is old, fetches it again behind the page.
///
/// # Errors
/// [`DbError`].
pub async fn kept(state: &AppState, user: &User) -> Result<Vec<GraphCache>, DbError> {
    let mut conn = state.db.read().await?;
    let parts = GraphCache::list(&mut conn, &user.id).await?;
    drop(conn);
    let now = state.shared_now();
    // What is asked for again, and waited for, is what the page tells; the photo comes along.
    let is_first_view = !parts.iter().any(GraphCache::is_text);
    let is_fresh = |part: &GraphCache| part.problem.is_empty() && now - part.fetched_at < FRESH_FOR;
    let will_do = |part: &GraphCache| is_fresh(part) || now - part.tried_at < RETRY_AFTER;
    if parts.iter().any(|part| part.is_text() && will_do(part)) {
        return Ok(parts);
    }
    let fetching = spawn(state, user);
    if let Some(fetching) = fetching.filter(|_| is_first_view) {
        // Late or failed: the page says so, and the next view shows what has come by then.
        let _ = tokio::time::timeout(FIRST_WAIT, fetching).await;
        let mut conn = state.db.conn().await?;
        return Ok(GraphCache::list(&mut conn, &user.id).await?);
    }
    Ok(parts)
}

/// Fetches each part; a part that fails keeps its last content and says why.
async fn fetch(state: &AppState, user: &User) -> Result<(), DbError> {
    let Some(graph) = UserGraph::open(state, user).await? else {
        return Ok(());
    };
    let (me, manager, photo) = tokio::join!(graph.me(), graph.manager(), graph.photo());
    let me = me.map(|me| to_json(&Some(me)));
    let manager = manager.map(|manager| to_json(&manager));
    let photo = photo.map(|photo| photo.map_or_else(nothing, |photo| (photo.content_type.to_owned(), photo.bytes)));
    keep(state, &user.id, [("photo", photo), ("me", me), ("manager", manager)]).await?;
    name_groups(state, &graph, user).await
}

/// Fetches the names of the person's groups, unless all are known. Not everybody may read them: then
/// groups go by their ids.
async fn name_groups(state: &AppState, graph: &UserGraph, user: &User) -> Result<(), DbError> {
    let mut conn = state.db.conn().await?;
    let groups = Group::list_by_user(&mut conn, &user.id).await?;
    drop(conn);
    if groups.iter().all(|group| !group.name.is_empty()) {
        return Ok(());
    }
    let Ok(named) = graph.groups().await else {
        return Ok(());
    };
    let mut conn = state.db.conn().await?;
    for group in named {
        let Some(name) = group.display_name.filter(|name| !name.is_empty()) else {
            continue;
        };
        let is_news = |known: &Group| known.object_id.eq_ignore_ascii_case(&group.id) && known.name != name;
        if let Some(known) = groups.iter().find(|known| is_news(known)) {
            Group::set_name(&mut conn, &known.realm, &known.object_id, &name).await?;
        }
    }
    Ok(())
}

type Content = (String, Vec<u8>);

fn nothing() -> Content {
    (String::new(), Vec::new())
}

fn to_json<T: serde::Serialize>(value: &Option<T>) -> Content {
    match value.as_ref().map(serde_json::to_vec) {
        Some(Ok(json)) => ("application/json".to_owned(), json),
        _ => nothing(),
    }
}

/// Keeps the answers, each under its name, in one transaction.
async fn keep<const N: usize>(
    state: &AppState,
    user_id: &str,
    answers: [(&'static str, Result<Content, GraphError>); N],
) -> Result<(), DbError> {
    let (state, user_id) = (state.clone(), user_id.to_owned());
    to_end(async move {
        let mut conn = state.db.conn().await?;
        write_transaction!(conn, async |conn| {
            // An answer that comes after a disable or an erasure comes too late.
            if !User::find(conn, &user_id).await?.is_some_and(|user| user.is_active()) {
                return Ok(());
            }
            for (part, answer) in answers {
                keep_one(conn, &user_id, part, answer, state.shared_now()).await?;
            }
            Ok(())
        })
    })
    .await
}

async fn keep_one(
    conn: &mut DbConn,
    user_id: &str,
    part: &str,
    answer: Result<Content, GraphError>,
    now: NaiveDateTime,
) -> Result<(), DbError> {
    let problem = answer.as_ref().err().map(in_words).unwrap_or_default();
    if !problem.is_empty() && GraphCache::note_problem(conn, user_id, part, &problem, now).await? > 0 {
        return Ok(());
    }
    let (content_type, body) = answer.unwrap_or_else(|_| nothing());
    let row = GraphCache {
        user_id: user_id.to_owned(),
        part: part.to_owned(),
        content_type,
        body,
        problem,
        fetched_at: now,
        tried_at: now,
    };
    row.put(conn).await?;
    Ok(())
}

fn in_words(error: &GraphError) -> String {
    match error {
        GraphError::Unauthorized { .. } => "Microsoft Graph wants you to sign in again.",
        GraphError::Forbidden => "This application may not read this part.",
        GraphError::Throttled { .. } => "Microsoft Graph asked to slow down; it is tried again later.",
        GraphError::Unavailable { .. } => "Microsoft Graph does not answer right now.",
        GraphError::ResyncRequired | GraphError::Unexpected { .. } => "Microsoft Graph answered something unexpected.",
    }
    .to_owned()
}
