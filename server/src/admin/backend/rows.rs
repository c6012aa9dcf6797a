//! From rows of the database to what pages show.

use std::collections::BTreeSet;

use app::model::{
    DirectoryRow, EventRow, FindingLevel, FindingRow, GrantRow, GrantState, GraphPart, GraphProfile, GroupRow, JobRow,
    KeptGroups, MappingRow, RoleGrant, UserRow, UserStatus, UserType,
};
use chrono::NaiveDateTime;
use entra::graph::{Manager, Me};
use store::models::{AuditEvent, DirectorySync, Grant, GraphCache, Group, RoleMapping, RoleReason, User, UserRole};
use store::rfc3339;

use crate::config::{Condition, Holdings, RoleRule, SyncConfig, fold};
use crate::diagnostics::findings::{Examination, Finding, Level};
use crate::jobs::board::JobStatus;
use crate::people::erasure::pseudonym;
use crate::people::sync::kept_until;
use crate::tokens;

pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

pub(super) fn user_type(user: &User) -> UserType {
    if user.user_type == "guest" { UserType::Guest } else { UserType::Member }
}

pub(super) fn job_row(job: JobStatus) -> JobRow {
    let time = |at: Option<NaiveDateTime>| at.map(rfc3339).unwrap_or_default();
    JobRow {
        title: job.title.to_owned(),
        is_running: job.is_running,
        last_run: time(job.last_run),
        next_run: time(job.next_run),
        duration: format!("{} ms", job.duration.as_millis()),
        result: job.last_result.map(|(_, result)| result).unwrap_or_default(),
        error: job.error,
        failed_at: time(job.last_error.map(|(at, _)| at)),
        runs: job.runs,
        failures: job.failures,
        panics: job.panics,
    }
}

pub(super) fn examination(found: &Examination) -> app::model::Examination {
    let row = |finding: &Finding| FindingRow {
        check: finding.check.to_owned(),
        level: match finding.level {
            Level::Ok => FindingLevel::Ok,
            Level::Warning => FindingLevel::Warning,
            Level::Failure => FindingLevel::Failure,
        },
        detail: finding.detail.clone(),
        advice: finding.advice.clone(),
    };
    app::model::Examination { at: rfc3339(found.at), findings: found.findings.iter().map(row).collect() }
}

pub(super) fn directory_row(sync: DirectorySync, now: NaiveDateTime) -> DirectoryRow {
    let time = |at: Option<NaiveDateTime>| at.map(rfc3339).unwrap_or_default();
    let took = sync.ended_at.zip(sync.began_at).filter(|(ended, began)| ended >= began);
    DirectoryRow {
        is_running: sync.is_running(now),
        last_run: time(sync.began_at),
        next_run: rfc3339(sync.due_at),
        duration: took.map(|(ended, began)| format!("{} ms", (ended - began).num_milliseconds())).unwrap_or_default(),
        held: (sync.held > 0).then(|| (unsigned(sync.held), unsigned(sync.held_of))),
        is_allowed: sync.held > 0 && sync.allowed == sync.held,
        tenant_id: sync.tenant_id,
        result: sync.result,
        error: sync.error,
    }
}

pub(super) fn user_row(user: &User, sessions: i64) -> UserRow {
    UserRow {
        id: user.id.clone(),
        upn: user.upn.clone(),
        name: user.display_name.clone(),
        email: user.email.clone(),
        status: if user.is_active() { UserStatus::Active } else { UserStatus::Disabled },
        user_type: user_type(user),
        roles: user.role_names().map(str::to_owned).collect(),
        last_sign_in: rfc3339(user.last_sign_in_at),
        created: rfc3339(user.created_at),
        sessions: unsigned(sessions),
    }
}

pub(super) fn role_grants(held: Vec<UserRole>) -> Vec<RoleGrant> {
    let mut grants: Vec<RoleGrant> = Vec::new();
    for role in held {
        if grants.last().is_none_or(|last| last.role != role.role) {
            grants.push(RoleGrant { role: role.role.clone(), ..RoleGrant::default() });
        }
        if let Some(last) = grants.last_mut() {
            last.from_provider |= role.source == "provider";
            if role.source == "local" {
                last.from_here = true;
                last.granted_by = role.granted_by;
                last.granted_at = rfc3339(role.granted_at);
            }
        }
    }
    grants
}

