//! What pages may ask of the server: [`app::backend::Backend`] on the database, for the person who
//! looks. Admin data is given to administrators only, whatever the router let through.

use app::backend::{Backend, PageError};
use app::model::{
    AuditPage, AuditQuery, Dashboard, ErasureDryRun, GrantRow, GrantState, GroupPage, GroupRow, Health, HealthCheck,
    Listing, MappingRow, Profile, RoleGrant, SessionRow, UserDetail, UserPage, UserQuery,
};
use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use store::models::{
    ADMIN, AuditEvent, AuditFilter, Cursor, Grant, GrantFilter, GraphCache, Group, RoleMapping, RoleReason,
    SessionRecord, User, UserFilter, UserRole, is_id,
};
use store::{Conn, DbError, rfc3339};

use crate::admin::backend::rows::{
    EVENTS, claim_facts, directory_row, event_row, examination, grant_row, graph_profile, group_rows, job_row,
    kept_groups, mapping_row, provider_facts, reasons, role_grants, roles_of_group, setting_mapping_row, unsigned,
    user_row, user_type,
};
use crate::config::{Condition, ProviderKind, admin_center};
use crate::diagnostics::readiness;
use crate::directory_sync;
use crate::people::acts::known_roles;
use crate::people::counts::Remembered;
use crate::people::user_list::{UserList, Window};
use crate::people::{erasure, role_mappings};
use crate::session::current_user::CurrentUser;
use crate::session::device;
use crate::state::AppState;
use crate::tokens::consent::{self, READ_MANAGER};
use crate::tokens::graph_sync;

mod rows;

/// Rows on a page of sessions, groups, grants and events.
const PAGE: i64 = 50;
/// Events on a user's page and on the dashboard.
const HISTORY: i64 = 20;
/// Days of the dashboard's chart.
const DAYS: i64 = 30;

/// The backend of one request.
#[derive(Debug)]
pub struct ServerBackend {
    state: AppState,
    viewer: Option<CurrentUser>,
}

/// Any error of a page's data, on its way to what the page says.
struct Failure(PageError);

impl From<DbError> for Failure {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "a page has no data");
        match error {
            DbError::Unavailable(_) => Self(PageError::Unavailable),
            _ => Self(PageError::Internal),
        }
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        DbError::from(error).into()
    }
}

type Answer<T> = Result<T, Failure>;

impl ServerBackend {
    /// The backend for `viewer`.
    #[must_use]
    pub fn new(state: AppState, viewer: Option<CurrentUser>) -> Self {
        Self { state, viewer }
    }

    fn viewer(&self) -> Answer<&CurrentUser> {
        self.viewer.as_ref().ok_or(Failure(PageError::Forbidden))
    }

    fn require_admin(&self) -> Answer<&CurrentUser> {
        let viewer = self.viewer()?;
        if viewer.user.has_role(ADMIN) { Ok(viewer) } else { Err(Failure(PageError::Forbidden)) }
    }

    async fn conn(&self) -> Answer<Conn> {
        Ok(self.state.db.conn().await?)
    }

    /// For reads that an index answers; counts and searches take [`Self::conn`].
    async fn reader(&self) -> Answer<Conn> {
        Ok(self.state.db.read().await?)
    }

    async fn profile_data(&self) -> Answer<Profile> {
        let viewer = self.viewer()?;
        let user = &viewer.user;
        let graph = graph_sync::kept(&self.state, user).await?;
        let mut conn = self.reader().await?;
        let sessions = SessionRecord::list_by_user(&mut conn, &user.id, self.state.live_at()).await?;
        let grants = Grant::list_by_user(&mut conn, &user.id).await?;
        let groups = Group::list_by_user(&mut conn, &user.id).await?;
        Ok(Profile {
            upn: user.upn.clone(),
            name: user.name().to_owned(),
            email: user.email.clone(),
            user_type: user_type(user),
            has_photo: self.state.graph.is_some() && graph.iter().any(GraphCache::is_photo),
            claims: claim_facts(&user.claims),
            realm: user.realm.clone(),
            subject: user.subject.clone(),
            synced_at: rfc3339(user.synced_at),
            roles: role_grants_of(&mut conn, user, &groups).await?,
            groups: group_rows(groups),
            kept_groups: kept_groups(&self.state.config.sync, user),
            sessions: sessions.iter().map(|session| self.session_row(session, user)).collect(),
            grants: grants.iter().map(|grant| grant_row(grant, user)).collect(),
            graph: graph_profile(&graph, consent::missing(&self.state, &grants, READ_MANAGER)),
        })
    }

