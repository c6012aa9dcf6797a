//! What pages show: plain data, without a trace of the database or the provider.
//!
//! Times are strings in RFC 3339 (UTC); the `Timestamp` component renders them for people.

use serde::{Deserialize, Serialize};

/// An instant in UTC, RFC 3339, for example `2026-11-24T22:48:38Z`; empty when there is none.
pub type Timestamp = String;

/// Who looks at the page, and what every page needs to know. Provided as context for each request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageContext {
    /// The signed-in person; `None` on public pages without a session.
    pub viewer: Option<Viewer>,
    /// Value of the hidden field `csrf` in every form.
    pub csrf_token: String,
    /// The path of this request, without its query: marks the current place in the navigation.
    pub path: String,
    /// The query of this request without `?`; may be empty.
    pub query: String,
    /// What the last action did, shown once.
    pub flash: Option<Flash>,
    /// The reader's choice of colours.
    pub theme: Theme,
    /// URL of the style sheet.
    pub stylesheet_url: String,
    /// URL of the favicon.
    pub favicon_url: String,
    /// URL of the script that starts the islands; `None` when they have not been built.
    pub islands_url: Option<String>,
    /// Whether this project has Microsoft Graph parts.
    pub graph_enabled: bool,
    /// Now, for relative times and ages.
    pub now: Timestamp,
}

impl PageContext {
    /// What stands behind the last `/` of the path: the id in `/admin/users/{id}`.
    #[must_use]
    pub fn last_segment(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// The signed-in person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Viewer {
    /// Their id here.
    pub id: String,
    /// Display name, or the UPN without one.
    pub name: String,
    /// User principal name, or what the provider calls the person.
    pub upn: String,
    /// Whether `/profile/photo` has a picture.
    pub has_photo: bool,
    /// Whether the admin pages are theirs to see.
    pub is_admin: bool,
}

/// Colours of the page: follow the system, or not. Kept in the cookie `theme`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    /// The value of `data-theme`, which the style sheet looks at, of the form field `theme` and of the cookie.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A message after an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flash {
    /// How it is coloured and announced.
    pub kind: FlashKind,
    /// The text.
    pub text: String,
}

/// Success or failure of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashKind {
    /// It worked.
    Success,
    /// It did not.
    Error,
}

/// May this person sign in here?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// Yes.
    #[default]
    Active,
    /// No: an administrator or the directory said so.
    Disabled,
}

/// Member of the tenant or guest in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserType {
    /// At home in the tenant.
    #[default]
    Member,
    /// Invited from elsewhere.
    Guest,
}

/// What the admin list of users is asked for: everything is in the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// Words looked for in UPN, name, e-mail and object id.
    pub q: String,
    /// Only users with this status.
    pub status: Option<UserStatus>,
    /// Only users with this role.
    pub role: Option<String>,
    /// Only members or guests.
    pub user_type: Option<UserType>,
    /// Order.
    pub sort: UserSort,
    /// Descending order.
    pub descending: bool,
    /// Rows on a page, 10 to 200.
    pub per_page: u32,
    /// Rows after this opaque cursor.
    pub after: Option<String>,
    /// Rows before this opaque cursor.
    pub before: Option<String>,
    /// The last page.
    pub end: bool,
    /// Whether every row of the page is selected for an act.
    pub select_all: bool,
    /// Texts about values that were not understood and fell back.
    pub notices: Vec<String>,
}

/// Column that orders the admin list of users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserSort {
    /// User principal name.
    #[default]
    Upn,
    /// Display name.
    Name,
    /// E-mail.
    Email,
    /// Last sign-in.
    LastSignIn,
    /// First seen here.
    Created,
}

/// One page of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserPage {
    /// The rows, in order.
    pub rows: Vec<UserRow>,
    /// How many users fit the filters; `None` when it is not known.
    pub total: Option<u64>,
    /// How many users there are at all; tells "none yet" from "none fits".
    pub any_users: bool,
    /// Cursor of the next page; `None` on the last.
    pub next: Option<String>,
    /// Cursor of the page before; `None` on the first.
    pub prev: Option<String>,
    /// Roles that exist, for the filter.
    pub roles: Vec<String>,
}

