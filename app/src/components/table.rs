//! Tables: a region that scrolls by itself on narrow screens, and headers that sort.

use leptos::prelude::*;

use crate::components::markup::Markup;

/// A table with a caption for screen readers. `head` holds `<th>` cells, `rows` holds `<tr>`s.
pub(crate) fn table(caption: &'static str, head: AnyView, rows: AnyView) -> AnyView {
    table_of("table", caption, head, rows)
}

/// The same with classes of its own.
pub(crate) fn table_of(class: &'static str, caption: &'static str, head: AnyView, rows: AnyView) -> AnyView {
    region(caption, class, head, view! { <tbody>{rows}</tbody> }.into_any())
}

/// The same with rows that are markup already, and with classes of its own.
pub(crate) fn markup_table(caption: &'static str, class: &'static str, head: AnyView, rows: Markup) -> AnyView {
    region(caption, class, head, view! { <tbody inner_html=rows.into_html()></tbody> }.into_any())
}

fn region(caption: &'static str, class: &'static str, head: AnyView, body: AnyView) -> AnyView {
    view! {
        <div class="table-region" role="group" aria-label=caption tabindex="0">
            <table class=class>
                <caption class="visually-hidden">{caption}</caption>
                <thead>
                    <tr>{head}</tr>
                </thead>
                {body}
            </table>
        </div>
    }
    .into_any()
}

/// Plain header cells.
pub(crate) fn headers(words: &'static [&'static str]) -> AnyView {
    words.iter().map(|word| header(word)).collect_view().into_any()
}

/// One plain header cell; an empty word is the column of actions.
pub(crate) fn header(word: &'static str) -> AnyView {
    if word.is_empty() {
        view! { <th scope="col" class="actions"><span class="visually-hidden">"Actions"</span></th> }.into_any()
    } else {
        view! { <th scope="col">{word}</th> }.into_any()
    }
}

/// How a column is sorted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sorting {
    /// Not by this column.
    None,
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// A link in a header: leads to the list in the order that a click asks for.
pub(crate) struct SortLink {
    /// What it sorts by.
    pub(crate) word: &'static str,
    /// How the list is sorted by it now.
    pub(crate) sorting: Sorting,
    /// Where a click leads.
    pub(crate) href: String,
}

/// The header of a column that can be sorted, by one value or by several.
pub(crate) fn sort_header<const N: usize>(links: [SortLink; N]) -> AnyView {
    let sorting = links.iter().map(|link| link.sorting).find(|sorting| *sorting != Sorting::None);
    let aria_sort = sorting.map(|sorting| match sorting {
        Sorting::Descending => "descending",
        Sorting::Ascending | Sorting::None => "ascending",
    });
    let links = links.map(sort_link).collect_view();
    view! { <th scope="col" aria-sort=aria_sort>{links}</th> }.into_any()
}

fn sort_link(link: SortLink) -> AnyView {
    let arrow = match link.sorting {
        Sorting::None => "",
        Sorting::Ascending => "↑",
        Sorting::Descending => "↓",
    };
    let current = (link.sorting != Sorting::None).then_some("true");
    view! {
        <a class="sort" href=link.href aria-current=current>
            {link.word}<span class="sort-arrow" aria-hidden="true">{arrow}</span>
        </a>
    }
    .into_any()
}