    async fn user_page(&self, query: UserQuery) -> Answer<UserPage> {
        self.require_admin()?;
        let list = UserList::or_first_page(&query);
        let filter = list.filter();
        let total = self.count_users(filter).await?;
        let is_whole_list = *filter == UserFilter::default();
        let mut conn = if is_whole_list { self.reader().await? } else { self.conn().await? };
        let Window { users, next, prev } = list.window_with_sessions(&mut conn, self.state.live_at()).await?;
        Ok(UserPage {
            any_users: !users.is_empty() || !is_whole_list,
            rows: users.iter().map(|(user, sessions)| user_row(user, *sessions)).collect(),
            total,
            next,
            prev,
            roles: known_roles(&self.state, &mut conn).await?.into_iter().collect(),
        })
    }

    async fn count_users(&self, filter: &UserFilter) -> Answer<Option<u64>> {
        match self.state.counts.get(filter, self.state.shared_now()) {
            Some(Remembered::Fresh(count)) => Ok(count),
            Some(Remembered::Old(count)) => {
                let (state, filter) = (self.state.clone(), filter.clone());
                self.state.tasks.spawn(async move {
                    if let Err(error) = count_users_now(&state, filter).await {
                        tracing::warn!(%error, "the users could not be counted");
                    }
                });
                Ok(count)
            }
            None => Ok(count_users_now(&self.state, filter.clone()).await?),
        }
    }

    async fn user_detail(&self, id: String) -> Answer<UserDetail> {
        let viewer = self.require_admin()?;
        if !is_id(&id) {
            return Err(Failure(PageError::NotFound));
        }
        let mut conn = self.reader().await?;
        let user = User::find(&mut conn, &id).await?.ok_or(Failure(PageError::NotFound))?;
        let sessions = SessionRecord::list_by_user(&mut conn, &id, self.state.live_at()).await?;
        let grants = Grant::list_by_user(&mut conn, &id).await?;
        let groups = Group::list_by_user(&mut conn, &id).await?;
        let history = AuditEvent::list_by_subject(&mut conn, &id, HISTORY).await?;
        let rules = role_mappings::rules(&self.state, &mut conn).await?;
        Ok(UserDetail {
            row: user_row(&user, i64::try_from(sessions.len()).unwrap_or(i64::MAX)),
            is_self: viewer.user.id == user.id,
            realm: user.realm.clone(),
            subject: user.subject.clone(),
            directory_url: directory_url(&self.state, &user),
            provider_facts: provider_facts(&user),
            synced_at: rfc3339(user.synced_at),
            roles: role_grants_of(&mut conn, &user, &groups).await?,
            kept_groups: kept_groups(&self.state.config.sync, &user),
            grantable_roles: role_mappings::grantable_roles(&rules).into_iter().collect(),
            groups: group_rows(groups),
            sessions: sessions.iter().map(|session| self.session_row(session, &user)).collect(),
            grants: grants.iter().map(|grant| grant_row(grant, &user)).collect(),
            history: history.into_iter().map(event_row).collect(),
        })
    }