/// One user in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserRow {
    /// Their id: `/admin/users/{id}`.
    pub id: String,
    /// User principal name.
    pub upn: String,
    /// Display name.
    pub name: String,
    /// E-mail; may be empty.
    pub email: String,
    /// Status.
    pub status: UserStatus,
    /// Member or guest.
    pub user_type: UserType,
    /// Roles, provider's and local together.
    pub roles: Vec<String>,
    /// Last sign-in.
    pub last_sign_in: Timestamp,
    /// First seen.
    pub created: Timestamp,
    /// Active sessions.
    pub sessions: u64,
}

/// Everything about one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserDetail {
    /// As in the list.
    pub row: UserRow,
    /// Whether this is the person who looks.
    pub is_self: bool,
    /// Tenant id, or issuer.
    pub realm: String,
    /// Object id, or subject.
    pub subject: String,
    /// Their page in the Entra admin center; empty with another provider.
    pub directory_url: String,
    /// Facts that the provider masters, read-only here: label and value.
    pub provider_facts: Vec<(String, String)>,
    /// Last sync from the provider.
    pub synced_at: Timestamp,
    /// Roles, each with where it comes from.
    pub roles: Vec<RoleGrant>,
    /// Roles that can be granted here.
    pub grantable_roles: Vec<String>,
    /// Groups.
    pub groups: Vec<GroupRow>,
    /// `Some` when the groups could not be read last time.
    pub kept_groups: Option<KeptGroups>,
    /// Active sessions.
    pub sessions: Vec<SessionRow>,
    /// Grants.
    pub grants: Vec<GrantRow>,
    /// Recent events, newest first.
    pub history: Vec<EventRow>,
}

/// A role and its source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleGrant {
    /// The role: `admin`.
    pub role: String,
    /// Granted by the provider's groups or app roles: read-only here.
    pub from_provider: bool,
    /// Granted here: can be revoked here.
    pub from_here: bool,
    /// Why the provider grants it: `group Finance`, `app role Admin`.
    pub provider_reasons: Vec<String>,
    /// Who granted it here.
    pub granted_by: String,
    /// When it was granted here.
    pub granted_at: Timestamp,
}

/// Groups that could not be read and stay as they were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptGroups {
    /// When they were read last; empty when nothing is kept.
    pub since: Timestamp,
    /// Until when they stay, if they cannot be read; empty when nothing is kept.
    pub until: Timestamp,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRow {
    /// Object id, the key.
    pub object_id: String,
    /// Display name, when known.
    pub name: String,
    /// How many users are known to be in it.
    pub members: u64,
    /// The roles that it gives.
    pub roles: Vec<String>,
}

/// A group or app role that gives a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingRow {
    /// A group's object id, or the value of an app role.
    pub value: String,
    /// The group's name, when it is a group and known.
    pub name: String,
    /// The role that it gives.
    pub role: String,
    /// Whether it stands in the setting `ROLE_MAPPING`: read-only here.
    pub from_setting: bool,
    /// Who added it here.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// `/admin/groups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupPage {
    /// The groups.
    pub listing: Listing<GroupRow>,
    /// All mappings: the setting's, then those added here.
    pub mappings: Vec<MappingRow>,
    /// Roles that exist, as suggestions.
    pub roles: Vec<String>,
    /// Whether memberships are kept here; without, a mapping works from the next sign-in on.
    pub memberships_kept: bool,
}

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id in URLs; not the cookie.
    pub id: String,
    /// Whose it is: user id and name.
    pub user_id: String,
    /// Name of the user.
    pub user_name: String,
    /// Browser and system in words, from the user agent.
    pub device: String,
    /// Client address.
    pub address: String,
    /// Begin.
    pub created: Timestamp,
    /// Last request, to the minute.
    pub last_seen: Timestamp,
    /// Absolute end.
    pub expires: Timestamp,
    /// Whether it is the session that looks.
    pub is_current: bool,
}

