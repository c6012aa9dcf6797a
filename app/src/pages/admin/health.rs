//! `/admin/health`: what works and what does not, with advice.

use leptos::prelude::*;

use crate::backend::backend;
use crate::components::empty::none_yet;
use crate::components::error::loaded;
use crate::components::facts::person;
use crate::components::form::Act;
use crate::components::layout::{Document, admin_page};
use crate::components::status::{Tone, status, user_status};
use crate::components::table::{headers, table};
use crate::components::time::Now;
use crate::format::thousands;
use crate::model::{DirectoryRow, ErasureDryRun, Examination, FindingLevel, FindingRow, Health, HealthCheck, JobRow};

/// The checks, those that failed first, what all of them found when they were run last, and the background jobs.
pub(crate) async fn page() -> Document {
    let health = backend().health().await;
    admin_page("Health", "The state of everything that this application depends on.", loaded(health, content))
}

fn content(health: Health) -> AnyView {
    let Health { mut checks, examination, is_being_examined, jobs, directory, erasure } = health;
    checks.sort_by_key(|check| check.ok);
    let is_well = checks.iter().all(|check| check.ok)
        && jobs.iter().all(|job| job.error.is_empty())
        && examination.iter().all(|found| count(found, FindingLevel::Failure) == 0);
    let verdict = match is_well {
        true => status(Tone::Good, "Everything works").into_any(),
        false => status(Tone::Bad, "Something needs attention").into_any(),
    };
    let rows = checks.into_iter().map(check).collect_view();
    view! {
        <p class="verdict">{verdict}</p>
        {directory.iter().filter_map(held).collect_view()}
        <ul class="checks">{rows}</ul>
        {examination_section(examination, is_being_examined)}
        {(!directory.is_empty()).then(|| directory_section(directory))}
        {erasure.map(erasure_section)}
        {jobs_section(jobs)}
    }
    .into_any()
}

fn count(found: &Examination, level: FindingLevel) -> usize {
    found.findings.iter().filter(|finding| finding.level == level).count()
}

fn examination_section(examination: Option<Examination>, is_running: bool) -> AnyView {
    let found = match examination {
        Some(found) => findings(found),
        None => none_yet(
            "No checks run yet",
            "Checks the settings, the database, the provider and the app registration. It runs only when you ask, because it calls the provider.",
        ),
    };
    let running = is_running.then(|| view! { <p class="panel-note">"Checks are running."</p> });
    view! {
        <section class="panel">
            <div class="panel-head">
                <h2>"Diagnostics"</h2>
                {Act::new("/admin/health/examine".to_owned(), "Run checks").view()}
            </div>
            {running}
            {found}
        </section>
    }
    .into_any()
}

/// Those that failed first.
fn findings(mut found: Examination) -> AnyView {
    let verdict = match (count(&found, FindingLevel::Failure), count(&found, FindingLevel::Warning)) {
        (0, 0) => status(Tone::Good, "No problems found"),
        (0, _) => status(Tone::Warning, "Working, with warnings"),
        _ => status(Tone::Bad, "Problems found"),
    };
    found.findings.sort_by_key(|finding| match finding.level {
        FindingLevel::Failure => 0,
        FindingLevel::Warning => 1,
        FindingLevel::Ok => 2,
    });
    let rows = found.findings.into_iter().map(finding_row).collect_view().into_any();
    let head = headers(&["Check", "Result", "Details", "What to do"]);
    view! {
        <p class="verdict">{verdict}</p>
        <p class="panel-note">
            "Run "{Now::from_page().ago(&found.at)}" on the instance that served this page. "
            <code>"server doctor"</code>" runs the same checks."
        </p>
        {table("Diagnostics", head, rows)}
    }
    .into_any()
}

fn finding_row(finding: FindingRow) -> AnyView {
    let outcome = match finding.level {
        FindingLevel::Ok => status(Tone::Good, "Healthy"),
        FindingLevel::Warning => status(Tone::Warning, "Warning"),
        FindingLevel::Failure => status(Tone::Bad, "Failed"),
    };
    view! {
        <tr>
            <th scope="row">{finding.check}</th>
            <td>{outcome}</td>
            <td class="long">{finding.detail}</td>
            <td class="long">{finding.advice}</td>
        </tr>
    }
    .into_any()
}

/// What an administrator decides about a round that was held back.
fn held(row: &DirectoryRow) -> Option<AnyView> {
    let (held, of) = row.held.filter(|_| !row.is_allowed)?;
    let question = Act::new("/admin/health/directory-sync".to_owned(), "Allow this sync")
        .on("the directory sync")
        .with("tenant", row.tenant_id.clone())
        .with("held", held.to_string())
        .destructive();
    Some(
        view! {
            <section class="flash flash-error" role="alert">
                <h2>"The directory sync is on hold"</h2>
                <p>
                    {format!("It would disable {} of {} active users. Nothing has changed yet. ", thousands(held), thousands(of))}
                    "If that many have left the directory, let it through. If not, look at the tenant and at the \
                     permission of this application first: the next round asks again."
                </p>
                {question.view()}
            </section>
        }
        .into_any(),
    )
}

