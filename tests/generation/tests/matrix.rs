//! Every combination of answers, generated and compared with the repository. Nothing is built here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use generation::{
    ANSWERED, Answers, PLANTS, RECORD, Template, Tree, combinations, expected_paths, generate, read_tree, text_of,
};

/// The repository and what every combination makes of it, in memory.
struct Matrix {
    template: Tree,
    projects: Vec<(Answers, Tree)>,
}

static MATRIX: LazyLock<Matrix> = LazyLock::new(|| {
    let template = template();
    let generate = |answers: Answers| (answers.clone(), Project::generate(&template, &answers).tree);
    let projects = combinations().into_iter().map(generate).collect();
    Matrix { template: template.tree, projects }
});

/// A project generated with `answers` into a folder that lives as long as the project.
struct Project {
    _folder: tempfile::TempDir,
    path: std::path::PathBuf,
    tree: Tree,
}

impl Project {
    fn generate(template: &Template, answers: &Answers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = generate(template.path(), folder.path(), answers).unwrap();
        let tree = read_tree(&path).unwrap();
        Self { _folder: folder, path, tree }
    }

    fn text(&self, path: &str) -> String {
        text_of(&self.tree, path).unwrap()
    }
}

fn toml_of(tree: &Tree, path: &str) -> toml::Table {
    text_of(tree, path).unwrap().parse().unwrap()
}

fn template() -> Template {
    Template::copy().unwrap()
}

fn answer<'a>(answers: &'a Answers, key: &str) -> &'a str {
    let prefix = format!("{key}=");
    answers.define.iter().find_map(|given| given.strip_prefix(&prefix)).unwrap()
}

#[test]
fn the_matrix_has_every_combination() {
    let all = combinations();
    let distinct: BTreeSet<_> = all.iter().map(|answers| answers.define.clone()).collect();
    assert_eq!((all.len(), distinct.len()), (16, 16));
}

#[test]
fn every_combination_changes_only_the_listed_files() {
    for (answers, tree) in &MATRIX.projects {
        let paths: BTreeSet<_> = tree.keys().cloned().collect();
        assert_eq!(paths, expected_paths(&MATRIX.template), "{answers:?}");
        for (path, file) in tree {
            let may_change = path == RECORD || ANSWERED.contains(&path.as_str());
            assert!(may_change || Some(file) == MATRIX.template.get(path), "{path} changed with {answers:?}");
        }
    }
}

#[test]
fn every_combination_leaves_no_placeholder() {
    for (answers, tree) in &MATRIX.projects {
        for path in ANSWERED.into_iter().chain([RECORD]) {
            let text = text_of(tree, path).unwrap();
            assert!(!text.contains("{{") && !text.contains("{%"), "{path} with {answers:?}:\n{text}");
        }
    }
}

#[test]
fn every_combination_records_its_answers() {
    let workspace = toml_of(&MATRIX.template, "Cargo.toml");
    for (answers, tree) in &MATRIX.projects {
        let record = toml_of(tree, RECORD);
        assert_eq!(record["template"]["version"], workspace["workspace"]["package"]["version"]);
        let values = record["values"].as_table().unwrap();
        assert_eq!(values.len(), answers.define.len());
        for (key, value) in values {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(value, answer(answers, key), "{key}");
        }
    }
}

#[test]
fn every_combination_has_its_features() {
    for (answers, tree) in &MATRIX.projects {
        let database = answer(answers, "database");
        assert_manifest(tree, "server/Cargo.toml", &[database, "dev-entra"]);
        assert_manifest(tree, "server/store/Cargo.toml", &[database]);
        assert_manifest(tree, "tests/suite/Cargo.toml", &[database]);
    }
}

/// The manifest at `path` has these default features and otherwise says what the repository's says.
fn assert_manifest(tree: &Tree, path: &str, default_features: &[&str]) {
    let mut expected = toml_of(&MATRIX.template, path);
    expected["features"]["default"] = default_features.to_vec().into();
    assert_eq!(toml_of(tree, path), expected, "{path}");
}

#[test]
fn the_lock_file_stays_valid_for_both_databases() {
    let template = template();
    for database in ["sqlite", "postgres"] {
        let project = Project::generate(&template, &Answers::new("contoso-portal").with("database", database));
        assert!(cargo(&project.path, &["tree", "--workspace", "--locked"]), "{database}");
    }
}

fn cargo(folder: &Path, arguments: &[&str]) -> bool {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(folder).output().unwrap();
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    output.status.success()
}