/// A grant: the tokens that this application holds for a person, without the tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantRow {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// Name of the user.
    pub user_name: String,
    /// What it is for: `Microsoft Graph`, or the provider.
    pub resource: String,
    /// Scopes.
    pub scopes: String,
    /// State.
    pub state: GrantState,
    /// The access token's end.
    pub expires: Timestamp,
    /// When the background refresh is due.
    pub next_refresh: Timestamp,
    /// Last successful refresh.
    pub last_refreshed: Timestamp,
    /// Last error in words; empty without one.
    pub last_error: String,
}

/// State of a grant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GrantState {
    /// Refreshed in the background.
    #[default]
    Live,
    /// Live, but the last refresh failed and will be tried again.
    Retrying,
    /// Without a refresh token: ends with its access token.
    Expiring,
    /// The provider wants the person to sign in again.
    NeedsSignIn,
}

impl GrantState {
    /// The value of `state` in addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Retrying => "retrying",
            Self::Expiring => "expiring",
            Self::NeedsSignIn => "needs_sign_in",
        }
    }

    /// The state of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Live, Self::Retrying, Self::Expiring, Self::NeedsSignIn].into_iter().find(|state| state.name() == name)
    }
}

/// An audit event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventRow {
    /// Its id.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What happened, in words.
    pub summary: String,
    /// Machine name: `sign_in.succeeded`.
    pub kind: String,
    /// Who did it; empty when nobody known.
    pub actor: String,
    /// On whom.
    pub subject: String,
    /// User id of the subject; empty without one, and once they are erased.
    pub subject_id: String,
    /// Client address.
    pub address: String,
    /// Request id.
    pub request_id: String,
    /// Further facts: label and value.
    pub detail: Vec<(String, String)>,
}

/// What the audit log is asked for: everything is in the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Who did it: an id or a name; empty for anybody.
    pub actor: String,
    /// What: a machine name such as `sign_in.succeeded`; empty for anything.
    pub action: String,
    /// On whom: an id or a name; empty for anybody.
    pub target: String,
    /// First day, UTC: `2026-11-24`; empty for no bound.
    pub from: String,
    /// Last day, UTC; empty for no bound.
    pub to: String,
    /// Events after this opaque cursor.
    pub after: Option<String>,
    /// Texts about values that were not understood and fell back.
    pub notices: Vec<String>,
}

/// One page of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// The events, newest first.
    pub listing: Listing<EventRow>,
    /// What can be looked for: machine name and words.
    pub actions: Vec<(String, String)>,
}

/// Numbers and lists of the admin dashboard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dashboard {
    /// All users.
    pub users: u64,
    /// Disabled users.
    pub disabled_users: u64,
    /// Active sessions.
    pub sessions: u64,
    /// Active tokens.
    pub live_grants: u64,
    /// Tokens that need a sign-in.
    pub lapsed_grants: u64,
    /// Grants whose last refresh failed.
    pub retrying_grants: u64,
    /// Sign-ins that were refused today.
    pub failed_today: u64,
    /// Sign-ins of each of the last 30 days, oldest first: date (`2026-11-24`), succeeded, failed.
    pub sign_ins_by_day: Vec<(String, u64, u64)>,
    /// Recent events, newest first.
    pub events: Vec<EventRow>,
}

/// Rows of a list with cursors: sessions, grants, audit events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// The profile of the person who looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// User principal name.
    pub upn: String,
    /// Display name.
    pub name: String,
    /// E-mail.
    pub email: String,
    /// Member or guest.
    pub user_type: UserType,
    /// Whether there is a photo.
    pub has_photo: bool,
    /// Facts from the last verified ID token: claim and value.
    pub claims: Vec<(String, String)>,
    /// Tenant id, or issuer.
    pub realm: String,
    /// Object id, or subject.
    pub subject: String,
    /// Last sync.
    pub synced_at: Timestamp,
    /// Roles with their source.
    pub roles: Vec<RoleGrant>,
    /// Groups.
    pub groups: Vec<GroupRow>,
    /// `Some` when the groups could not be read last time.
    pub kept_groups: Option<KeptGroups>,
    /// Own sessions.
    pub sessions: Vec<SessionRow>,
    /// Own grants.
    pub grants: Vec<GrantRow>,
    /// From Microsoft Graph: each part degrades alone.
    pub graph: GraphProfile,
}

