//! The process environment and `.env`, which adds to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::problems::Problem;

/// What the settings are checked against besides their values: which names are set, and what is wrong with `.env`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Names of all variables, sorted.
    pub names: Vec<String>,
    /// What is wrong with `.env`.
    pub problems: Vec<Problem>,
}

impl Environment {
    /// Adds `.env` of the working directory, if there is one, to the process environment; what is set there already
    /// stays. Call it first thing, before other threads start: they could be reading the environment.
    #[must_use]
    pub fn load() -> Self {
        let file = DotEnv::read(Path::new(".env"));
        // Only a malformed line fails, and those are left out.
        let _ = dotenvy::from_read(file.text.as_bytes());
        let process = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let names: BTreeSet<String> = process.chain(file.names).collect();
        Self { names: names.into_iter().collect(), problems: file.problems }
    }
}

/// A `.env` file, taken apart.
struct DotEnv {
    /// Without the malformed entries, so that what is well-formed is not reported as missing.
    text: String,
    names: Vec<String>,
    problems: Vec<Problem>,
}

impl DotEnv {
    fn read(path: &Path) -> Self {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(text.trim_start_matches('\u{feff}')),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::parse(""),
            Err(error) => {
                let problem = Problem::new([".env"], format!("cannot be read: {}", error.kind()));
                Self { problems: vec![problem], ..Self::parse("") }
            }
        }
    }

    fn parse(text: &str) -> Self {
        let mut lines: Vec<&str> = text.lines().collect();
        let mut problems = Vec::new();
        while let Some(index) = first_malformed(&lines) {
            problems.push(malformed(index + 1));
            if let Some(line) = lines.get_mut(index) {
                *line = "";
            }
        }
        let text = joined(&lines);
        let entries = dotenvy::from_read_iter(text.as_bytes());
        let names = entries.filter_map(Result::ok).map(|(name, _)| name).collect();
        Self { text, names, problems }
    }
}

fn malformed(line: usize) -> Problem {
    Problem::new([format!(".env, line {line}")], "is not NAME=value; put a value with blanks into quotes")
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Index of the first line that no longer starts a well-formed entry: the longest well-formed beginning ends before it.
/// (`dotenvy` tells the content of a malformed line, which may be a secret, but not its number.)
fn first_malformed(lines: &[&str]) -> Option<usize> {
    let is_well_formed = |count: &usize| {
        let beginning = joined(lines.get(..*count).unwrap_or_default());
        dotenvy::from_read_iter(beginning.as_bytes()).all(|entry| entry.is_ok())
    };
    (0..=lines.len()).rev().find(is_well_formed).filter(|count| *count < lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_form() {
        let text = "\u{feff}A=1\n# B=2\n\nexport C='3 # 4'\r\nD=\"5\n6\"\nENTRA_TENNANT_ID=7";
        let file = DotEnv::parse(text.trim_start_matches('\u{feff}'));
        assert_eq!(file.names, ["A", "C", "D", "ENTRA_TENNANT_ID"]);
        assert!(file.problems.is_empty(), "{:?}", file.problems);
    }

    #[test]
    fn malformed_lines_are_named_by_number_and_not_shown() {
        for (text, lines) in [
            ("A=1\nsecret\nB=2", vec![2]),
            ("secret\n", vec![1]),
            ("A=1\nB=secret words\nC=3\nD=secret words\n", vec![2, 4]),
            ("A=1\nB='secret\nC=3", vec![2]),
            ("A=\"two\nlines\"\n=secret", vec![3]),
            ("A B=secret", vec![1]),
        ] {
            let file = DotEnv::parse(text);
            let expected: Vec<Problem> = lines.into_iter().map(malformed).collect();
            assert_eq!(file.problems, expected, "{text}");
            assert!(file.names.iter().all(|name| ["A", "B", "C"].contains(&name.as_str())), "{text}");
            let shown = file.problems.iter().map(ToString::to_string).collect::<String>();
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn what_is_well_formed_counts_beside_what_is_not() {
        let file = DotEnv::parse("A=1\nsecret words\nB=2\n");
        assert_eq!(file.names, ["A", "B"]);
        assert_eq!(file.text, "A=1\n\nB=2\n");
    }

    #[test]
    fn a_missing_file_is_no_problem_and_an_unreadable_one_is() {
        assert!(DotEnv::read(Path::new("/nonexistent/.env")).problems.is_empty());
        let folder = DotEnv::read(&std::env::temp_dir());
        assert_eq!(folder.problems.len(), 1);
    }
}