    async fn dashboard_data(&self) -> Answer<Dashboard> {
        self.require_admin()?;
        let disabled = UserFilter { status: Some("disabled".to_owned()), ..UserFilter::default() };
        let users = self.count_users(&UserFilter::default()).await?.unwrap_or_default();
        let disabled_users = self.count_users(&disabled).await?.unwrap_or_default();
        let mut conn = self.conn().await?;
        let sign_ins_by_day = self.sign_ins_by_day(&mut conn).await?;
        let events = AuditEvent::list(&mut conn, &AuditFilter::default(), None, HISTORY).await?;
        Ok(Dashboard {
            users,
            disabled_users,
            sessions: unsigned(SessionRecord::count_live(&mut conn, self.state.live_at()).await?),
            live_grants: unsigned(Grant::count(&mut conn, GrantFilter::Live).await?),
            lapsed_grants: unsigned(Grant::count(&mut conn, GrantFilter::NeedsSignIn).await?),
            retrying_grants: unsigned(Grant::count(&mut conn, GrantFilter::Retrying).await?),
            failed_today: sign_ins_by_day.last().map_or(0, |(_, _, failed)| *failed),
            sign_ins_by_day,
            events: events.into_iter().map(event_row).collect(),
        })
    }

    /// Of the last days, oldest first. A day that is over is counted once.
    async fn sign_ins_by_day(&self, conn: &mut Conn) -> Answer<Vec<(String, u64, u64)>> {
        let today = self.state.shared_now().date();
        let mut days = Vec::new();
        for back in (0..DAYS).rev() {
            let day = today - chrono::Duration::days(back);
            let (good, bad) = match self.state.counts.day(day) {
                Some(counts) => counts,
                None => {
                    let (from, to) = (day.and_time(NaiveTime::MIN), (day + chrono::Duration::days(1)));
                    let to = to.and_time(NaiveTime::MIN);
                    let good = unsigned(AuditEvent::count_kind(conn, "sign_in.succeeded", from, to).await?);
                    let bad = unsigned(AuditEvent::count_kind(conn, "sign_in.failed", from, to).await?);
                    // A transaction that began yesterday may still be under way at midnight.
                    if back > 1 {
                        self.state.counts.put_day(day, (good, bad));
                    }
                    (good, bad)
                }
            };
            days.push((day.to_string(), good, bad));
        }
        Ok(days)
    }

    async fn session_list(&self, after: Option<String>) -> Answer<Listing<SessionRow>> {
        self.require_admin()?;
        let after = after.and_then(|text| Cursor::decode(&text, "sessions"));
        let after = after.and_then(|cursor| Some((time_of(&cursor.key)?, cursor.id)));
        let mut conn = self.conn().await?;
        let rows = SessionRecord::list(&mut conn, self.state.live_at(), after, PAGE + 1).await?;
        Ok(listing(
            rows,
            |(session, _)| cursor("sessions", micros_text(session.last_seen_at), &session.id),
            |(session, user)| self.session_row(&session, &user),
        ))
    }

    async fn group_page(&self, after: Option<String>) -> Answer<GroupPage> {
        self.require_admin()?;
        let mut conn = self.conn().await?;
        let groups = Group::list(&mut conn, &id_after(after, "groups"), PAGE + 1).await?;
        let added = RoleMapping::list(&mut conn).await?;
        let rules = role_mappings::rules_with(&self.state, &added);
        let to_row = |(group, members): (Group, i64)| GroupRow {
            roles: roles_of_group(&rules, &group),
            object_id: group.object_id,
            name: group.name,
            members: unsigned(members),
        };
        Ok(GroupPage {
            listing: listing(groups, |(group, _)| cursor("groups", String::new(), &group.id), to_row),
            mappings: self.mapping_rows(&mut conn, added).await?,
            roles: role_mappings::grantable_roles(&rules).into_iter().collect(),
            memberships_kept: self.state.config.sync.mirror_groups,
        })
    }

    async fn mapping_rows(&self, conn: &mut Conn, added: Vec<RoleMapping>) -> Answer<Vec<MappingRow>> {
        let of_setting = self.state.config.sync.role_mapping.iter().map(setting_mapping_row);
        let mut rows: Vec<MappingRow> = of_setting.collect();
        rows.extend(added.into_iter().map(mapping_row));
        let condition = |row: &MappingRow| row.value.parse::<Condition>().ok();
        let group = |row: &MappingRow| condition(row).filter(Condition::is_group).map(|group| group.value());
        let names = Group::list_names(conn, rows.iter().filter_map(group).collect()).await?;
        for row in &mut rows {
            row.name = group(row).and_then(|group| names.get(&group).cloned()).unwrap_or_default();
        }
        Ok(rows)
    }

