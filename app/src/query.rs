//! `/admin/users?…`: from the query string to [`UserQuery`] and back.
//!
//! Everything the list shows is in its URL, so that it can be shared, reloaded and gone back to.
//! A value that makes no sense never breaks the page: it falls back, and a notice says so.

pub mod audit;

use crate::model::{UserQuery, UserSort, UserStatus, UserType};

/// Fewest rows on a page.
const MIN_PER_PAGE: u32 = 10;
/// Most rows on a page.
const MAX_PER_PAGE: u32 = 200;
/// Rows on a page unless asked otherwise.
pub(crate) const DEFAULT_PER_PAGE: u32 = 50;
/// Longest search text in characters; more than any UPN has (Entra: 113).
const MAX_SEARCH: usize = 200;
/// Longest role name in characters.
const MAX_ROLE: usize = 64;
/// Longest cursor in bytes.
const MAX_CURSOR: usize = 1024;

impl UserQuery {
    /// Reads a query string (without `?`). Parameters that are absent or empty have their defaults,
    /// those that make no sense too, with a text in `notices`; names that are not known here are
    /// ignored, and of a name that comes twice the first one counts.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self { per_page: DEFAULT_PER_PAGE, ..Self::default() };
        let mut seen = Vec::new();
        for (name, value) in pairs(query) {
            if !value.is_empty() && !seen.contains(&name) {
                parsed.apply(&name, &value);
                seen.push(name);
            }
        }
        parsed.settle_cursors();
        parsed
    }

    /// The query string that leads here, without `?` and without what is the default anyway.
    #[must_use]
    pub fn to_query_string(&self) -> String {
        let mut pairs = self.filter_pairs();
        if self.sort != UserSort::default() {
            pairs.push(("sort", sort_name(self.sort).to_owned()));
        }
        if self.descending {
            pairs.push(("dir", "desc".to_owned()));
        }
        if self.per_page != DEFAULT_PER_PAGE {
            pairs.push(("per_page", self.per_page.to_string()));
        }
        pairs.extend(self.after.clone().map(|cursor| ("after", cursor)));
        pairs.extend(self.before.clone().map(|cursor| ("before", cursor)));
        if self.end {
            pairs.push(("end", "1".to_owned()));
        }
        if self.select_all {
            pairs.push(("select", "all".to_owned()));
        }
        // Pairs of strings always serialise.
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    /// The address of the list with these parameters.
    pub(crate) fn href(&self) -> String {
        address("/admin/users", &self.to_query_string())
    }

    /// The address of the whole list with these filters, in this order, as a file.
    pub(crate) fn csv_href(&self) -> String {
        address("/admin/users.csv", &Self { per_page: DEFAULT_PER_PAGE, ..self.first_page() }.to_query_string())
    }

    /// The same list from its first row on.
    pub(crate) fn first_page(&self) -> Self {
        Self { after: None, before: None, end: false, select_all: false, notices: Vec::new(), ..self.clone() }
    }

    /// The same page with every row selected, or none.
    pub(crate) fn with_all_selected(&self, select_all: bool) -> Self {
        Self { select_all, notices: Vec::new(), ..self.clone() }
    }

    /// The rows after this cursor.
    #[must_use]
    pub fn page_after(&self, cursor: &str) -> Self {
        Self { after: Some(cursor.to_owned()), ..self.first_page() }
    }

    /// The rows before this cursor.
    #[must_use]
    pub fn page_before(&self, cursor: &str) -> Self {
        Self { before: Some(cursor.to_owned()), ..self.first_page() }
    }

    /// The last rows.
    pub(crate) fn last_page(&self) -> Self {
        Self { end: true, ..self.first_page() }
    }

    /// The list in another order, from its first row on.
    pub(crate) fn sorted_by(&self, sort: UserSort, descending: bool) -> Self {
        Self { sort, descending, ..self.first_page() }
    }

    /// The list without any filter, in the same order.
    pub(crate) fn without_filters(&self) -> Self {
        Self { q: String::new(), status: None, role: None, user_type: None, ..self.first_page() }
    }

    fn filter_pairs(&self) -> Vec<(&'static str, String)> {
        let search = (!self.q.is_empty()).then(|| ("q", self.q.clone()));
        let status = self.status.map(|status| ("status", status_name(status).to_owned()));
        let role = self.role.clone().map(|role| ("role", role));
        let user_type = self.user_type.map(|user_type| ("type", type_name(user_type).to_owned()));
        [search, status, role, user_type].into_iter().flatten().collect()
    }

    fn apply(&mut self, name: &str, value: &str) {
        match name {
            "q" => self.apply_search(value),
            "status" => self.status = self.choice("status", value, &STATUSES),
            "type" => self.user_type = self.choice("type", value, &TYPES),
            "role" => self.apply_role(value),
            "sort" => self.sort = self.choice("sort", value, &SORTS).unwrap_or_default(),
            "dir" => self.descending = self.choice("dir", value, &DIRECTIONS).unwrap_or_default(),
            "per_page" => self.apply_per_page(value),
            "after" => self.after = self.cursor(value),
            "before" => self.before = self.cursor(value),
            "end" => self.end = self.choice("end", value, &[("1", true)]).unwrap_or_default(),
            "select" => self.select_all = self.choice("select", value, &[("all", true)]).unwrap_or_default(),
            _ => {}
        }
    }

    fn apply_search(&mut self, value: &str) {
        // PostgreSQL text cannot hold NUL, and no name holds another control character.
        let printable: String = value.chars().filter(|c| !c.is_control()).collect();
        let words = printable.trim();
        self.q = words.chars().take(MAX_SEARCH).collect();
        if words.chars().count() > MAX_SEARCH {
            self.notices.push(format!("The search text was cut to {MAX_SEARCH} characters."));
        }
    }

    fn apply_role(&mut self, value: &str) {
        if value.chars().count() <= MAX_ROLE && !value.chars().any(char::is_control) {
            self.role = Some(value.to_owned());
        } else {
            self.notices.push("The role was not understood and is ignored.".to_owned());
        }
    }

    fn apply_per_page(&mut self, value: &str) {
        self.per_page = value.parse().unwrap_or(DEFAULT_PER_PAGE).clamp(MIN_PER_PAGE, MAX_PER_PAGE);
        if value.parse() != Ok(self.per_page) {
            let shown = self.per_page;
            self.notices
                .push(format!("Rows on a page are a number from {MIN_PER_PAGE} to {MAX_PER_PAGE}: {shown} are shown."));
        }
    }

    fn choice<T: Copy>(&mut self, name: &str, value: &str, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(word, _)| *word == value).map(|(_, choice)| *choice);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.notices.push(format!("“{name}” was not understood and is ignored: it can be {}.", words.join(", ")));
        }
        found
    }

    fn cursor(&mut self, value: &str) -> Option<String> {
        let opaque = value.len() <= MAX_CURSOR && value.chars().all(|c| c.is_ascii_graphic());
        if !opaque {
            self.notices.push("The place in the list was not understood: this is the first page.".to_owned());
        }
        opaque.then(|| value.to_owned())
    }

    /// At most one of `end`, `after` and `before` counts, in this order.
    fn settle_cursors(&mut self) {
        let asked = usize::from(self.end) + usize::from(self.after.is_some()) + usize::from(self.before.is_some());
        if asked > 1 {
            self.notices.push("Only one of “end”, “after” and “before” counts.".to_owned());
        }
        if self.end {
            self.after = None;
        }
        if self.end || self.after.is_some() {
            self.before = None;
        }
    }
}

