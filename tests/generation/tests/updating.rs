//! The recipe of `docs/updating.md`: a newer template merges into an edited project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_generate::{GenerateArgs, TemplatePath, Vcs};
use generation::{Answers, RECORD, Template, generate};

fn git(folder: &Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=Developer", "-c", "user.email=developer@contoso.example"];
    let status = Command::new("git").args(identity).args(arguments).current_dir(folder).status().unwrap();
    assert!(status.success(), "git {arguments:?}");
}

fn append(path: &Path, text: &str) {
    fs::write(path, fs::read_to_string(path).unwrap() + text).unwrap();
}

/// A project generated into `folder`, committed, with the branch `template` at that commit.
fn committed_project(template: &Template, folder: &Path) -> PathBuf {
    let answers = Answers::new("contoso-portal").with("title", "Contoso").with("database", "postgres");
    let project = generate(template.path(), folder, &answers).unwrap();
    git(&project, &["init", "--quiet", "--initial-branch=main"]);
    git(&project, &["add", "--all"]);
    git(&project, &["commit", "--quiet", "--message=Generate the project"]);
    git(&project, &["branch", "template"]);
    project
}

/// The steps for a newer template, as the page has them.
fn update(template: &Template, project: &Path) {
    let update = project.with_file_name("template-update");
    git(project, &["worktree", "add", "--quiet", "../template-update", "template"]);
    git(&update, &["rm", "-rq", "."]);
    generate_in_place(template, &update, &project.join(RECORD));
    git(&update, &["add", "--all"]);
    git(&update, &["commit", "--quiet", "--message=Update the template"]);
    git(project, &["worktree", "remove", "../template-update"]);
    git(project, &["merge", "--quiet", "--no-edit", "template"]);
}

fn generate_in_place(template: &Template, destination: &Path, values_file: &Path) {
    cargo_generate::generate(GenerateArgs {
        template_path: TemplatePath { path: Some(template.path().display().to_string()), ..TemplatePath::default() },
        name: Some("contoso-portal".to_owned()),
        template_values_file: Some(values_file.display().to_string()),
        destination: Some(destination.to_path_buf()),
        init: true,
        silent: true,
        quiet: true,
        no_workspace: true,
        vcs: Some(Vcs::None),
        ..GenerateArgs::default()
    })
    .unwrap();
}

#[test]
fn a_newer_template_merges_into_an_edited_project() {
    let (template, folder) = (Template::copy().unwrap(), tempfile::tempdir().unwrap());
    let project = committed_project(&template, folder.path());
    append(&project.join("README.md"), "\nOur own words.\n");
    git(&project, &["commit", "--quiet", "--all", "--message=Say what it is for"]);

    append(&template.path().join("clippy.toml"), "# a fix\n");
    fs::remove_file(template.path().join("LICENSE-APACHE")).unwrap();
    update(&template, &project);

    let text = |path: &str| fs::read_to_string(project.join(path)).unwrap();
    assert!(text("README.md").ends_with("Our own words.\n"));
    assert!(text("clippy.toml").ends_with("# a fix\n"));
    assert!(!project.join("LICENSE-APACHE").exists());
    assert!(text("server/Cargo.toml").contains("default = [\"postgres\", \"dev-entra\"]"));
}
