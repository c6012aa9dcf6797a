//! What is stored about a person, for themselves: `/profile/data`. Whatever a project stores more belongs here, too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDateTime;
use serde_json::{Value, json};
use store::models::{
    AuditEvent, Grant, GraphCache, Group, LiveAt, RoleReason, SessionRecord, User, UserRole, list_app_roles,
};
use store::{DbConn, DbError, rfc3339};

use crate::observe::audit_log::AuditRecord;
use crate::session::store::SignInDetails;

/// Everything that is stored about `user`, but what would let somebody act as them: tokens, the digests of session ids,
/// and the provider's ids of sessions.
///
/// # Errors
/// [`DbError`].
pub async fn stored_about(conn: &mut DbConn, user: User, live: LiveAt) -> Result<Value, DbError> {
    let id = user.id.clone();
    let sessions = SessionRecord::list_by_user(conn, &id, live).await?;
    let roles = UserRole::list_by_user(conn, &id).await?;
    let reasons = RoleReason::list_by_user(conn, &id).await?;
    let app_roles = list_app_roles(conn, &id).await?;
    let groups = Group::list_by_user(conn, &id).await?;
    let grants = Grant::list_by_user(conn, &id).await?;
    let events = AuditEvent::list_by_person(conn, &id).await?;
    let mut graph = serde_json::Map::new();
    for part in GraphCache::list(conn, &id).await? {
        // The list has no bytes of the photo.
        if let Some(part) = GraphCache::find(conn, &id, &part.part).await? {
            graph.insert(part.part.clone(), graph_part(&part));
        }
    }
    Ok(json!({
        "made_at": rfc3339(live.now),
        "profile": profile(&user),
        "claims": serde_json::from_str::<Value>(&user.claims).unwrap_or_default(),
        "roles": roles.iter().map(role).collect::<Vec<_>>(),
        "role_rules": reasons.iter().map(|reason| json!({ "role": reason.role, "rule": reason.rule })).collect::<Vec<_>>(),
        "app_roles": app_roles,
        "groups": groups.iter().map(group).collect::<Vec<_>>(),
        "sessions": sessions.iter().map(session).collect::<Vec<_>>(),
        "grants": grants.iter().map(grant).collect::<Vec<_>>(),
        "graph": graph,
        "audit_events": events.into_iter().map(|event| own_event(event, &id)).collect::<Vec<_>>(),
    }))
}

fn profile(user: &User) -> Value {
    json!({
        "id": user.id,
        "realm": user.realm,
        "subject": user.subject,
        "upn": user.upn,
        "name": user.display_name,
        "email": user.email,
        "given_name": user.given_name,
        "family_name": user.family_name,
        "job_title": user.job_title,
        "department": user.department,
        "is_external": user.is_external,
        "type": user.user_type,
        "status": user.status,
        "roles": user.role_names().collect::<Vec<_>>(),
        "created_at": rfc3339(user.created_at),
        "last_sign_in_at": rfc3339(user.last_sign_in_at),
        "synced_at": rfc3339(user.synced_at),
        "roles_synced_at": user.roles_synced_at.map(rfc3339),
        "groups_synced_at": user.groups_synced_at.map(rfc3339),
        "groups_kept": user.groups_kept,
    })
}

fn role(role: &UserRole) -> Value {
    json!({
        "role": role.role,
        "source": role.source,
        "granted_at": rfc3339(role.granted_at),
        "granted_by": role.granted_by,
    })
}

fn group(group: &Group) -> Value {
    json!({ "object_id": group.object_id, "name": group.name })
}

fn session(session: &SessionRecord) -> Value {
    let signed_in = SignInDetails::of(session);
    json!({
        "id": session.id,
        "address": session.address,
        "user_agent": session.user_agent,
        "created_at": rfc3339(session.created_at),
        "last_seen_at": rfc3339(session.last_seen_at),
        "expires_at": rfc3339(session.expires_at),
        "authentication_methods": signed_in.as_ref().map(|signed_in| &signed_in.auth_methods),
        "authentication_contexts": signed_in.as_ref().map(|signed_in| &signed_in.auth_contexts),
    })
}

fn grant(grant: &Grant) -> Value {
    let time = |at: Option<NaiveDateTime>| at.map(rfc3339);
    json!({
        "resource": grant.resource,
        "scopes": grant.scopes,
        "state": grant.state,
        "last_error": grant.last_error,
        "expires_at": rfc3339(grant.expires_at),
        "refreshed_at": time(grant.refreshed_at),
        "created_at": rfc3339(grant.created_at),
    })
}

/// JSON as it is, anything else in base64.
fn graph_part(part: &GraphCache) -> Value {
    let content = match part.is_text() {
        true => serde_json::from_slice(&part.body).unwrap_or_default(),
        false => Value::from(STANDARD.encode(&part.body)),
    };
    json!({
        "content_type": part.content_type,
        "fetched_at": rfc3339(part.fetched_at),
        "problem": part.problem,
        "content": content,
    })
}

/// The address of an event is of whoever acted, and an administrator's is not theirs to know.
fn own_event(mut event: AuditEvent, user_id: &str) -> AuditRecord {
    if event.actor_id.as_deref().is_some_and(|actor| actor != user_id) {
        event.address.clear();
    }
    event.into()
}
