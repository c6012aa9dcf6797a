//! The index of requirements, `docs/requirements.tsv`, names tests that exist; and what the sources
//! themselves must keep to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the project.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the project")
}

/// A file of the project.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Rust sources below `folder`, generated ones aside.
fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("an entry").path();
            let is_built = ["target", "node_modules"].iter().any(|name| path.ends_with(name));
            match path.is_dir() {
                true if !is_built => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                _ => {}
            }
        }
    }
    found
}

/// The names of the tests in a source: functions behind `#[test]` or `#[tokio::test]`.
fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        let function = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "));
        if let Some(name) = function.and_then(|rest| rest.split(['(', '<']).next()) {
            names.extend(is_test.then(|| name.to_owned()));
            is_test = false;
        }
    }
    names
}

/// The tests of the project by name, those of the malicious provider as `rp:` and their id.
fn all_tests() -> BTreeSet<String> {
    let files = ["app", "server", "tests"].into_iter().flat_map(sources);
    let mut names: BTreeSet<String> = files.flat_map(|file| tests_in(&text(file))).collect();
    for table in ["cases.tsv", "modes.tsv"] {
        let table = text(Path::new("tests/suite/tests/rp").join(table));
        let tested = table.lines().filter(|line| line.ends_with("\ttest"));
        names.extend(tested.filter_map(|line| line.split('\t').next()).map(|id| format!("rp:{id}")));
    }
    names
}

/// Whether evidence exists: a test, or a file by its path.
fn exists(evidence: &str, tests: &BTreeSet<String>) -> bool {
    tests.contains(evidence) || evidence.contains(['/', '.']) && root().join(evidence).is_file()
}

#[test]
fn every_requirement_names_tests_that_exist_or_says_why_not() {
    let tests = all_tests();
    let index = text("docs/requirements.tsv");
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in index.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [id, requirement, state, evidence, note] = columns[..] else { panic!("five columns: {line}") };
        assert!(ids.insert(id), "{id} is there twice");
        assert!(!requirement.is_empty(), "{id}");
        let missing: Vec<&str> = evidence.split(' ').filter(|name| !name.is_empty() && !exists(name, &tests)).collect();
        let is_complete = match state {
            "tested" => !evidence.is_empty(),
            "not ours" => !note.is_empty(),
            "open" => true,
            _ => false,
        };
        if !is_complete || !missing.is_empty() {
            wrong.push(format!("{id} ({state}): {missing:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_that_carries_an_id_is_of_a_known_requirement() {
    let index = text("docs/requirements.tsv");
    let known: BTreeSet<&str> = index.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    for name in all_tests() {
        let Some((letter, rest)) = name.split_once('_') else { continue };
        let number: String = rest.split('_').next().unwrap_or_default().to_owned();
        let is_id =
            letter.len() == 1 && "lsegktfh".contains(letter) && number.starts_with(|c: char| c.is_ascii_digit());
        let id = format!("{}-{number}", letter.to_uppercase());
        assert!(!is_id || known.contains(id.as_str()), "{name}: there is no {id} in docs/requirements.tsv");
    }
}

/// The sources of the product with their paths, tests left out.
pub(crate) fn product() -> impl Iterator<Item = (PathBuf, String)> {
    let files: Vec<PathBuf> = ["server", "app/src"].into_iter().flat_map(sources).collect();
    assert!(files.len() > 100, "the sources are there");
    let root = root();
    let is_test = move |file: &Path| {
        let inside = file.strip_prefix(&root).expect("a file of the project");
        let is_in_tests = inside.components().any(|part| part.as_os_str() == "tests");
        is_in_tests || file.ends_with("testing.rs") || file.ends_with("tests.rs")
    };
    files.into_iter().filter(move |file| !is_test(file)).map(|file| {
        let source = text(&file);
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        (file, code)
    })
}

/// Sovereign clouds have other hosts: addresses are settings, and the code holds none.
#[test]
fn e_14_no_host_of_a_cloud_is_hard_coded() {
    let hosts = ["microsoftonline.", "graph.microsoft.", "login.microsoft."];
    let is_config =
        |path: &Path| path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("config"));
    for (path, code) in product().filter(|(path, _)| !is_config(path)) {
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            assert!(!hosts.iter().any(|host| line.contains(host)), "{}: {line}", path.display());
        }
    }
}