/// What Microsoft Graph knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphProfile {
    /// `me`: job title, department, office, phones, …
    pub me: GraphPart,
    /// The manager.
    pub manager: GraphPart,
}

/// One part of the Graph data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphPart {
    /// Label and value; empty when nothing is known.
    pub facts: Vec<(String, String)>,
    /// When it was fetched; empty when never.
    pub fetched_at: Timestamp,
    /// Why it is missing or old, in words; empty when all is well.
    pub problem: String,
    /// The permission that the person can be asked for to see it; empty when that would not help.
    pub permission: String,
}

/// `/admin/health`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What this application depends on.
    pub checks: Vec<HealthCheck>,
    /// What all checks together found last on the instance that answers; `None` before they were run.
    pub examination: Option<Examination>,
    /// Whether that instance is running them now.
    pub is_being_examined: bool,
    /// The background jobs of the instance that answers.
    pub jobs: Vec<JobRow>,
    /// The directory sync of each tenant; none while it is off.
    pub directory: Vec<DirectoryRow>,
    /// Whom the next run of `ERASE_USERS_AFTER` erases; `None` while it is off.
    pub erasure: Option<ErasureDryRun>,
}

/// Who would be erased now for not having been here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErasureDryRun {
    /// How many.
    pub count: u64,
    /// The first of them, those who were here least lately first.
    pub users: Vec<UserRow>,
}

/// A run of all checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    /// When it ended, RFC 3339.
    pub at: String,
    /// What was found, in the order of the checks.
    pub findings: Vec<FindingRow>,
}

/// What one check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingRow {
    /// What was checked.
    pub check: String,
    /// How it came out.
    pub level: FindingLevel,
    /// What was seen.
    pub detail: String,
    /// What to do; empty if nothing.
    pub advice: String,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FindingLevel {
    /// Well.
    #[default]
    Ok,
    /// Works, but look at it.
    Warning,
    /// Does not work.
    Failure,
}

/// The directory sync of a tenant, as all instances see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryRow {
    /// GUID.
    pub tenant_id: String,
    /// Whether a round is under way.
    pub is_running: bool,
    /// When the last round began, RFC 3339; empty before the first.
    pub last_run: String,
    /// When the next round may begin, RFC 3339.
    pub next_run: String,
    /// How long the last round took, in words; empty before its end.
    pub duration: String,
    /// What the last round came to; empty when it did not come to its end.
    pub result: String,
    /// Why the last round failed; empty when it did not.
    pub error: String,
    /// How many of how many active users it would disable, when it waits for an administrator.
    pub held: Option<(u64, u64)>,
    /// Whether an administrator has let it through, and the next round disables them.
    pub is_allowed: bool,
}

/// A background job, as it fares on one instance since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobRow {
    /// What it does.
    pub title: String,
    /// Whether it runs now.
    pub is_running: bool,
    /// When the last run began, RFC 3339; empty before the first.
    pub last_run: String,
    /// When the next run begins, RFC 3339; empty while the first one runs.
    pub next_run: String,
    /// How long the last run took, in words.
    pub duration: String,
    /// What the last run that did something came to; may be empty.
    pub result: String,
    /// Why the last run failed; empty when it did not.
    pub error: String,
    /// The last failure at all, RFC 3339; empty when there was none.
    pub failed_at: String,
    /// Runs that have ended.
    pub runs: u64,
    /// Those that failed, panics among them.
    pub failures: u64,
    /// Those that panicked.
    pub panics: u64,
}

/// A check of the health page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthCheck {
    /// What was checked.
    pub name: String,
    /// Whether it is well.
    pub ok: bool,
    /// The finding, with advice when it is not well.
    pub detail: String,
}