    async fn grant_list(&self, state: Option<GrantState>, after: Option<String>) -> Answer<Listing<GrantRow>> {
        self.require_admin()?;
        let mut conn = self.conn().await?;
        let grants = Grant::list(&mut conn, state.map(grant_filter), &id_after(after, "grants"), PAGE + 1).await?;
        let to_row = |(grant, user): (Grant, User)| grant_row(&grant, &user);
        Ok(listing(grants, |(grant, _)| cursor("grants", String::new(), &grant.id), to_row))
    }

    async fn audit_page(&self, query: AuditQuery) -> Answer<AuditPage> {
        self.require_admin()?;
        let before = query.after.as_deref().and_then(|text| Cursor::decode(text, "audit")).map(|cursor| cursor.id);
        let mut conn = self.conn().await?;
        let events = AuditEvent::list(&mut conn, &audit_filter(&query), before.as_deref(), PAGE + 1).await?;
        let listing = listing(events, |event| cursor("audit", String::new(), &event.id), event_row);
        let actions = EVENTS.iter().map(|(kind, words)| ((*kind).to_owned(), (*words).to_owned())).collect();
        Ok(AuditPage { listing, actions })
    }

    async fn health_data(&self) -> Answer<Health> {
        self.require_admin()?;
        let checks = readiness::checks(&self.state).await;
        let to_row =
            |check: readiness::Check| HealthCheck { name: check.name.to_owned(), ok: check.ok, detail: check.detail };
        let jobs = self.state.jobs.list().into_iter().map(job_row).collect();
        // The page is of use above all when the database does not answer.
        let now = self.state.shared_now();
        let directory = directory_sync::list(&self.state).await.unwrap_or_default();
        let directory = directory.into_iter().map(|sync| directory_row(sync, now)).collect();
        Ok(Health {
            checks: checks.into_iter().map(to_row).collect(),
            examination: self.state.examinations.last().map(|found| examination(&found)),
            is_being_examined: self.state.examinations.is_running(),
            jobs,
            directory,
            erasure: self.erasure_dry_run().await.unwrap_or_default(),
        })
    }

    async fn erasure_dry_run(&self) -> Answer<Option<ErasureDryRun>> {
        let due = erasure::due(&self.state, HISTORY).await?;
        Ok(due.map(|(count, users)| ErasureDryRun {
            count: unsigned(count),
            users: users.iter().map(|user| user_row(user, 0)).collect(),
        }))
    }

    fn session_row(&self, session: &SessionRecord, user: &User) -> SessionRow {
        SessionRow {
            id: session.id.clone(),
            user_id: user.id.clone(),
            user_name: user.name().to_owned(),
            device: device::in_words(&session.user_agent),
            address: session.address.clone(),
            created: rfc3339(session.created_at),
            last_seen: rfc3339(session.last_seen_at),
            expires: rfc3339(session.expires_at),
            is_current: self.viewer.as_ref().is_some_and(|viewer| viewer.session.id == session.id),
        }
    }
}

#[async_trait]
impl Backend for ServerBackend {
    async fn profile(&self) -> Result<Profile, PageError> {
        self.profile_data().await.map_err(|failure| failure.0)
    }

    async fn dashboard(&self) -> Result<Dashboard, PageError> {
        self.dashboard_data().await.map_err(|failure| failure.0)
    }

    async fn users(&self, query: UserQuery) -> Result<UserPage, PageError> {
        self.user_page(query).await.map_err(|failure| failure.0)
    }

    async fn user(&self, id: String) -> Result<UserDetail, PageError> {
        self.user_detail(id).await.map_err(|failure| failure.0)
    }

