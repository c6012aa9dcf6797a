//! Delta queries over users (Microsoft Graph: use delta query to track changes).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{GraphCall, GraphError, Options, READ_USERS, user_object};
use crate::personas::Entry;
use crate::state::State;
use crate::sync::lock;

/// Users on a page unless `Prefer: odata.maxpagesize` says otherwise.
const PAGE: usize = 100;

/// Where a round of pages stands; what the opaque tokens hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Round {
    /// The resynchronisation count at which the token was issued.
    epoch: u64,
    /// Changes up to this number are known to the client.
    since: u64,
    /// Changes up to this number belong to this round.
    until: u64,
    /// Position in the directory at which the next page begins. (Not a count: who changes during
    /// the round leaves it, and must not shift the others.)
    next: usize,
    /// Properties to send; empty means the default ones.
    select: String,
}

impl Round {
    fn encode(&self) -> String {
        let Self { epoch, since, until, next, select } = self;
        URL_SAFE_NO_PAD.encode(format!("{epoch}:{since}:{until}:{next}:{select}"))
    }

    fn decode(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        match text.splitn(5, ':').collect::<Vec<_>>().as_slice() {
            [epoch, since, until, next, select] => Some(Self {
                epoch: epoch.parse().ok()?,
                since: since.parse().ok()?,
                until: until.parse().ok()?,
                next: next.parse().ok()?,
                select: (*select).to_owned(),
            }),
            _ => None,
        }
    }

    /// Whether the round has `entry` in it. A first round has nobody to tell of removals.
    fn tells_of(&self, entry: &Entry, tenant_id: Uuid) -> bool {
        let changed = entry.changed > self.since && entry.changed <= self.until;
        changed && entry.persona.tenant_id == tenant_id && !(entry.deleted && self.since == 0)
    }

    fn select(&self) -> Option<&str> {
        (!self.select.is_empty()).then_some(self.select.as_str())
    }
}

/// Serves `/graph/v1.0/users/delta`.
pub(super) async fn users_delta(
    Shared(state): Shared<Arc<State>>,
    Query(options): Query<Options>,
    headers: HeaderMap,
) -> Response {
    let call = GraphCall::new(&state, &headers);
    call.answer((|| {
        let access = call.access_with(READ_USERS)?;
        let round = round(&state, &options)?;
        if round.epoch != state.delta_epoch() {
            return Ok(resync(&state, &options));
        }
        Ok(page(&state, access.tenant_id, round, page_size(&headers, &options)))
    })())
}

/// The round that the request begins or goes on with.
fn round(state: &State, options: &Options) -> Result<Round, GraphError> {
    let now = lock(&state.directory).changes();
    let begin = |since: u64, epoch: u64, select: String| Round { epoch, since, until: now, next: 0, select };
    let unreadable = || GraphError::bad_request("Badly formed token.");
    match (&options.skip_token, &options.delta_token) {
        (Some(token), _) => Round::decode(token).ok_or_else(unreadable),
        (None, Some(latest)) if latest == "latest" => {
            Ok(begin(now, state.delta_epoch(), options.select.clone().unwrap_or_default()))
        }
        (None, Some(token)) => {
            let known = Round::decode(token).ok_or_else(unreadable)?;
            Ok(begin(known.until, known.epoch, known.select))
        }
        (None, None) => Ok(begin(0, state.delta_epoch(), options.select.clone().unwrap_or_default())),
    }
}

/// 410 with the URL at which to begin anew.
fn resync(state: &State, options: &Options) -> Response {
    let select = options.select.as_ref().map(|select| format!("?$select={select}")).unwrap_or_default();
    let location = format!("{}/v1.0/users/delta{select}", state.graph_url());
    let body = json!({ "error": {
        "code": "resyncRequired",
        "message": "Resync required. Replace any local items with the server's version.",
    } });
    (StatusCode::GONE, [(header::LOCATION, location)], Json(body)).into_response()
}

fn page_size(headers: &HeaderMap, options: &Options) -> usize {
    let preferred = headers.get("prefer").and_then(|value| value.to_str().ok()?.strip_prefix("odata.maxpagesize="));
    let size = preferred.and_then(|size| size.trim().parse().ok()).or(options.top);
    size.unwrap_or(PAGE).clamp(1, 999)
}

fn page(state: &State, tenant_id: Uuid, round: Round, size: usize) -> Response {
    let entries: Vec<(usize, Entry)> = {
        let directory = lock(&state.directory);
        let remaining = directory.entries().iter().enumerate().skip(round.next);
        remaining
            .filter(|(_, entry)| round.tells_of(entry, tenant_id))
            .take(size + 1)
            .map(|(at, entry)| (at, entry.clone()))
            .collect()
    };
    let users: Vec<Value> = entries.iter().take(size).map(|(_, entry)| entity(entry, round.select())).collect();
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), format!("{}/v1.0/$metadata#users", state.graph_url()).into());
    let url = format!("{}/v1.0/users/delta", state.graph_url());
    let (name, link) = match entries.get(size) {
        Some((next, _)) => {
            let next = Round { next: *next, ..round };
            ("@odata.nextLink", format!("{url}?$skiptoken={}", next.encode()))
        }
        None => ("@odata.deltaLink", format!("{url}?$deltatoken={}", round.encode())),
    };
    body.insert(name.to_owned(), link.into());
    body.insert("value".to_owned(), users.into());
    Json(Value::Object(body)).into_response()
}

fn entity(entry: &Entry, select: Option<&str>) -> Value {
    if entry.deleted {
        return json!({ "id": entry.persona.oid, "@removed": { "reason": "changed" } });
    }
    Value::Object(user_object(&entry.persona, select))
}
