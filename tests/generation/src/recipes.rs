//! The recipes of `docs/recipes`: what they change, read from their code blocks.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::repository;

/// Where the recipes are, relative to the repository.
pub const FOLDER: &str = "docs/recipes";

/// One recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The file's name, without the folder.
    pub name: String,
    /// What it changes, in its order.
    pub changes: Vec<Change>,
}

/// One change of a project.
#[derive(Clone, Debug)]
pub enum Change {
    /// A unified diff: a code block in `diff`.
    Patch(String),
    /// A new file: a code block below a line that holds its path in backticks and a colon.
    File {
        /// The path, relative to the project.
        path: String,
        /// The text.
        content: String,
    },
}

/// All recipes, in the order in which the contents link to them.
///
/// # Errors
/// When one cannot be read, or the contents leave one out.
pub fn recipes() -> Result<Vec<Recipe>> {
    let folder = repository().join(FOLDER);
    let contents = fs::read_to_string(folder.join("README.md"))?;
    let links = contents.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let names: Vec<String> = links.map(|(link, _)| link.to_owned()).collect();
    let files = fs::read_dir(&folder)?.count();
    ensure!(names.len() + 1 == files, "{FOLDER}/README.md links to {names:?}, there are {files} files");
    names.into_iter().map(|name| read(&folder, name)).collect()
}

fn read(folder: &Path, name: String) -> Result<Recipe> {
    let text = fs::read_to_string(folder.join(&name)).with_context(|| name.clone())?;
    Ok(Recipe { changes: changes(&text), name })
}

fn changes(text: &str) -> Vec<Change> {
    let (mut changes, mut lines, mut above) = (Vec::new(), text.lines(), "");
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let content: String = block.flat_map(|line| [line, "\n"]).collect();
            let path = above.strip_prefix('`').and_then(|rest| rest.strip_suffix("`:"));
            match (language, path) {
                ("diff", _) => changes.push(Change::Patch(content)),
                (_, Some(path)) => changes.push(Change::File { path: path.to_owned(), content }),
                _ => {}
            }
        }
        above = if line.is_empty() { above } else { line };
    }
    changes
}

impl Change {
    /// Makes the change in `project`, as a reader would.
    ///
    /// # Errors
    /// When the patch does not fit, or the file is there already.
    pub fn apply(&self, project: &Path) -> Result<()> {
        match self {
            Self::Patch(patch) => apply_patch(project, patch),
            Self::File { path, content } => {
                let path = project.join(path);
                ensure!(!path.exists(), "{} is there already", path.display());
                fs::create_dir_all(path.parent().context("a file has a folder")?)?;
                Ok(fs::write(&path, content)?)
            }
        }
    }
}

fn apply_patch(project: &Path, patch: &str) -> Result<()> {
    let mut git = Command::new("git").args(["apply", "-"]).current_dir(project).stdin(Stdio::piped()).spawn()?;
    git.stdin.take().context("an input")?.write_all(patch.as_bytes())?;
    ensure!(git.wait()?.success(), "this does not fit any more:\n{patch}");
    Ok(())
}
