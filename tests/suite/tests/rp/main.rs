//! The malicious provider: each case of the OpenID Foundation's tests of relying parties that applies
//! (`cases.tsv`), and each other way in which a provider can misbehave (`modes.tsv`).
//!
//! The rows' ids are the tests' names. `cargo test -p suite --test rp -- ID` runs one; the end of the
//! output counts what passed by group.

mod basic;
mod case;
mod config;
mod fapi;
mod full_plan;
mod logout;
mod modes;
mod optional;
mod refresh;
mod setup;
mod table;

use std::process::ExitCode;

use case::{Case, Scores};
use libtest_mimic::{Arguments, Trial};
use table::Table;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tables = [Table::read("cases.tsv", cases()), Table::read("modes.tsv", modes::all())];
    let scores = Scores::default();
    let mut trials = Vec::new();
    for table in tables {
        trials.push(table.completeness());
        scores.expect(&table);
        trials.extend(table.cases.into_iter().map(|case| case.trial(&scores)));
    }
    trials.push(Trial::test("no_id_is_used_twice", unique_ids(&trials)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if !arguments.list {
        scores.print();
    }
    conclusion.exit_code()
}

/// The cases of `cases.tsv`, by module.
fn cases() -> Vec<Case> {
    let by_group = [
        basic::query(),
        basic::form_post(),
        config::all(),
        full_plan::all(),
        refresh::all(),
        logout::all(),
        optional::all(),
        fapi::all(),
    ];
    by_group.into_iter().flatten().collect()
}

fn unique_ids(trials: &[Trial]) -> impl FnOnce() -> Result<(), libtest_mimic::Failed> + Send + 'static {
    let mut names: Vec<String> = trials.iter().map(|trial| trial.name().to_owned()).collect();
    move || {
        names.sort();
        match names.windows(2).find(|pair| matches!(pair, [one, other] if one == other)) {
            Some(pair) => Err(format!("{} is there twice", pair.concat()).into()),
            None => Ok(()),
        }
    }
}