/// The rules that give a person `role`, in words; groups by their names, where those are known.
pub(super) fn reasons(held: &BTreeSet<RoleReason>, role: &str, groups: &[Group]) -> Vec<String> {
    let words = |reason: &RoleReason| {
        let Ok(condition) = reason.rule.parse::<Condition>() else { return reason.rule.clone() };
        let value = condition.value();
        let group = groups.iter().find(|group| fold(&group.object_id) == value && !group.name.is_empty());
        match (condition.is_group(), group) {
            (true, Some(group)) => format!("group {}", group.name),
            (true, None) => format!("group {value}"),
            (false, _) => format!("app role {value}"),
        }
    };
    held.iter().filter(|reason| reason.role == role).map(words).collect()
}

/// The roles that a group gives to people of its tenant.
pub(super) fn roles_of_group(rules: &[RoleRule], group: &Group) -> Vec<String> {
    let (id, nothing) = (BTreeSet::from([fold(&group.object_id)]), BTreeSet::new());
    let holdings = Holdings { realm: &group.realm, app_roles: &nothing, groups: &id };
    let roles: BTreeSet<&str> =
        rules.iter().filter(|rule| rule.condition.fits(holdings)).map(|rule| rule.role.as_str()).collect();
    roles.into_iter().map(str::to_owned).collect()
}

pub(super) fn setting_mapping_row(rule: &RoleRule) -> MappingRow {
    let (value, role) = (rule.condition.to_string(), rule.role.clone());
    MappingRow { value, role, from_setting: true, ..MappingRow::default() }
}

pub(super) fn mapping_row(mapping: RoleMapping) -> MappingRow {
    MappingRow {
        value: mapping.value,
        role: mapping.role,
        created_by: mapping.created_by,
        created_at: rfc3339(mapping.created_at),
        ..MappingRow::default()
    }
}

/// Since when, and until when, groups that cannot be read are kept as they were; `None` when they were read.
pub(super) fn kept_groups(sync: &SyncConfig, user: &User) -> Option<KeptGroups> {
    let since = user.groups_told_at().filter(|_| user.groups_kept);
    user.groups_kept.then(|| KeptGroups {
        since: since.map(rfc3339).unwrap_or_default(),
        until: since.map(|since| rfc3339(kept_until(sync, since))).unwrap_or_default(),
    })
}

pub(super) fn group_rows(groups: Vec<Group>) -> Vec<GroupRow> {
    let to_row = |group: Group| GroupRow { object_id: group.object_id, name: group.name, ..GroupRow::default() };
    groups.into_iter().map(to_row).collect()
}

pub(super) fn grant_row(grant: &Grant, user: &User) -> GrantRow {
    let state = match (grant.state.as_str(), grant.failures, grant.has_refresh_token) {
        ("needs_sign_in", _, _) => GrantState::NeedsSignIn,
        (_, 1.., _) => GrantState::Retrying,
        (_, _, false) => GrantState::Expiring,
        _ => GrantState::Live,
    };
    let time = |at: Option<NaiveDateTime>| at.map(rfc3339).unwrap_or_default();
    GrantRow {
        id: grant.id.clone(),
        user_id: user.id.clone(),
        user_name: user.name().to_owned(),
        resource: match grant.resource.as_str() {
            tokens::GRAPH => "Microsoft Graph",
            tokens::PROVIDER => "Sign-in provider",
            other => other,
        }
        .to_owned(),
        scopes: grant.scopes.clone(),
        state,
        expires: rfc3339(grant.expires_at),
        next_refresh: time(grant.due_at),
        last_refreshed: time(grant.refreshed_at),
        last_error: grant.last_error.clone(),
    }
}

pub(super) fn event_row(event: AuditEvent) -> EventRow {
    // An erased person has no page any more.
    let subject_id = event.subject_id.filter(|id| event.subject_name != pseudonym(id)).unwrap_or_default();
    EventRow {
        summary: event_summary(&event.kind).to_owned(),
        id: event.id,
        at: rfc3339(event.at),
        kind: event.kind,
        actor: event.actor_name,
        subject: event.subject_name,
        subject_id,
        address: event.address,
        request_id: event.request_id,
        detail: claim_facts(&event.detail),
    }
}

