//! `/admin/health`: what works and what does not, with advice.

use leptos::prelude::*;

use crate::backend::backend;
use crate::components::error::loaded;
use crate::components::layout::AdminPage;
use crate::components::status::{Tone, status};
use crate::model::HealthCheck;

/// The checks, those that failed first.
pub(crate) fn page() -> AnyView {
    let backend = backend();
    view! {
        <AdminPage title="Health" lead="The parts that this application depends on, as they were found last.">
            {loaded(async move { backend.health().await }, content)}
        </AdminPage>
    }
    .into_any()
}

fn content(mut checks: Vec<HealthCheck>) -> AnyView {
    checks.sort_by_key(|check| check.ok);
    let failing = checks.iter().filter(|check| !check.ok).count();
    let verdict = match failing {
        0 => status(Tone::Good, "Everything works").into_any(),
        _ => status(Tone::Bad, "Something needs attention").into_any(),
    };
    let rows = checks.into_iter().map(check).collect_view();
    view! {
        <p class="verdict">{verdict}</p>
        <ul class="checks">{rows}</ul>
    }
    .into_any()
}

fn check(check: HealthCheck) -> AnyView {
    let state = if check.ok { status(Tone::Good, "Well") } else { status(Tone::Bad, "Failing") };
    view! {
        <li class="check">
            <h2>{check.name}</h2>
            {state}
            <p>{check.detail}</p>
        </li>
    }
    .into_any()
}
