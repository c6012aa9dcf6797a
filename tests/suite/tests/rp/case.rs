//! A case: its id, what it does, and how it counts.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use libtest_mimic::Trial;

use crate::table::Table;

type Run = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// A case: a test with the id of its row. It fails by a panic, as tests do.
pub(crate) struct Case {
    pub(crate) id: String,
    /// The group of its row, once it is in a table.
    pub(crate) group: String,
    run: Run,
}

/// A case of this id.
pub(crate) fn case<F>(id: &str, run: impl FnOnce() -> F + Send + 'static) -> Case
where
    F: Future<Output = ()> + 'static,
{
    Case { id: id.to_owned(), group: String::new(), run: Box::new(move || Box::pin(run())) }
}

impl Case {
    /// The same under `prefix::id`.
    pub(crate) fn below(mut self, prefix: &str) -> Self {
        self.id = format!("{prefix}::{}", self.id);
        self
    }

    /// The case as a test that notes its success in `scores`.
    pub(crate) fn trial(self, scores: &Scores) -> Trial {
        let (scores, group, id) = (scores.clone(), self.group.clone(), self.id.clone());
        let run = self.run;
        let test = move || {
            // This harness captures nothing, and all of a case happens on this thread.
            suite::log::keep();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let outcome = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run())));
            let log = suite::log::kept();
            outcome
                .inspect_err(|_| println!("---- the log of {id} ----\n{log}"))
                .unwrap_or_else(|panic| resume_unwind(panic));
            scores.passed(&group);
            Ok(())
        };
        Trial::test(self.id, test).with_kind(self.group)
    }
}

/// Of a group: how many cases there are, how many have passed, and how many rows are no case.
#[derive(Clone, Copy, Default)]
struct Score {
    cases: usize,
    passed: usize,
    not_ours: usize,
    open: usize,
}

/// The scores by group.
#[derive(Clone, Default)]
pub(crate) struct Scores {
    groups: Arc<Mutex<BTreeMap<String, Score>>>,
}

impl Scores {
    /// Notes what there is in a table.
    pub(crate) fn expect(&self, table: &Table) {
        for case in &table.cases {
            self.change(&case.group, |score| score.cases += 1);
        }
        for row in &table.rows {
            self.change(&row.group, |score| {
                score.not_ours += usize::from(row.is_not_ours());
                score.open += usize::from(row.is_open());
            });
        }
    }

    fn passed(&self, group: &str) {
        self.change(group, |score| score.passed += 1);
    }

    fn change(&self, group: &str, change: impl FnOnce(&mut Score)) {
        let mut groups = self.groups.lock().expect("the scores");
        change(groups.entry(group.to_owned()).or_default());
    }

    /// Prints a line a group: how many of its cases have passed in this run.
    pub(crate) fn print(&self) {
        let groups = self.groups.lock().expect("the scores");
        println!(
            "Relying party, cases passed by group (cases.tsv and modes.tsv in tests/suite/tests/rp say what each is):"
        );
        for (group, score) in groups.iter() {
            let mut line = format!("  {group}: {} of {} passed", score.passed, score.cases);
            for (count, what) in [(score.not_ours, "not ours"), (score.open, "open")] {
                if count > 0 {
                    line += &format!(", {count} {what}");
                }
            }
            println!("{line}");
        }
        println!();
    }
}
