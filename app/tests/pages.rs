//! Pages as the server gets them: through `shell` and a backend that answers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use app::ResponseStatus;
use app::backend::{Backend, PageError, provide_backend};
use app::model::{
    AuditPage, AuditQuery, Dashboard, DirectoryRow, ErasureDryRun, EventRow, Examination, FindingLevel, FindingRow,
    Flash, FlashKind, GrantRow, GrantState, GraphPart, GraphProfile, GroupPage, GroupRow, Health, HealthCheck, JobRow,
    Listing, MappingRow, PageContext, Profile, RoleGrant, SessionRow, Theme, UserDetail, UserPage, UserQuery, UserRow,
    UserStatus, Viewer,
};
use async_trait::async_trait;
use leptos::prelude::*;

/// A name that breaks out of everything that forgets to escape.
const HOSTILE: &str = "</title></head>\"'><script>alert(1)</script>&amp;";
const OTHER: &str = "/admin/users/2";
const SELF: &str = "/admin/users/1";
const PAGES: [&str; 15] = [
    "/",
    "/profile",
    "/admin",
    "/admin/users",
    OTHER,
    SELF,
    "/admin/users/2?tab=roles",
    "/admin/users/2?tab=sessions",
    "/admin/users/2?tab=grants",
    "/admin/users/2?tab=history",
    "/admin/sessions",
    "/admin/groups",
    "/admin/grants",
    "/admin/audit",
    "/admin/health",
];

/// Answers with one of everything, or with the same error to everything.
#[derive(Clone, Default)]
struct Fake {
    error: Option<PageError>,
    empty: bool,
    status: UserStatus,
}

impl Fake {
    fn answer<T: Default>(&self, full: T) -> Result<T, PageError> {
        match self.error {
            Some(error) => Err(error),
            None if self.empty => Ok(T::default()),
            None => Ok(full),
        }
    }

    fn listing<T: Default>(&self, row: T) -> Result<Listing<T>, PageError> {
        self.answer(Listing { rows: vec![row], next: Some("c+1".to_owned()) })
    }
}

fn user(id: &str) -> UserRow {
    UserRow {
        id: id.to_owned(),
        upn: format!("person{id}@contoso.example"),
        name: HOSTILE.to_owned(),
        roles: vec!["admin".to_owned()],
        last_sign_in: "2026-11-24T21:00:00Z".to_owned(),
        ..UserRow::default()
    }
}

fn session(id: &str, is_current: bool) -> SessionRow {
    SessionRow {
        id: id.to_owned(),
        user_id: "2".to_owned(),
        device: "Firefox on Linux".to_owned(),
        is_current,
        ..SessionRow::default()
    }
}

fn grant(id: &str, state: GrantState) -> GrantRow {
    GrantRow { id: id.to_owned(), state, resource: "Microsoft Graph".to_owned(), ..GrantRow::default() }
}

fn event() -> EventRow {
    EventRow {
        summary: "Disabled".to_owned(),
        subject: HOSTILE.to_owned(),
        subject_id: "2".to_owned(),
        address: "192.0.2.1".to_owned(),
        request_id: "request-1".to_owned(),
        detail: vec![("status".to_owned(), "active → disabled".to_owned())],
        ..EventRow::default()
    }
}

fn admin_role() -> RoleGrant {
    RoleGrant { role: "admin".to_owned(), from_here: true, ..RoleGrant::default() }
}

#[async_trait]
impl Backend for Fake {
    async fn profile(&self) -> Result<Profile, PageError> {
        let problem = GraphPart { problem: "Graph does not answer.".to_owned(), ..GraphPart::default() };
        let me = GraphPart { facts: vec![("Job title".to_owned(), "Analyst".to_owned())], ..GraphPart::default() };
        self.answer(Profile {
            upn: "person1@contoso.example".to_owned(),
            name: HOSTILE.to_owned(),
            claims: vec![("name".to_owned(), HOSTILE.to_owned())],
            roles: vec![admin_role()],
            sessions: vec![session("mine", true), session("other", false)],
            grants: vec![grant("g", GrantState::Live)],
            graph: GraphProfile { me, manager: problem },
            ..Profile::default()
        })
    }

