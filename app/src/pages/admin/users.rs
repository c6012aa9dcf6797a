//! `/admin/users`: find people. Everything that the list shows is in its address.

use leptos::prelude::*;

use crate::backend::{backend, page_context};
use crate::components::chips::{Chip, chips};
use crate::components::empty::{none_fits, none_yet};
use crate::components::error::loaded;
use crate::components::facts::DASH;
use crate::components::flash::notices;
use crate::components::form::{CsrfField, option};
use crate::components::layout::{Document, admin_page};
use crate::components::markup::Markup;
use crate::components::pager::Pager;
use crate::components::status::user_type;
use crate::components::table::{SortLink, Sorting, header, markup_table, sort_header};
use crate::components::time::Now;
use crate::format;
use crate::islands::suggestions::Suggestions;
use crate::model::{UserPage, UserQuery, UserRow, UserSort, UserStatus, UserType};
use crate::query::{DEFAULT_PER_PAGE, sort_name, status_name, type_name};

/// What a row is about as markup.
const ROW_BYTES: usize = 640;
/// Numbers of rows that the form offers.
const PAGE_SIZES: [u32; 5] = [10, 25, 50, 100, 200];

/// The list, its search form and its filters.
pub(crate) async fn page() -> Document {
    let query = UserQuery::parse(&page_context().query);
    let page = backend().users(query.clone()).await;
    admin_page("Users", "Everyone who has signed in here.", loaded(page, |page| content(&query, page)))
}

fn content(query: &UserQuery, page: UserPage) -> AnyView {
    view! {
        {notices(query.notices.clone())}
        {search_form(query, &page.roles)}
        {active_filters(query)}
        {results(query, page)}
    }
    .into_any()
}

fn results(query: &UserQuery, page: UserPage) -> AnyView {
    if !page.any_users {
        return none_yet("No users yet", "People appear here when they sign in for the first time.");
    }
    if page.rows.is_empty() {
        return none_fits("No user fits these filters", "/admin/users");
    }
    let summary = summary(&page);
    let pager = pager(query, &page);
    let csv = query.csv_href();
    let query_string = query.with_all_selected(false).to_query_string();
    view! {
        <div class="list-head">
            <p class="result-count" role="status">{summary}</p>
            <a class="list-export" href=csv>"Download as CSV"</a>
        </div>
        <form method="post" action="/admin/users/bulk">
            <CsrfField/>
            <input type="hidden" name="back" value=query_string/>
            {users_table(query, page.rows)}
            {bulk_acts(query)}
        </form>
        {pager.view("Pages of users")}
    }
    .into_any()
}

/// What can be done to everybody whose box is ticked; a page that names them asks first.
fn bulk_acts(query: &UserQuery) -> AnyView {
    let button = |action: &'static str, class: &'static str, words: &'static str| {
        view! { <button type="submit" name="action" value=action class=class>{words}</button> }
    };
    let (href, words) = match query.select_all {
        true => (query.with_all_selected(false).href(), "Select none"),
        false => (query.with_all_selected(true).href(), "Select all on this page"),
    };
    view! {
        <div class="bulk" role="group" aria-label="Selected users">
            <span class="muted">"With selected:"</span>
            {button("enable", "button", "Enable")}
            {button("sign-out", "button", "Sign out everywhere")}
            {button("disable", "button button-danger", "Disable")}
            <a href=href>{words}</a>
        </div>
    }
    .into_any()
}

fn summary(page: &UserPage) -> String {
    let shown = page.rows.len() as u64;
    match page.total {
        Some(total) if total > shown => {
            format!("{} of {}", format::thousands(shown), format::count(total, "user", "users"))
        }
        None if page.next.is_some() || page.prev.is_some() => format!("{} of many users", format::thousands(shown)),
        _ => format::count(shown, "user", "users"),
    }
}

