//! `/admin`: the numbers of the application at a glance.

use leptos::prelude::*;

use crate::backend::backend;
use crate::components::empty::none_yet;
use crate::components::error::loaded;
use crate::components::events::events_table;
use crate::components::layout::{Document, admin_page};
use crate::components::table::{headers, table};
use crate::format::{count, thousands};
use crate::model::Dashboard;

/// Numbers that lead to their lists, sign-ins by day, the latest events.
pub(crate) async fn page() -> Document {
    let dashboard = backend().dashboard().await;
    admin_page("Overview", "Users, sign-ins and recent activity at a glance.", loaded(dashboard, content))
}

fn content(dashboard: Dashboard) -> AnyView {
    let tiles = tiles(&dashboard);
    let attention = attention_section(&dashboard);
    let events = if dashboard.events.is_empty() {
        none_yet("No activity yet", "Sign-ins and changes appear here.")
    } else {
        events_table("Recent events", dashboard.events)
    };
    view! {
        {tiles}
        {attention}
        {sign_ins_section(dashboard.sign_ins_by_day)}
        <section class="panel" aria-labelledby="events">
            <div class="panel-head">
                <h2 id="events">"Recent events"</h2>
                <a href="/admin/audit">"All events"</a>
            </div>
            {events}
        </section>
    }
    .into_any()
}

fn tiles(dashboard: &Dashboard) -> AnyView {
    view! {
        <ul class="tiles">
            {tile("/admin/users", "Users", dashboard.users)}
            {tile("/admin/users?status=disabled", "Disabled users", dashboard.disabled_users)}
            {tile("/admin/sessions", "Active sessions", dashboard.sessions)}
            {tile("/admin/grants?state=live", "Active tokens", dashboard.live_grants)}
            {tile("/admin/grants?state=needs_sign_in", "Tokens that need a sign-in", dashboard.lapsed_grants)}
        </ul>
    }
    .into_any()
}

fn tile(href: &'static str, words: &'static str, number: u64) -> impl IntoView {
    view! {
        <li class="tile">
            <a href=href>
                <span class="tile-words">{words}</span>
                <span class="tile-number">{thousands(number)}</span>
            </a>
        </li>
    }
}

/// What somebody should look at, each leading to its list; nothing when all is well.
fn attention_section(dashboard: &Dashboard) -> Option<AnyView> {
    let today = dashboard.sign_ins_by_day.last().map(|(day, _, _)| day.clone()).unwrap_or_default();
    let failed = format!("/admin/audit?action=sign_in.failed&from={today}");
    let all = [
        (dashboard.failed_today, "sign-in was refused today", "sign-ins were refused today", failed),
        (
            dashboard.retrying_grants,
            "token could not be refreshed and will be retried",
            "tokens could not be refreshed and will be retried",
            "/admin/grants?state=retrying".to_owned(),
        ),
        (
            dashboard.lapsed_grants,
            "token needs its owner to sign in",
            "tokens need their owners to sign in",
            "/admin/grants?state=needs_sign_in".to_owned(),
        ),
    ];
    let items = all.into_iter().filter(|(number, ..)| *number > 0).map(|(number, one, many, href)| {
        view! { <li><a href=href>{count(number, one, many)}</a></li> }
    });
    let items: Vec<_> = items.collect();
    (!items.is_empty()).then(|| {
        view! {
            <section class="panel" aria-labelledby="attention">
                <h2 id="attention">"Needs attention"</h2>
                <ul class="plain-list">{items}</ul>
            </section>
        }
        .into_any()
    })
}

/// A day of the chart: its date (`2026-11-24`), successful and failed sign-ins.
type Day = (String, u64, u64);

fn sign_ins_section(days: Vec<Day>) -> AnyView {
    view! {
        <section class="panel" aria-labelledby="sign-ins">
            <div class="panel-head">
                <h2 id="sign-ins">"Sign-ins by day"</h2>
                <p class="legend">
                    <span class="legend-good">"Succeeded"</span>
                    <span class="legend-bad">"Failed"</span>
                </p>
            </div>
            {chart(&days)}
            {days_table(days)}
        </section>
    }
    .into_any()
}

/// The same numbers for those who cannot see the chart, and for copying.
fn days_table(days: Vec<Day>) -> AnyView {
    let rows = days.into_iter().map(|(date, good, bad)| {
        view! {
            <tr>
                <th scope="row">{date}</th>
                <td class="numeric">{thousands(good)}</td>
                <td class="numeric">{thousands(bad)}</td>
            </tr>
        }
    });
    let rows = rows.collect_view().into_any();
    view! {
        <details class="disclosure">
            <summary>"Show as a table"</summary>
            {table("Sign-ins by day", headers(&["Day", "Succeeded", "Failed"]), rows)}
        </details>
    }
    .into_any()
}

/// Height of the chart and of its bars in pixels; between them is room for the days.
const HEIGHT: u64 = 168;
const BASELINE: u64 = HEIGHT - 20;

/// Stacked bars. Placed by percentages, so that they fit any width with labels that stay readable,
/// and by attributes alone: styles in the markup are forbidden by our policy.
fn chart(days: &[Day]) -> AnyView {
    let highest = days.iter().map(|(_, good, bad)| good + bad).max().unwrap_or_default().max(1);
    let bars = days.iter().enumerate().map(|(index, day)| bar(day, index, days.len(), highest));
    view! {
        <svg class="chart" height=HEIGHT role="img" aria-label=summary(days)>
            {bars.collect_view()}
            <line class="chart-axis" x1="0" x2="100%" y1=BASELINE y2=BASELINE></line>
        </svg>
    }
    .into_any()
}

fn bar((date, good, bad): &Day, index: usize, days: usize, highest: u64) -> AnyView {
    let height = |number: u64| number.saturating_mul(BASELINE - 8) / highest;
    let percent = |position: f64| format!("{:.2}%", position * 100.0 / days as f64);
    let (left, middle, width) = (percent(index as f64 + 0.14), percent(index as f64 + 0.5), percent(0.72));
    let (good_height, bad_height) = (height(*good), height(*bad));
    let day = date.rsplit('-').next().unwrap_or_default().to_owned();
    view! {
        <g>
            <title>{format!("{date}: {good} succeeded, {bad} failed")}</title>
            <rect class="chart-good" x=left.clone() y=BASELINE - good_height width=width.clone() height=good_height></rect>
            <rect class="chart-bad" x=left y=BASELINE - good_height - bad_height width=width height=bad_height></rect>
            <text class="chart-label" x=middle y=HEIGHT - 4 text-anchor="middle">{day}</text>
        </g>
    }
    .into_any()
}

fn summary(days: &[Day]) -> String {
    let good = days.iter().map(|(_, good, _)| good).sum();
    let bad = days.iter().map(|(_, _, bad)| bad).sum();
    format!(
        "{} succeeded and {} failed in {}. The table below has the numbers.",
        count(good, "sign-in", "sign-ins"),
        thousands(bad),
        count(days.len() as u64, "day", "days"),
    )
}