const STATUSES: [(&str, UserStatus); 2] = [("active", UserStatus::Active), ("disabled", UserStatus::Disabled)];
const TYPES: [(&str, UserType); 2] = [("member", UserType::Member), ("guest", UserType::Guest)];
const DIRECTIONS: [(&str, bool); 2] = [("asc", false), ("desc", true)];
const SORTS: [(&str, UserSort); 5] = [
    ("upn", UserSort::Upn),
    ("name", UserSort::Name),
    ("email", UserSort::Email),
    ("last_sign_in", UserSort::LastSignIn),
    ("created", UserSort::Created),
];

/// The value of `status`.
#[must_use]
pub fn status_name(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "active",
        UserStatus::Disabled => "disabled",
    }
}

/// The value of `type`.
#[must_use]
pub fn type_name(user_type: UserType) -> &'static str {
    match user_type {
        UserType::Member => "member",
        UserType::Guest => "guest",
    }
}

/// The value of `sort`.
#[must_use]
pub fn sort_name(sort: UserSort) -> &'static str {
    match sort {
        UserSort::Upn => "upn",
        UserSort::Name => "name",
        UserSort::Email => "email",
        UserSort::LastSignIn => "last_sign_in",
        UserSort::Created => "created",
    }
}

/// `path` with `query`, if there is one.
#[must_use]
pub fn address(path: &str, query: &str) -> String {
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The parameter `name` of a query string; `None` when it is absent or empty.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    pairs(query).into_iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value)
}

pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> UserQuery {
        UserQuery { per_page: 50, ..UserQuery::default() }
    }

    #[test]
    fn an_empty_query_is_all_defaults_without_a_word() {
        for query in ["", "&&", "status=&role=&type=&q=&per_page=&after=&end=", "utm_source=mail&page=3"] {
            assert_eq!(UserQuery::parse(query), defaults(), "{query}");
        }
    }

    #[test]
    fn every_parameter_is_read() {
        let query = "q=ada+l%C3%B8velace&status=disabled&role=admin&type=guest&sort=last_sign_in&dir=desc&per_page=200";
        let expected = UserQuery {
            q: "ada løvelace".to_owned(),
            status: Some(UserStatus::Disabled),
            role: Some("admin".to_owned()),
            user_type: Some(UserType::Guest),
            sort: UserSort::LastSignIn,
            descending: true,
            per_page: 200,
            ..UserQuery::default()
        };
        assert_eq!(UserQuery::parse(query), expected);
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        for query in [
            "",
            "q=%26%3D%3F%23+%25&role=a%26b",
            "status=active&type=member&sort=email&dir=desc&per_page=10",
            "sort=name&after=eyJhIjoxfQ-_",
            "sort=created&before=abc%3D%3D",
            "end=1",
            "per_page=10&select=all",
        ] {
            let parsed = UserQuery::parse(query);
            assert_eq!(parsed.notices, [""; 0], "{query}");
            assert_eq!(parsed.to_query_string(), query.to_owned());
        }
    }

    #[test]
    fn values_that_make_no_sense_fall_back_with_a_notice_each() {
        for query in [
            "status=ACTIVE",
            "status=deleted",
            "type=robot",
            "sort=password",
            "sort=upn%3B+DROP+TABLE+users",
            "dir=sideways",
            "per_page=many",
            "per_page=-1",
            "per_page=1e3",
            "per_page=99999999999999999999",
            "end=yes",
            "select=some",
            "after=%00",
            "after=%C3%A4",
            "role=a%0D%0ASet-Cookie",
        ] {
            let parsed = UserQuery::parse(query);
            assert_eq!(parsed.notices.len(), 1, "{query}: {:?}", parsed.notices);
            let fallen_back = UserQuery { notices: Vec::new(), ..parsed };
            assert_eq!(fallen_back, defaults(), "{query}");
        }
    }

    #[test]
    fn rows_on_a_page_are_kept_within_bounds() {
        for (value, rows, notices) in [("10", 10, 0), ("200", 200, 0), ("9", 10, 1), ("0", 10, 1), ("201", 200, 1)] {
            let parsed = UserQuery::parse(&format!("per_page={value}"));
            assert_eq!((parsed.per_page, parsed.notices.len()), (rows, notices), "{value}");
        }
    }

    #[test]
    fn only_one_place_in_the_list_counts() {
        let parsed = UserQuery::parse("before=b&after=a&end=1");
        assert_eq!((parsed.end, parsed.after, parsed.before, parsed.notices.len()), (true, None, None, 1));
        let parsed = UserQuery::parse("before=b&after=a");
        assert_eq!((parsed.after.as_deref(), parsed.before, parsed.notices.len()), (Some("a"), None, 1));
    }

    #[test]
    fn of_a_name_that_comes_twice_the_first_counts() {
        let parsed = UserQuery::parse("status=active&status=disabled&q=&q=ada");
        assert_eq!((parsed.status, parsed.q.as_str()), (Some(UserStatus::Active), "ada"));
    }

    #[test]
    fn hostile_searches_are_tamed_but_never_refused() {
        assert_eq!(UserQuery::parse("q=%00ada%1B%5B31m").q, "ada[31m", "control characters are gone");
        assert_eq!(UserQuery::parse("q=%ff%fe").q, "\u{fffd}\u{fffd}", "what is not UTF-8 is marked");
        assert_eq!(UserQuery::parse("q=+++").q, "", "white space is no search");
        assert_eq!(UserQuery::parse("q=%").q, "%", "a broken escape is text");
        let long = UserQuery::parse(&format!("q={}", "é".repeat(100_000)));
        assert_eq!((long.q.chars().count(), long.notices.len()), (200, 1));
        let cursor = UserQuery::parse(&format!("after={}", "a".repeat(100_000)));
        assert_eq!((cursor.after, cursor.notices.len()), (None, 1));
    }

    #[test]
    fn changing_order_or_filter_goes_back_to_the_first_page() {
        let deep = UserQuery::parse("q=ada&role=admin&per_page=10&after=abc&status=huh");
        assert_eq!(
            deep.sorted_by(UserSort::Name, true).href(),
            "/admin/users?q=ada&role=admin&sort=name&dir=desc&per_page=10"
        );
        assert_eq!(deep.without_filters().href(), "/admin/users?per_page=10");
        assert_eq!(deep.page_before("x").href(), "/admin/users?q=ada&role=admin&per_page=10&before=x");
        assert_eq!(deep.last_page().href(), "/admin/users?q=ada&role=admin&per_page=10&end=1");
        assert!(deep.first_page().notices.is_empty(), "a notice is not carried along");
        assert_eq!(deep.csv_href(), "/admin/users.csv?q=ada&role=admin", "a file has no pages");
    }

    #[test]
    fn single_parameters_are_found_and_empty_ones_are_absent() {
        assert_eq!(parameter("kind=sign_in&after=a%26b", "after").as_deref(), Some("a&b"));
        assert_eq!(parameter("after=", "after"), None);
        assert_eq!(parameter("", "after"), None);
    }
}