    async fn dashboard(&self) -> Result<Dashboard, PageError> {
        let sign_ins_by_day = vec![("2026-11-23".to_owned(), 10, 2), ("2026-11-24".to_owned(), u64::MAX / 4, 0)];
        self.answer(Dashboard {
            users: 1234,
            retrying_grants: 3,
            sign_ins_by_day,
            events: vec![event()],
            ..Dashboard::default()
        })
    }

    async fn users(&self, query: UserQuery) -> Result<UserPage, PageError> {
        let rows = if query.q == "nobody" { vec![] } else { vec![user("1"), user("2")] };
        self.answer(UserPage {
            rows,
            any_users: true,
            total: Some(10_000),
            next: Some("n&1".to_owned()),
            prev: query.after.map(|_| "p".to_owned()),
            roles: vec!["admin".to_owned()],
        })
    }

    async fn user(&self, id: String) -> Result<UserDetail, PageError> {
        if !["1", "2"].contains(&id.as_str()) {
            return Err(PageError::NotFound);
        }
        self.answer(UserDetail {
            row: UserRow { status: self.status, ..user(&id) },
            is_self: id == "1",
            roles: vec![admin_role()],
            grantable_roles: vec!["admin".to_owned(), "auditor".to_owned()],
            sessions: vec![session("s", false)],
            grants: vec![grant("live", GrantState::Live), grant("lapsed", GrantState::NeedsSignIn)],
            history: vec![event()],
            ..UserDetail::default()
        })
    }

    async fn sessions(&self, _: Option<String>) -> Result<Listing<SessionRow>, PageError> {
        self.listing(session("s", false))
    }

    async fn groups(&self, _: Option<String>) -> Result<GroupPage, PageError> {
        let row = GroupRow { object_id: "g".to_owned(), name: HOSTILE.to_owned(), members: 1, ..GroupRow::default() };
        let mapping = |value: &str, from_setting| MappingRow {
            value: value.to_owned(),
            role: "admin".to_owned(),
            from_setting,
            ..MappingRow::default()
        };
        self.answer(GroupPage {
            listing: self.listing(row)?,
            mappings: vec![mapping("of-setting", true), mapping("of-table", false)],
            roles: vec!["admin".to_owned()],
            memberships_kept: true,
        })
    }

    async fn grants(&self, _: Option<GrantState>, _: Option<String>) -> Result<Listing<GrantRow>, PageError> {
        self.listing(grant("live", GrantState::Live))
    }

    async fn audit(&self, query: AuditQuery) -> Result<AuditPage, PageError> {
        let actions = vec![("sign_in.failed".to_owned(), "Sign-in refused".to_owned())];
        if query.actor == "nobody" {
            return Ok(AuditPage { actions, ..AuditPage::default() });
        }
        self.answer(AuditPage { listing: self.listing(event())?, actions })
    }

    async fn health(&self) -> Result<Health, PageError> {
        let checks = vec![HealthCheck { name: "Provider".to_owned(), ok: false, detail: HOSTILE.to_owned() }];
        let job = JobRow { title: "Refresh of tokens".to_owned(), error: HOSTILE.to_owned(), ..JobRow::default() };
        let row = DirectoryRow { error: HOSTILE.to_owned(), held: Some((6, 7)), ..DirectoryRow::default() };
        let finding = |level| FindingRow {
            level,
            detail: HOSTILE.to_owned(),
            advice: HOSTILE.to_owned(),
            ..FindingRow::default()
        };
        let findings = [FindingLevel::Ok, FindingLevel::Warning, FindingLevel::Failure].map(finding).into();
        let examination = Some(Examination { at: "2026-11-24T09:00:00Z".to_owned(), findings });
        self.answer(Health {
            checks,
            examination,
            is_being_examined: true,
            jobs: vec![job],
            directory: vec![row],
            erasure: Some(ErasureDryRun { count: 1_000, users: vec![user("2")] }),
        })
    }
}