    async fn sessions(&self, after: Option<String>) -> Result<Listing<SessionRow>, PageError> {
        self.session_list(after).await.map_err(|failure| failure.0)
    }

    async fn groups(&self, after: Option<String>) -> Result<GroupPage, PageError> {
        self.group_page(after).await.map_err(|failure| failure.0)
    }

    async fn grants(&self, state: Option<GrantState>, after: Option<String>) -> Result<Listing<GrantRow>, PageError> {
        self.grant_list(state, after).await.map_err(|failure| failure.0)
    }

    async fn audit(&self, query: AuditQuery) -> Result<AuditPage, PageError> {
        self.audit_page(query).await.map_err(|failure| failure.0)
    }

    async fn health(&self) -> Result<Health, PageError> {
        self.health_data().await.map_err(|failure| failure.0)
    }
}

/// Counts and remembers.
/// The roles of a user, each with why.
async fn role_grants_of(conn: &mut Conn, user: &User, groups: &[Group]) -> Answer<Vec<RoleGrant>> {
    let held = RoleReason::list_by_user(conn, &user.id).await?;
    let mut grants = role_grants(UserRole::list_by_user(conn, &user.id).await?);
    for grant in grants.iter_mut().filter(|grant| grant.from_provider) {
        grant.provider_reasons = reasons(&held, &grant.role, groups);
    }
    Ok(grants)
}

async fn count_users_now(state: &AppState, filter: UserFilter) -> Result<Option<u64>, DbError> {
    let now = state.shared_now();
    let mut conn = state.db.conn().await?;
    let count = User::count(&mut conn, &filter).await?.map(unsigned);
    state.counts.put(filter, count, now);
    Ok(count)
}

fn grant_filter(state: GrantState) -> GrantFilter {
    match state {
        GrantState::Live => GrantFilter::Live,
        GrantState::Retrying => GrantFilter::Retrying,
        GrantState::Expiring => GrantFilter::Expiring,
        GrantState::NeedsSignIn => GrantFilter::NeedsSignIn,
    }
}

/// A person's page in the Entra admin center of the cloud that they sign in at.
fn directory_url(state: &AppState, user: &User) -> String {
    let ProviderKind::Entra { authority, .. } = &state.config.provider.kind else {
        return String::new();
    };
    let portal = admin_center(authority);
    format!("{portal}/#view/Microsoft_AAD_UsersAndTenants/UserProfileMenuBlade/~/overview/userId/{}", user.subject)
}

/// The filters of the log, for the table; `to` is a day that counts in full.
pub(crate) fn audit_filter(query: &AuditQuery) -> AuditFilter {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let day = |text: &str| text.parse::<NaiveDate>().ok();
    AuditFilter {
        kind: text(&query.action),
        actor: text(&query.actor),
        subject: text(&query.target),
        from: day(&query.from).map(|day| day.and_time(NaiveTime::MIN)),
        to: day(&query.to).and_then(|day| day.succ_opt()).map(|day| day.and_time(NaiveTime::MIN)),
    }
}

/// Cuts the row that only tells that there is a next page.
fn listing<R, T>(mut rows: Vec<R>, cursor: impl Fn(&R) -> String, to_row: impl Fn(R) -> T) -> Listing<T> {
    let page = usize::try_from(PAGE).unwrap_or(usize::MAX);
    let has_next = rows.len() > page;
    rows.truncate(page);
    let next = rows.last().filter(|_| has_next).map(cursor);
    Listing { rows: rows.into_iter().map(to_row).collect(), next }
}

fn cursor(order: &str, key: String, id: &str) -> String {
    Cursor { order: order.to_owned(), key, id: id.to_owned() }.encode()
}

fn id_after(text: Option<String>, order: &str) -> String {
    text.and_then(|text| Cursor::decode(&text, order)).map(|cursor| cursor.id).unwrap_or_default()
}

fn micros_text(at: NaiveDateTime) -> String {
    at.and_utc().timestamp_micros().to_string()
}

fn time_of(micros: &str) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp_micros(micros.parse().ok()?)?.naive_utc())
}
