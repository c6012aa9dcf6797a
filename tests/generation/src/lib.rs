//! The kit of the generation tests: a copy of the repository as a template, answers, and generated projects.

pub mod recipes;
pub mod visit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cargo_generate::{GenerateArgs, TemplatePath, Vcs};

/// What only a developer's copy of the repository holds, and what must never reach a generated project.
pub const PLANTS: [&str; 8] = [
    ".env",
    "data/app.db",
    "data/dev-keys",
    "node_modules/left-pad/index.js",
    "server/.env",
    "server/app.db",
    "target/debug/server",
    "tests/browser/node_modules/axe-core/axe.js",
];

/// Files of the repository that a generated project has no use for; a `/` at the end means a folder.
pub const LEFT_OUT: [&str; 7] = [
    ".genignore",
    "CHANGELOG.md",
    "README.md.liquid",
    "cargo-generate.toml",
    "docs/screenshots/",
    "hooks/",
    "tests/generation/",
];

/// The only files that answers change.
pub const ANSWERED: [&str; 6] = [
    "README.md",
    "app/src/brand.rs",
    "server/Cargo.toml",
    "server/src/config/defaults.rs",
    "server/store/Cargo.toml",
    "tests/suite/Cargo.toml",
];

/// The file that records the answers: the only one that a generated project has beyond the repository's.
pub const RECORD: &str = ".template-answers.toml";

/// The folder that this repository is in.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A file as it counts in a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// The bytes.
    pub content: Vec<u8>,
    /// Whether anyone may execute it.
    pub executable: bool,
}

/// Files by their path relative to the top.
pub type Tree = BTreeMap<String, File>;

/// A copy of the repository's files in a folder of its own, with [`PLANTS`] beside them.
#[derive(Debug)]
pub struct Template {
    folder: tempfile::TempDir,
    /// The copied files, without the plants.
    pub tree: Tree,
}

impl Template {
    /// Copies what git knows or would add, as the working tree has it.
    ///
    /// # Errors
    /// When git does not answer or a file cannot be copied.
    pub fn copy() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for path in listed_by_git(&repository())? {
            copy_file(&repository().join(&path), &folder.path().join(&path))?;
        }
        let tree = read_tree(folder.path())?;
        for plant in PLANTS {
            write_file(&folder.path().join(plant), "planted")?;
        }
        Ok(Self { folder, tree })
    }

    /// The folder to generate from.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The text of one file.
    ///
    /// # Errors
    /// When there is no such text file.
    pub fn text(&self, path: &str) -> Result<String> {
        text_of(&self.tree, path)
    }
}

/// What a developer answers; `None` takes the default.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The project's name, which becomes its folder.
    pub name: String,
    /// Definitions as `--define` takes them: `key=value`.
    pub define: Vec<String>,
    /// A file of answers, as `--values-file` takes it.
    pub values_file: Option<PathBuf>,
}

impl Answers {
    /// Default answers for a project called `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same with one answer given.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.define.push(format!("{key}={value}"));
        self
    }
}

/// Runs `cargo generate --silent` on `template` into `destination`, which must exist; returns the project's folder.
///
/// # Errors
/// As cargo-generate refuses or fails.
pub fn generate(template: &Path, destination: &Path, answers: &Answers) -> Result<PathBuf> {
    cargo_generate::generate(arguments(template, destination, answers))
}

/// The arguments of `cargo generate --silent --no-workspace --vcs none --path …`.
fn arguments(template: &Path, destination: &Path, answers: &Answers) -> GenerateArgs {
    GenerateArgs {
        template_path: TemplatePath { path: Some(template.display().to_string()), ..TemplatePath::default() },
        name: Some(answers.name.clone()),
        define: answers.define.clone(),
        template_values_file: answers.values_file.as_ref().map(|file| file.display().to_string()),
        destination: Some(destination.to_path_buf()),
        silent: true,
        quiet: true,
        no_workspace: true,
        vcs: Some(Vcs::None),
        ..GenerateArgs::default()
    }
}

/// Every combination of the answers with few values.
#[must_use]
pub fn combinations() -> Vec<Answers> {
    let mut all = vec![Answers::new("contoso-portal").with("title", "Contoso Portal")];
    for (key, values) in [
        ("database", ["sqlite", "postgres"]),
        ("tenancy", ["single", "multi"]),
        ("graph", ["true", "false"]),
        ("api", ["true", "false"]),
    ] {
        all = all.iter().flat_map(|answers| values.map(|value| answers.clone().with(key, value))).collect();
    }
    all
}

/// Reads all files under `folder`.
///
/// # Errors
/// When one cannot be read.
pub fn read_tree(folder: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                tree.insert(relative(folder, &path)?, read_file(&path)?);
            }
        }
    }
    Ok(tree)
}

/// The text of `path` in `tree`.
///
/// # Errors
/// When there is no such text file.
pub fn text_of(tree: &Tree, path: &str) -> Result<String> {
    let file = tree.get(path).with_context(|| format!("no file {path}"))?;
    Ok(String::from_utf8(file.content.clone())?)
}

/// The paths that a project generated from `template` must hold.
#[must_use]
pub fn expected_paths(template: &Tree) -> BTreeSet<String> {
    let kept = template.keys().filter(|path| !is_left_out(path)).cloned();
    kept.chain([RECORD.to_owned()]).collect()
}

/// Whether the template keeps `path` for itself.
fn is_left_out(path: &str) -> bool {
    LEFT_OUT.iter().any(|entry| path == *entry || (entry.ends_with('/') && path.starts_with(entry)))
}

/// Tracked files and new ones that git does not ignore, as far as they are there.
fn listed_by_git(repository: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(repository)
        .output()
        .context("git is needed to list the repository's files")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    }
    let paths = String::from_utf8(output.stdout)?;
    let present = |path: &&str| !path.is_empty() && repository.join(path).exists();
    Ok(paths.split('\0').filter(present).map(str::to_owned).collect())
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file has a folder")?)?;
    fs::copy(from, to).with_context(|| format!("copy {}", from.display()))?;
    Ok(())
}

fn write_file(path: &Path, content: &str) -> Result<()> {
    fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

fn read_file(path: &Path) -> Result<File> {
    let content = fs::read(path)?;
    let executable = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
    Ok(File { content, executable })
}

fn relative(top: &Path, path: &Path) -> Result<String> {
    Ok(path.strip_prefix(top)?.to_str().context("paths are UTF-8")?.to_owned())
}