fn pager(query: &UserQuery, page: &UserPage) -> Pager {
    Pager {
        first: page.prev.is_some().then(|| query.first_page().href()),
        prev: page.prev.as_deref().map(|cursor| query.page_before(cursor).href()),
        next: page.next.as_deref().map(|cursor| query.page_after(cursor).href()),
        last: page.next.is_some().then(|| query.last_page().href()),
    }
}

/// A GET form: a search is an address. Changing it goes back to the first page, because the
/// cursors are not in the form.
fn search_form(query: &UserQuery, roles: &[String]) -> AnyView {
    let sort = (query.sort != UserSort::default())
        .then(|| view! { <input type="hidden" name="sort" value=sort_name(query.sort)/> });
    let dir = query.descending.then(|| view! { <input type="hidden" name="dir" value="desc"/> });
    view! {
        <form method="get" action="/admin/users" role="search" class="filters" aria-label="Users">
            <div class="field field-grow">
                <label for="q">"Search"</label>
                <input id="q" type="search" name="q" value=query.q.clone() maxlength="200" autocomplete="off"
                    placeholder="Name, user name, e-mail or object ID"/>
                <Suggestions field="q".to_owned() id="suggestions".to_owned()
                    from="/admin/users/suggestions?q=".to_owned()/>
            </div>
            {select("status", "Status", status_options(query))}
            {select("role", "Role", role_options(query, roles))}
            {select("type", "Type", type_options(query))}
            {select("per_page", "Rows", page_size_options(query))}
            {sort}
            {dir}
            <button type="submit" class="button button-primary">"Search"</button>
        </form>
    }
    .into_any()
}

fn select(name: &'static str, label: &'static str, options: Vec<AnyView>) -> AnyView {
    view! {
        <div class="field">
            <label for=name>{label}</label>
            <select id=name name=name>{options}</select>
        </div>
    }
    .into_any()
}

fn status_options(query: &UserQuery) -> Vec<AnyView> {
    vec![
        option("", "Any", query.status.is_none()),
        option("active", "Active", query.status == Some(UserStatus::Active)),
        option("disabled", "Disabled", query.status == Some(UserStatus::Disabled)),
    ]
}

fn type_options(query: &UserQuery) -> Vec<AnyView> {
    vec![
        option("", "Any", query.user_type.is_none()),
        option("member", "Member", query.user_type == Some(UserType::Member)),
        option("guest", "Guest", query.user_type == Some(UserType::Guest)),
    ]
}

fn role_options(query: &UserQuery, roles: &[String]) -> Vec<AnyView> {
    let chosen = query.role.as_deref();
    let unknown = chosen.filter(|role| !roles.iter().any(|known| known == role));
    let known = roles.iter().map(String::as_str).chain(unknown);
    std::iter::once(option("", "Any", chosen.is_none()))
        .chain(known.map(|role| option(role, role, chosen == Some(role))))
        .collect()
}

fn page_size_options(query: &UserQuery) -> Vec<AnyView> {
    let mut sizes = PAGE_SIZES.to_vec();
    if !sizes.contains(&query.per_page) {
        sizes.push(query.per_page);
        sizes.sort_unstable();
    }
    sizes
        .into_iter()
        .map(|size| {
            // The default stays out of the address.
            let value = if size == DEFAULT_PER_PAGE { String::new() } else { size.to_string() };
            option(&value, &size.to_string(), size == query.per_page)
        })
        .collect()
}

/// The active filters.
fn active_filters(query: &UserQuery) -> Option<AnyView> {
    let chip =
        |label, value: &str, without: UserQuery| Chip { label, value: value.to_owned(), without: without.href() };
    let active = [
        (!query.q.is_empty()).then(|| chip("Search", &query.q, UserQuery { q: String::new(), ..query.first_page() })),
        query
            .status
            .map(|status| chip("Status", status_name(status), UserQuery { status: None, ..query.first_page() })),
        query.role.as_deref().map(|role| chip("Role", role, UserQuery { role: None, ..query.first_page() })),
        query.user_type.map(|kind| chip("Type", type_name(kind), UserQuery { user_type: None, ..query.first_page() })),
    ];
    chips(active.into_iter().flatten().collect(), query.without_filters().href())
}