#[test]
fn every_combination_has_its_defaults() {
    for (answers, tree) in &MATRIX.projects {
        let text = text_of(tree, "server/src/config/defaults.rs").unwrap();
        let tenancy = if answer(answers, "tenancy") == "single" { "Single" } else { "Multi" };
        for line in [
            format!("pub const GRAPH: bool = {};", answer(answers, "graph")),
            format!("pub const API: bool = {};", answer(answers, "api")),
            format!("pub const TENANCY: Tenancy = Tenancy::{tenancy};"),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}

#[test]
fn default_answers_write_the_rust_files_as_the_repository_has_them() {
    let template = template();
    let project = Project::generate(&template, &Answers::new("entra-starter"));
    for path in ["app/src/brand.rs", "server/src/config/defaults.rs"] {
        assert_eq!(project.text(path), template.text(path).unwrap(), "{path}");
    }
}

#[test]
fn without_a_title_the_name_is_the_title() {
    let template = template();
    for (name, title) in [("contoso-portal", "Contoso Portal"), ("intra_net2", "Intra Net2"), ("x", "X")] {
        let project = Project::generate(&template, &Answers::new(name));
        assert!(project.text("app/src/brand.rs").contains(&format!("TITLE: &str = \"{title}\";")), "{name}");
        assert!(project.text("README.md").starts_with(&format!("# {title}\n")), "{name}");
    }
}

#[test]
fn nothing_of_a_developers_copy_is_carried_over() {
    let template = template();
    let project = Project::generate(&template, &Answers::new("contoso-portal"));
    for plant in PLANTS {
        assert!(template.path().join(plant).exists(), "{plant} was planted");
        assert!(!project.path.join(plant).exists(), "{plant} was carried over");
    }
    assert!(!project.path.join("hooks").exists());
}

#[test]
fn what_git_ignores_generation_ignores_too() {
    let template = template();
    let rules = |path| {
        let text = template.text(path).unwrap();
        let mut rules: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        rules.sort();
        rules
    };
    assert_eq!(rules(".genignore"), rules(".gitignore"));
}

#[test]
fn scripts_stay_executable() {
    let template = template();
    let project = Project::generate(&template, &Answers::new("contoso-portal"));
    for script in ["tests/run", ".ci/run"] {
        assert!(project.tree[script].executable, "{script}");
    }
}

/// Titles that would break careless quoting; each is what people see, to the letter.
const TITLES: [&str; 10] = [
    "Say \"hello\"",
    "back\\slash\\",
    "\\\"; panic!(); //",
    "{{ title }} {% raw %} {}",
    "${HOME} $(id) `id`",
    "Ärger & Söhne <b>",
    "日本語ポータル",
    "👩‍👩‍👧 family",
    "O'Neill\u{a0}# = [x]",
    "sixty characters are as many as the top bar has the room for",
];

#[test]
fn any_title_survives_in_code_record_and_readme() {
    let template = template();
    let folder = tempfile::tempdir().unwrap();
    let mut program = String::new();
    for (number, title) in TITLES.iter().enumerate() {
        let project = Project::generate(&template, &Answers::new("contoso-portal").with("title", title));
        assert_eq!(toml_of(&project.tree, RECORD)["values"]["title"].as_str(), Some(*title));
        assert!(project.text("README.md").contains(title));
        fs::write(folder.path().join(format!("title{number}.rs")), project.text("app/src/brand.rs")).unwrap();
        program += &format!("#[allow(dead_code)]\nmod title{number};\n");
    }
    program += "fn main() {\n";
    program.extend((0..TITLES.len()).map(|number| format!("    println!(\"{{}}\", title{number}::TITLE);\n")));
    program += "}\n";
    let printed = compile_and_run(folder.path(), &program);
    assert_eq!(printed.lines().collect::<Vec<_>>(), TITLES);
}

/// What `program` prints; warnings count as errors, and the sources must be formatted.
fn compile_and_run(folder: &Path, program: &str) -> String {
    let (source, binary) = (folder.join("main.rs"), folder.join("main"));
    fs::write(&source, program).unwrap();
    run("rustfmt", &["--check", "--edition=2024", "--config=max_width=120"], &[&source]);
    run("rustc", &["--edition=2024", "-Dwarnings", "-o"], &[&binary, &source]);
    String::from_utf8(Command::new(&binary).output().unwrap().stdout).unwrap()
}

fn run(tool: &str, options: &[&str], paths: &[&Path]) {
    assert!(Command::new(tool).args(options).args(paths).status().unwrap().success(), "{tool} {options:?}");
}

#[test]
fn the_record_generates_the_same_project_again() {
    let template = template();
    let answers = Answers::new("contoso-portal").with("title", "A \"b\" \\ c").with("database", "postgres");
    let first = Project::generate(&template, &answers.with("graph", "false").with("tenancy", "multi"));
    let again = Answers { values_file: Some(first.path.join(RECORD)), ..Answers::new("contoso-portal") };
    assert_eq!(Project::generate(&template, &again).tree, first.tree);
}

#[test]
fn bad_answers_are_refused() {
    let template = template();
    for (key, value) in [
        ("database", "mysql"),
        ("database", "SQLite"),
        ("database", ""),
        ("tenancy", "both"),
        ("graph", "maybe"),
        ("api", "1"),
        ("title", "two\nlines"),
        ("title", "tab\tstop"),
        ("title", "trailing blank "),
        ("title", "right-to-left \u{202e}override"),
        ("title", "sixty-one characters are one more than the top bar has room ."),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let refused = generate(template.path(), folder.path(), &Answers::new("contoso-portal").with(key, value));
        let message = format!("{:#}", refused.expect_err(&format!("{key}={value:?}")));
        assert!(message.contains(key) || message.contains("Failed to parse") || key == "graph" || key == "api");
        assert!(read_tree(folder.path()).unwrap().is_empty(), "{key}={value:?} left files");
    }
}

#[test]
fn bad_names_are_refused_before_anything_is_created() {
    let template = template();
    for name in ["", "1st", "-x", "_x", "../x", "a/b", "a.b", "naïve", "日本", "x;id", "$HOME"] {
        let folder = tempfile::tempdir().unwrap();
        let refused = generate(template.path(), folder.path(), &Answers::new(name));
        let message = format!("{:#}", refused.expect_err(name));
        assert!(message.contains("project name"), "{name:?}: {message}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{name:?}");
    }
}

#[test]
fn unusual_names_become_a_folder() {
    let template = template();
    for (name, folder) in [("lockFirmware", "lock-firmware"), ("my_portal", "my_portal"), ("My Portal", "my-portal")] {
        let project = Project::generate(&template, &Answers::new(name));
        assert!(project.path.ends_with(folder), "{name}: {}", project.path.display());
    }
}