fn context(address: &str) -> PageContext {
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let viewer = Viewer {
        id: "1".to_owned(),
        name: HOSTILE.to_owned(),
        upn: "person1@contoso.example".to_owned(),
        is_admin: true,
        ..Viewer::default()
    };
    PageContext {
        viewer: Some(viewer),
        csrf_token: "token-of-the-session".to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        stylesheet_url: "/assets/app.css".to_owned(),
        graph_enabled: true,
        now: "2026-11-24T22:00:00Z".to_owned(),
        ..PageContext::default()
    }
}

/// Renders the page of `context`: status and HTML.
fn render(context: PageContext, backend: Fake) -> (u16, String) {
    let status = Arc::new(AtomicU16::new(200));
    let setter = Arc::clone(&status);
    let page = route(&context.path);
    let html = Owner::new().with(|| {
        provide_context(ResponseStatus::new(move |code| setter.store(code, Ordering::SeqCst)));
        provide_backend(Arc::new(backend), context);
        page.render().to_html()
    });
    (status.load(Ordering::SeqCst), html)
}

/// The page at `path`.
fn route(path: &str) -> app::Route {
    let is_there = |route: &app::Route| match route.path.strip_suffix("{id}") {
        Some(folder) => path.strip_prefix(folder).is_some_and(|id| !id.is_empty() && !id.contains('/')),
        None => route.path == path,
    };
    app::routes().into_iter().find(is_there).unwrap_or_else(|| panic!("no page at {path}"))
}

fn page(address: &str) -> String {
    render(context(address), Fake::default()).1
}