fn users_table(query: &UserQuery, rows: Vec<UserRow>) -> AnyView {
    let head = [
        view! { <th scope="col" class="select"><span class="visually-hidden">"Select"</span></th> }.into_any(),
        sort_header([sorted(query, "User name", UserSort::Upn), sorted(query, "Name", UserSort::Name)]),
        sort_header([sorted(query, "E-mail", UserSort::Email)]),
        header("Status"),
        header("Type"),
        header("Roles"),
        header("Sessions"),
        sort_header([sorted(query, "Last sign-in", UserSort::LastSignIn)]),
        sort_header([sorted(query, "First seen", UserSort::Created)]),
    ];
    let now = Now::from_page();
    let viewer = page_context().viewer.as_ref().map(|viewer| viewer.id.clone()).unwrap_or_default();
    let mut html = Markup::with_capacity(rows.len() * ROW_BYTES);
    for row in &rows {
        write_row(&mut html, row, &Looks { viewer: &viewer, select_all: query.select_all, now });
    }
    markup_table("Users", "table table-users", head.collect_view().into_any(), html)
}

/// A click on the column that sorts turns the order round; on another one it begins upwards, or
/// with the latest for times.
fn sorted(query: &UserQuery, word: &'static str, column: UserSort) -> SortLink {
    let sorting = match (query.sort == column, query.descending) {
        (false, _) => Sorting::None,
        (true, false) => Sorting::Ascending,
        (true, true) => Sorting::Descending,
    };
    let descending = match sorting {
        Sorting::None => matches!(column, UserSort::LastSignIn | UserSort::Created),
        Sorting::Ascending => true,
        Sorting::Descending => false,
    };
    SortLink { word, sorting, href: query.sorted_by(column, descending).href() }
}

/// What all rows have in common.
struct Looks<'a> {
    viewer: &'a str,
    select_all: bool,
    now: Now,
}

/// One `<tr>`. The user name leads to the person: everybody has one.
fn write_row(html: &mut Markup, row: &UserRow, looks: &Looks<'_>) {
    html.tag("<tr><td class=\"select\"><label><input type=\"checkbox\" name=\"id\" value=\"").text(&row.id);
    html.tag(if looks.select_all { "\" checked" } else { "\"" });
    html.tag("><span class=\"visually-hidden\">Select ").text(&row.upn).tag("</span></label></td>");
    html.tag("<td><a href=\"/admin/users/").text(&row.id).tag("\">").text(&row.upn).tag("</a><p>").text(&row.name);
    if row.id == looks.viewer {
        html.tag(" <span class=\"tag\">You</span>");
    }
    html.tag("</p></td><td>").text(or_dash(&row.email));
    html.tag("</td><td>").tag(status_markup(row.status)).tag("</td><td>").tag(user_type(row.user_type));
    html.tag("</td><td>");
    write_roles(html, &row.roles);
    html.tag("</td><td>").text(&format::thousands(row.sessions)).tag("</td><td>");
    looks.now.write_ago(html, &row.last_sign_in);
    html.tag("</td><td>");
    looks.now.write_ago(html, &row.created);
    html.tag("</td></tr>");
}

fn write_roles(html: &mut Markup, roles: &[String]) {
    if roles.is_empty() {
        html.tag(DASH);
    }
    for role in roles {
        html.tag("<span class=\"tag\">").text(role).tag("</span>");
    }
}

fn status_markup(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "<span class=\"status status-good\">Active</span>",
        UserStatus::Disabled => "<span class=\"status status-bad\">Disabled</span>",
    }
}

fn or_dash(value: &str) -> &str {
    if value.is_empty() { DASH } else { value }
}