fn directory_section(rows: Vec<DirectoryRow>) -> AnyView {
    let now = Now::from_page();
    let rows = rows.into_iter().map(|row| directory_row(row, now)).collect_view().into_any();
    let head = headers(&["Tenant", "State", "Last run", "Took", "Next run"]);
    view! {
        <section class="panel">
            <h2>"Directory sync"</h2>
            <p class="panel-note">"Runs once for all instances and picks up people who were changed, disabled or deleted in the directory."</p>
            {table("Directory sync", head, rows)}
        </section>
    }
    .into_any()
}

fn directory_row(row: DirectoryRow, now: Now) -> AnyView {
    let state = match (row.error.is_empty(), row.held.is_some(), row.is_running) {
        (_, _, true) => status(Tone::Good, "Running"),
        (false, _, _) => status(Tone::Bad, "Failing"),
        (true, true, _) if row.is_allowed => status(Tone::Good, "Allowed"),
        (true, true, _) => status(Tone::Bad, "On hold"),
        (true, false, _) => status(Tone::Good, "Healthy"),
    };
    let detail = if row.error.is_empty() { row.result } else { row.error };
    view! {
        <tr>
            <th scope="row">{row.tenant_id}<div class="muted">{detail}</div></th>
            <td>{state}</td>
            <td>{now.ago(&row.last_run)}</td>
            <td>{row.duration}</td>
            <td>{now.ago(&row.next_run)}</td>
        </tr>
    }
    .into_any()
}

/// The dry run: nobody is gone yet, and whoever signs in until then stays.
fn erasure_section(dry_run: ErasureDryRun) -> AnyView {
    let now = Now::from_page();
    let words = match dry_run.count {
        0 => "The next run erases nobody.".to_owned(),
        1 => "The next run erases 1 user, unless they sign in before.".to_owned(),
        count => format!("The next run erases {} users, unless they sign in before.", thousands(count)),
    };
    let more = dry_run.count.saturating_sub(dry_run.users.len() as u64);
    let rows = dry_run.users.into_iter().map(|user| {
        let name = if user.name.is_empty() { &user.upn } else { &user.name };
        view! {
            <tr>
                <th scope="row">{person(&user.id, name)}<div class="muted">{user.upn.clone()}</div></th>
                <td>{user_status(user.status)}</td>
                <td>{now.ago(&user.last_sign_in)}</td>
            </tr>
        }
    });
    let rows = rows.collect_view().into_any();
    let list =
        (dry_run.count > 0).then(|| table("Users to be erased", headers(&["User", "Status", "Last sign-in"]), rows));
    let more = (more > 0).then(|| view! { <p class="panel-note">{format!("and {} more", thousands(more))}</p> });
    view! {
        <section class="panel">
            <h2>"Erasure of inactive users"</h2>
            <p class="panel-note">{words}" "<code>"ERASE_USERS_AFTER"</code>" says after how long. Active administrators stay."</p>
            {list}
            {more}
        </section>
    }
    .into_any()
}

fn jobs_section(jobs: Vec<JobRow>) -> AnyView {
    let now = Now::from_page();
    let rows = jobs.into_iter().map(|job| job_row(job, now)).collect_view().into_any();
    let head = headers(&["Job", "State", "Last run", "Took", "Next run", "Runs", "Failed", "Panicked"]);
    view! {
        <section class="panel">
            <h2>"Background jobs"</h2>
            <p class="panel-note">"Since this instance started."</p>
            {table("Background jobs", head, rows)}
        </section>
    }
    .into_any()
}

fn job_row(job: JobRow, now: Now) -> AnyView {
    let state = match (job.error.is_empty(), job.is_running) {
        (false, _) => status(Tone::Bad, "Failing"),
        (true, true) => status(Tone::Good, "Running"),
        (true, false) => status(Tone::Good, "Healthy"),
    };
    let detail = if job.error.is_empty() { job.result } else { job.error };
    let failed_at = (job.failures > 0).then(|| view! { " "{now.ago(&job.failed_at)} });
    view! {
        <tr>
            <th scope="row">{job.title}<div class="muted">{detail}</div></th>
            <td>{state}</td>
            <td>{now.ago(&job.last_run)}</td>
            <td>{job.duration}</td>
            <td>{now.ago(&job.next_run)}</td>
            <td>{job.runs}</td>
            <td>{job.failures}{failed_at}</td>
            <td>{job.panics}</td>
        </tr>
    }
    .into_any()
}

fn check(check: HealthCheck) -> AnyView {
    let state = if check.ok { status(Tone::Good, "Healthy") } else { status(Tone::Bad, "Failing") };
    view! {
        <li class="check">
            <h2>{check.name}</h2>
            {state}
            <p>{check.detail}</p>
        </li>
    }
    .into_any()
}
