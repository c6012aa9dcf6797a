//! The tables of cases: what each row says, and that rows and tests are the same.

use std::collections::BTreeSet;

use libtest_mimic::Trial;

use crate::case::Case;

/// The row that stands for every case of the group [`BASIC`], by form_post.
const BASIC_BY_FORM_POST: &str = "(all Basic ids with response_mode=form_post)";

/// What those cases' ids begin with.
pub(crate) const FORM_POST: &str = "form_post";

const BASIC: &str = "RP Basic";

/// A row.
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) group: String,
    ours: String,
}

/// A table with its cases.
pub(crate) struct Table {
    file: &'static str,
    pub(crate) rows: Vec<Row>,
    pub(crate) cases: Vec<Case>,
}

impl Row {
    /// Reads `id`, group, what the provider does, what the application must do, and `test`,
    /// `not ours: …` or `open: …`.
    fn read(line: &str) -> Self {
        let columns: Vec<&str> = line.split('\t').collect();
        let [id, group, does, must, ours] = columns[..] else { panic!("five columns: {line}") };
        assert!([id, group, does, must].iter().all(|text| !text.is_empty()), "nothing is left out: {line}");
        let row = Self { id: id.to_owned(), group: group.to_owned(), ours: ours.to_owned() };
        assert!(row.is_test() || row.is_not_ours() || row.is_open(), "test, or a reason why not: {line}");
        row
    }

    fn is_test(&self) -> bool {
        self.ours == "test"
    }

    pub(crate) fn is_not_ours(&self) -> bool {
        has_reason(&self.ours, "not ours: ")
    }

    pub(crate) fn is_open(&self) -> bool {
        has_reason(&self.ours, "open: ")
    }
}

fn has_reason(text: &str, start: &str) -> bool {
    text.strip_prefix(start).is_some_and(|reason| !reason.is_empty())
}

impl Table {
    /// Reads a table of this folder and gives its cases their groups.
    pub(crate) fn read(file: &'static str, mut cases: Vec<Case>) -> Self {
        let path = format!("{}/tests/rp/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let rows: Vec<Row> = text.lines().skip(1).map(Row::read).collect();
        for case in &mut cases {
            let row = rows.iter().find(|row| row.id == row_of(&case.id));
            case.group = row.map(|row| row.group.clone()).unwrap_or_default();
        }
        Self { file, rows, cases }
    }

    /// That each row which is to be tested is, and each test has such a row.
    pub(crate) fn completeness(&self) -> Trial {
        let (wanted, found) = (self.wanted(), self.cases.iter().map(|case| case.id.clone()).collect());
        let check = move || {
            let forgotten: Vec<&String> = wanted.difference(&found).collect();
            let unlisted: Vec<&String> = found.difference(&wanted).collect();
            match forgotten.is_empty() && unlisted.is_empty() {
                true => Ok(()),
                false => Err(format!("rows without a test: {forgotten:?}; tests without a row: {unlisted:?}").into()),
            }
        };
        Trial::test(format!("{}_and_the_tests_are_the_same", self.file), check)
    }

    fn wanted(&self) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        for row in self.rows.iter().filter(|row| row.is_test()) {
            match row.id == BASIC_BY_FORM_POST {
                true => wanted.extend(self.basic().map(|id| format!("{FORM_POST}::{id}"))),
                false => drop(wanted.insert(row.id.clone())),
            }
        }
        wanted
    }

    fn basic(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter(|row| row.group == BASIC).map(|row| row.id.as_str())
    }
}

/// The row that a case belongs to.
fn row_of(case: &str) -> &str {
    match case.strip_prefix(FORM_POST).is_some_and(|rest| rest.starts_with("::")) {
        true => BASIC_BY_FORM_POST,
        false => case,
    }
}