/// Every kind of event with its words.
pub(super) const EVENTS: [(&str, &str); 29] = [
    ("sign_in.succeeded", "Signed in"),
    ("sign_in.failed", "Sign-in refused"),
    ("sign_out", "Signed out"),
    ("sign_out.front_channel", "Signed out by the provider (front channel)"),
    ("sign_out.back_channel", "Signed out by the provider (back channel)"),
    ("sign_out.refused", "Logout token refused"),
    ("user.synced", "Changed by the provider"),
    ("user.disabled", "User disabled"),
    ("user.enabled", "User enabled"),
    ("user.erased", "User erased"),
    ("user.data_downloaded", "Downloaded their own data"),
    ("user.signed_out", "Signed out everywhere"),
    ("role.granted", "Role granted"),
    ("role.revoked", "Role revoked"),
    ("roles.changed", "Roles changed by a rule"),
    ("mapping.added", "Role mapping added"),
    ("mapping.removed", "Role mapping removed"),
    ("directory.held", "Directory sync put on hold"),
    ("directory.allowed", "Directory sync allowed to disable users"),
    ("session.ended", "Session ended"),
    ("grant.refreshed", "Tokens refreshed by hand"),
    ("grant.forgotten", "Tokens deleted"),
    ("grant.revoked", "Tokens revoked by the provider"),
    ("grant.needs_sign_in", "Tokens need a sign-in"),
    ("users.exported", "Users exported"),
    ("audit.exported", "Audit log exported"),
    ("audit.retention_lowered", "Audit log kept for less time"),
    ("health.examined", "Checks run"),
    ("keys.rotated", "Tokens sealed with a new key"),
];

fn event_summary(kind: &str) -> &'static str {
    EVENTS.iter().find(|(known, _)| *known == kind).map_or("Event", |(_, words)| words)
}

/// Name and value of each member of a JSON object; values that are no text as JSON.
pub(super) fn claim_facts(json: &str) -> Vec<(String, String)> {
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    object.into_iter().map(|(name, value)| (name, text(value))).collect()
}

/// What the provider masters, for the administrator.
pub(super) fn provider_facts(user: &User) -> Vec<(String, String)> {
    let facts = [
        ("User principal name", &user.upn),
        ("Display name", &user.display_name),
        ("Given name", &user.given_name),
        ("Family name", &user.family_name),
        ("E-mail", &user.email),
        ("Job title", &user.job_title),
        ("Department", &user.department),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    let known = known.map(|(label, value)| (label.to_owned(), value.clone()));
    let account =
        (user.disabled_by == "directory").then(|| ("Account".to_owned(), "disabled or deleted there".to_owned()));
    known.chain(account).collect()
}

/// The kept parts; `for_manager` is the permission without which Graph tells nobody's manager, unless it is granted.
pub(super) fn graph_profile(kept: &[GraphCache], for_manager: Option<&str>) -> GraphProfile {
    let part = |name: &str, facts: fn(&[u8]) -> Vec<(String, String)>| {
        kept.iter().find(|kept| kept.part == name).map_or_else(GraphPart::default, |kept| GraphPart {
            facts: facts(&kept.body),
            fetched_at: if kept.body.is_empty() && !kept.problem.is_empty() {
                String::new()
            } else {
                rfc3339(kept.fetched_at)
            },
            problem: kept.problem.clone(),
            permission: String::new(),
        })
    };
    let mut manager = part("manager", manager_facts);
    if !manager.problem.is_empty() {
        manager.permission = for_manager.unwrap_or_default().to_owned();
    }
    GraphProfile { me: part("me", me_facts), manager }
}

fn me_facts(json: &[u8]) -> Vec<(String, String)> {
    let Ok(me) = serde_json::from_slice::<Me>(json) else {
        return Vec::new();
    };
    let phones = Some(me.business_phones.join(", ")).filter(|phones| !phones.is_empty());
    known([
        ("Display name", me.display_name),
        ("Job title", me.job_title),
        ("Department", me.department),
        ("Office", me.office_location),
        ("Mail", me.mail),
        ("Business phones", phones),
        ("Mobile phone", me.mobile_phone),
        ("Preferred language", me.preferred_language),
    ])
}

fn manager_facts(json: &[u8]) -> Vec<(String, String)> {
    let Ok(manager) = serde_json::from_slice::<Manager>(json) else {
        return Vec::new();
    };
    known([
        ("Name", manager.display_name),
        ("Job title", manager.job_title),
        ("Mail", manager.mail.or(manager.user_principal_name)),
    ])
}

fn known<const N: usize>(facts: [(&str, Option<String>); N]) -> Vec<(String, String)> {
    facts.into_iter().filter_map(|(label, value)| Some((label.to_owned(), value?))).collect()
}
