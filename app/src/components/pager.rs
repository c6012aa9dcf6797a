//! Ways to the pages around this one. Lists page by key, so there are no page numbers.

use leptos::prelude::*;

/// Addresses of the pages around this one; `None` where there is none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pager {
    /// The first page.
    pub(crate) first: Option<String>,
    /// The page before.
    pub(crate) prev: Option<String>,
    /// The next page.
    pub(crate) next: Option<String>,
    /// The last page.
    pub(crate) last: Option<String>,
}

impl Pager {
    /// The pager of a list that only goes forward, `path` with a cursor `after`.
    pub(crate) fn forward(path: &str, filter: &[(&str, &str)], is_first: bool, next: Option<&str>) -> Self {
        let href = |cursor: Option<&str>| {
            let cursor = cursor.map(|cursor| ("after", cursor));
            let pairs: Vec<_> = filter.iter().copied().filter(|(_, value)| !value.is_empty()).chain(cursor).collect();
            match serde_urlencoded::to_string(pairs).unwrap_or_default() {
                query if query.is_empty() => path.to_owned(),
                query => format!("{path}?{query}"),
            }
        };
        Self { first: (!is_first).then(|| href(None)), next: next.map(|cursor| href(Some(cursor))), ..Self::default() }
    }

    /// The links, or nothing when this is the only page.
    pub(crate) fn view(self, label: &'static str) -> Option<AnyView> {
        if self == Self::default() {
            return None;
        }
        let link = |href: Option<String>, words: &'static str, rel: Option<&'static str>| {
            href.map(|href| view! { <a class="button" href=href rel=rel>{words}</a> })
        };
        Some(
            view! {
                <nav class="pager" aria-label=label>
                    {link(self.first, "First", None)}
                    {link(self.prev, "Previous", Some("prev"))}
                    {link(self.next, "Next", Some("next"))}
                    {link(self.last, "Last", None)}
                </nav>
            }
            .into_any(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_pager_keeps_the_filter_and_escapes_the_cursor() {
        let pager = Pager::forward("/admin/audit", &[("kind", "sign_in")], true, Some("a&b=c"));
        assert_eq!(pager.next.as_deref(), Some("/admin/audit?kind=sign_in&after=a%26b%3Dc"));
        assert_eq!(pager.first, None, "this is the first page");
    }

    #[test]
    fn the_way_back_to_the_first_page_has_no_cursor() {
        let pager = Pager::forward("/admin/audit", &[("kind", "")], false, None);
        assert_eq!(pager, Pager { first: Some("/admin/audit".to_owned()), ..Pager::default() });
    }

    #[test]
    fn a_list_of_one_page_has_no_pager() {
        assert_eq!(Pager::forward("/admin/sessions", &[], true, None), Pager::default());
    }
}