/// The posting forms of a page, each from its start tag to its end tag.
fn posting_forms(html: &str) -> Vec<&str> {
    html.split("<form ")
        .skip(1)
        .map(|rest| rest.split("</form>").next().unwrap_or_default())
        .filter(|form| form.contains(r#"method="post""#))
        .collect()
}

#[test]
fn a_page_asks_for_the_islands_when_they_are_built() {
    let islands_url = Some("/assets/islands.0123.js".to_owned());
    let (_, html) = render(PageContext { islands_url, ..context("/profile") }, Fake::default());
    assert_eq!(html.matches("<script").count(), 1);
    assert!(html.contains(r#"<script type="module" src="/assets/islands.0123.js""#), "{html}");
    assert!(!html.contains("<body><script"));
}

#[test]
fn every_page_renders_with_one_heading_and_no_script_or_inline_style() {
    for address in PAGES {
        let (status, html) = render(context(address), Fake::default());
        assert_eq!(status, 200, "{address}");
        assert_eq!(html.matches("<h1").count(), 1, "{address}");
        assert_eq!(html.matches("<main").count(), 1, "{address}");
        assert!(!html.contains("style=") && !html.contains("<script") && !html.contains("onclick"), "{address}");
    }
}

#[test]
fn what_people_are_called_is_text_everywhere() {
    for address in PAGES {
        let html = page(address);
        assert!(!html.contains("alert(1)</script>"), "{address}");
        assert!(!html.contains(r#"="</title>"#) && !html.contains(r#""'><"#), "{address}");
    }
    assert!(page("/admin/groups").contains("&lt;script&gt;alert(1)"), "and it is still there to read");
}

#[test]
fn every_posting_form_carries_the_token_and_no_getting_one_does() {
    for address in PAGES {
        let html = page(address);
        let forms = posting_forms(&html);
        assert!(forms.iter().any(|form| form.contains(r#"action="/auth/sign-out""#)), "{address} lets people out");
        for form in &forms {
            assert!(form.contains(r#"name="csrf" value="token-of-the-session""#), "{address}: {form}");
        }
        assert_eq!(html.matches("token-of-the-session").count(), forms.len(), "{address}");
    }
}

#[test]
fn a_name_in_the_title_cannot_end_it() {
    let html = page(OTHER);
    let (_, rest) = html.split_once("<title>").expect("a title");
    let (title, _) = rest.split_once("</title>").expect("its end");
    let name = r#"&lt;/title&gt;&lt;/head&gt;"'&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;"#;
    assert_eq!(title, format!("{name} · {}", app::brand::TITLE));
}

#[test]
fn errors_have_their_status_and_say_who_can_help() {
    for (error, status) in [
        (PageError::NotFound, 404),
        (PageError::Forbidden, 403),
        (PageError::Unavailable, 503),
        (PageError::Internal, 500),
    ] {
        for address in PAGES.iter().filter(|address| **address != "/") {
            let (got, html) = render(context(address), Fake { error: Some(error), ..Fake::default() });
            assert_eq!(got, status, "{address}");
            assert_eq!(html.matches("<h1").count(), 1, "{address}");
            assert!(html.contains(r#"role="alert""#), "{address}");
        }
    }
}

#[test]
fn the_start_page_needs_no_data() {
    let (status, html) = render(context("/"), Fake { error: Some(PageError::Unavailable), ..Fake::default() });
    assert_eq!(status, 200);
    assert!(html.contains("Welcome"));
}

#[test]
fn unknown_people_are_not_found() {
    assert_eq!(render(context("/admin/users/3"), Fake::default()).0, 404);
}

#[test]
fn without_a_session_there_is_a_way_in_and_no_way_out() {
    let anonymous = PageContext { viewer: None, ..context("/") };
    let (_, html) = render(anonymous, Fake::default());
    assert!(html.contains(r#"href="/auth/sign-in"#));
    assert!(!html.contains("/auth/sign-out") && !html.contains("/admin"));
}

#[test]
fn members_are_not_shown_the_way_to_the_admin_pages() {
    let mut member = context("/");
    member.viewer.as_mut().unwrap().is_admin = false;
    assert!(!render(member, Fake::default()).1.contains("/admin"));
}

#[test]
fn nobody_is_offered_to_lock_themselves_out() {
    let html = page(SELF);
    for act in ["disable", "enable", "sign-out"] {
        assert!(!html.contains(&format!("{SELF}/{act}")), "{act}");
    }
    assert!(!html.contains(r#"value="revoke""#), "the own admin role stays");
    assert!(html.contains(r#"value="grant""#), "but others can be granted");
}

#[test]
fn others_can_be_acted_on_with_hidden_fields_alone() {
    let html = page(OTHER);
    let forms = posting_forms(&html);
    let form = |action: &str| forms.iter().find(|form| form.contains(&format!(r#"action="{action}""#))).copied();
    for action in ["disable", "sign-out"] {
        assert!(form(&format!("{OTHER}/{action}")).is_some(), "{action}");
    }
    assert!(form(&format!("{OTHER}/enable")).is_none(), "an active person cannot be enabled");
    let roles = form(&format!("{OTHER}/roles")).unwrap();
    assert!(roles.contains(r#"name="role" value="admin""#) && roles.contains(r#"name="action" value="revoke""#));
    assert!(form("/admin/sessions/s/end").is_some());
    let html = page(&format!("{OTHER}?tab=grants"));
    let forms = posting_forms(&html);
    let form = |action: &str| forms.iter().find(|form| form.contains(&format!(r#"action="{action}""#))).copied();
    assert!(form("/admin/grants/live/refresh").is_some());
    assert!(form("/admin/grants/lapsed/refresh").is_none(), "there is nothing left to refresh it with");
    assert!(form("/admin/grants/lapsed/forget").is_some());
}

#[test]
fn a_disabled_person_can_be_enabled_and_not_disabled_again() {
    let (_, html) = render(context(OTHER), Fake { status: UserStatus::Disabled, ..Fake::default() });
    assert!(html.contains(&format!("{OTHER}/enable")) && !html.contains(&format!("{OTHER}/disable")));
}

#[test]
fn the_session_that_looks_is_marked_and_ended_by_signing_out_alone() {
    let html = page("/profile");
    assert!(html.contains("/profile/sessions/other/end") && !html.contains("/profile/sessions/mine/end"));
    assert!(html.contains("This device"));
}

#[test]
fn each_graph_part_degrades_alone_and_all_can_be_switched_off() {
    let html = page("/profile");
    assert!(html.contains("Analyst") && html.contains("Graph does not answer."));
    let (_, html) = render(PageContext { graph_enabled: false, ..context("/profile") }, Fake::default());
    assert!(!html.contains("Graph does not answer.") && html.contains("person1@contoso.example"));
}

#[test]
fn links_of_the_list_keep_filters_and_drop_what_no_longer_fits() {
    let html = page("/admin/users?q=a%26b&status=active&sort=name&dir=desc&per_page=10&after=x");
    let filters = "q=a%26b&amp;status=active";
    for link in [
        format!(r#"<a href="/admin/users?{filters}&amp;sort=name&amp;dir=desc&amp;per_page=10&amp;after=n%261" rel="next">"#),
        format!(r#"<a href="/admin/users?{filters}&amp;sort=name&amp;dir=desc&amp;per_page=10&amp;before=p" rel="prev">"#),
        format!(r#"href="/admin/users?{filters}&amp;sort=name&amp;per_page=10""#),
        format!(r#"href="/admin/users?{filters}&amp;sort=last_sign_in&amp;dir=desc&amp;per_page=10""#),
        r#"href="/admin/users?status=active&amp;sort=name&amp;dir=desc&amp;per_page=10" aria-label="Remove filter Search: a&amp;b""#.to_owned(),
    ] {
        assert!(without_classes(&html).contains(&without_classes(&link)), "{link} in {html}");
    }
    assert_eq!(html.matches(r#"aria-sort="descending""#).count(), 1);
    assert!(html.contains(r#"href="/admin/users/2""#), "row links are bare");
}

/// The markup without the classes of its links.
fn without_classes(html: &str) -> String {
    html.replace(r#" class="button""#, "").replace(r#" class="sort""#, "")
}

#[test]
fn values_that_fell_back_are_told() {
    assert!(page("/admin/users?sort=password&per_page=5").matches("<li>").count() >= 2);
    assert!(!page("/admin/users").contains("flash-notice"));
}

#[test]
fn none_yet_and_none_fits_are_different_messages() {
    let (_, none_yet) = render(context("/admin/users"), Fake { empty: true, ..Fake::default() });
    assert!(none_yet.contains("No users yet") && !none_yet.contains("Clear all filters"));
    let none_fits = page("/admin/users?q=nobody");
    assert!(none_fits.contains("No user fits") && none_fits.contains("Clear all filters"));
    assert!(page("/admin/audit?actor=nobody").contains("No event fits"));
}

#[test]
fn active_filters_of_the_log_can_be_taken_off_one_by_one() {
    let html = page("/admin/audit?action=sign_in.failed&target=x&from=2026-11-01&to=never");
    assert!(html.contains(
        r#"href="/admin/audit?target=x&amp;from=2026-11-01" aria-label="Remove filter What: Sign-in refused""#
    ));
    assert!(html.contains(r#"href="/admin/audit" class="chip-clear""#) && html.contains("flash-notice"));
}

#[test]
fn an_event_shows_what_changed_and_its_request() {
    let html = page("/admin/audit");
    assert!(html.contains("active → disabled") && html.contains("request-1") && html.contains("192.0.2.1"));
}

#[test]
fn many_are_acted_on_by_boxes_and_plain_buttons() {
    let html = page("/admin/users?per_page=10");
    let form = posting_forms(&html).into_iter().find(|form| form.contains("/admin/users/bulk")).unwrap();
    assert!(
        form.contains(r#"name="back" value="per_page=10""#) && form.contains(r#"type="checkbox" name="id" value="2">"#)
    );
    assert!(page("/admin/users?select=all").contains(r#"name="id" value="2" checked>"#));
}

#[test]
fn mappings_of_the_setting_are_read_only_and_others_can_be_removed() {
    let html = page("/admin/groups?value=chosen");
    let forms = posting_forms(&html);
    let mappings: Vec<_> = forms.iter().filter(|form| form.contains("/admin/groups/mappings")).collect();
    assert_eq!(mappings.len(), 2, "one to add, one to remove");
    assert!(mappings.iter().any(|form| form.contains(r#"value="of-table""#) && form.contains(r#"value="remove""#)));
    assert!(mappings.iter().any(|form| form.contains(r#"name="value" value="chosen""#)));
    assert!(html.contains("of-setting"));
}

#[test]
fn each_tab_of_a_person_has_its_address_and_marks_itself() {
    for (query, heading) in
        [("", "account"), ("?tab=roles", "groups"), ("?tab=sessions", "sessions"), ("?tab=history", "history")]
    {
        let html = page(&format!("{OTHER}{query}"));
        assert!(html.contains(&format!(r#"href="{OTHER}{query}" aria-current="page""#)), "{query}");
        assert!(html.contains(&format!(r#"<h2 id="{heading}""#)), "{query}");
    }
    assert!(page(&format!("{OTHER}?tab=nonsense")).contains(r#"<h2 id="account""#));
}

#[test]
fn what_needs_attention_leads_to_its_list() {
    let html = page("/admin");
    assert!(
        html.contains(r#"href="/admin/grants?state=retrying""#) && html.contains("3 tokens could not be refreshed")
    );
    let (_, calm) = render(context("/admin"), Fake { empty: true, ..Fake::default() });
    assert!(!calm.contains("Needs attention"));
}

#[test]
fn empty_lists_are_no_errors() {
    for address in PAGES.iter().filter(|address| !address.starts_with("/admin/users/")) {
        let (status, html) = render(context(address), Fake { empty: true, ..Fake::default() });
        assert_eq!((status, html.matches("<h1").count()), (200, 1), "{address}");
    }
}

#[test]
fn lists_lead_on_and_back_to_their_beginning() {
    let audit = page("/admin/audit?action=sign_in.failed&actor=a%26b");
    let filters = "actor=a%26b&amp;action=sign_in.failed";
    assert!(audit.contains(&format!(r#"href="/admin/audit?{filters}&amp;after=c%2B1""#)));
    assert!(audit.contains(&format!(r#"href="/admin/audit.csv?{filters}""#)));
    assert!(page("/admin/sessions?after=x").contains(r#">First</a>"#));
    assert!(!page("/admin/sessions").contains(r#">First</a>"#));
}

#[test]
fn the_reader_chooses_the_colours() {
    for (theme, name) in [(Theme::System, "system"), (Theme::Light, "light"), (Theme::Dark, "dark")] {
        let (_, html) = render(PageContext { theme, ..context("/admin/users?q=a") }, Fake::default());
        assert!(html.contains(&format!(r#"data-theme="{name}""#)));
        assert!(html.contains(&format!(r#"value="{name}" aria-pressed="true""#)));
        assert!(html.contains(r#"name="back" value="/admin/users?q=a""#));
    }
}

#[test]
fn what_happened_last_is_said_in_a_live_region() {
    for (kind, role) in [(FlashKind::Success, "status"), (FlashKind::Error, "alert")] {
        let flash = Some(Flash { kind, text: "It is <done>.".to_owned() });
        let (_, html) = render(PageContext { flash, ..context("/profile") }, Fake::default());
        assert!(html.contains(&format!(r#"role="{role}""#)) && html.contains("It is &lt;done&gt;."));
    }
}

#[test]
fn instants_are_relative_to_the_request_and_exact_in_the_markup() {
    let html = page("/admin/users");
    assert!(
        html.contains(r#"<time datetime="2026-11-24T21:00:00Z" title="24 Nov 2026, 21:00:00 UTC">1 hour ago</time>"#)
    );
}

#[test]
fn the_chart_has_its_numbers_in_words_and_in_a_table() {
    let html = page("/admin");
    assert!(html.contains(r#"role="img""#) && html.contains("2026-11-23: 10 succeeded, 2 failed"));
    assert!(html.contains("Show as a table"));
}
