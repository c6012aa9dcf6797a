//! The documentation keeps its promises: links and anchors lead somewhere; settings, routes, commands, features and files
//! that it names exist.
#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use server::cli::Cli;
use server::config::settings::definitions;

/// Names of the environment that are not settings of this application.
const OTHER_VARIABLES: [&str; 12] = [
    "ALL_PROXY",
    "BROWSER_SLOWDOWN",
    "CLIENT_ID",
    "DATABASE_NAME",
    "ENTRA_AUTH",
    "HTTPS_PROXY",
    "NO_PROXY",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "RUST_LOG",
    "TEST_DATABASE_URL",
    "UPDATE_DOCS",
    "WEBSITES_PORT",
];

/// What shell blocks may call besides the server and scripts of this repository.
const TOOLS: [&str; 15] = [
    "az",
    "cargo",
    "cd",
    "createdb",
    "curl",
    "docker",
    "dropdb",
    "export",
    "git",
    "install",
    "kubectl",
    "rustup",
    "sqlite3",
    "systemctl",
    "watchexec",
];

/// A page: where it is, and its text.
struct Page {
    path: PathBuf,
    text: String,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, here): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder, extension)).collect();
    here.into_iter().filter(|path| path.extension().is_some_and(|found| found == extension)).chain(below).collect()
}

fn pages() -> Vec<Page> {
    let (repository, mut paths) = (repository(), vec![repository().join("README.md")]);
    paths.extend(files(&repository.join("docs"), "md"));
    let read = |path: PathBuf| Page { text: fs::read_to_string(&path).expect("a page"), path };
    paths.into_iter().map(read).collect()
}

/// The page without its code blocks.
fn prose(page: &Page) -> String {
    let parts = page.text.split("\n```").step_by(2);
    parts.map(|part| part.trim_start_matches("\n")).collect::<Vec<_>>().join("\n")
}

fn shell_lines(page: &Page) -> Vec<String> {
    let blocks = page.text.split("\n```").filter_map(|part| part.strip_prefix("sh\n"));
    blocks.flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// What stands in backticks, outside code blocks.
fn code_spans(page: &Page) -> Vec<String> {
    prose(page).split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The anchor that GitHub and mdBook give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(path: &Path) -> BTreeSet<String> {
    let page = Page { text: fs::read_to_string(path).expect("a page"), path: path.to_path_buf() };
    let prose = prose(&page);
    let headings = prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    headings.map(anchor).collect()
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    for page in pages() {
        for link in prose(&page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = page.path.parent().expect("a folder").join(file);
            let target = if file.is_empty() { page.path.clone() } else { target };
            assert!(target.exists(), "{}: {link}", page.path.display());
            let is_there = fragment.is_empty() || anchors(&target).contains(fragment);
            assert!(is_there, "{}: no heading for {link}", page.path.display());
        }
    }
}

#[test]
fn every_page_is_in_the_contents() {
    let docs = repository().join("docs");
    for folder in [docs.clone(), docs.join("recipes")] {
        let contents = fs::read_to_string(folder.join("README.md")).expect("the contents");
        for entry in fs::read_dir(&folder).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("text");
            let is_page = name.ends_with(".md") && name != "README.md";
            assert!(!is_page || contents.contains(&format!("({name})")), "{name} is not in {}", folder.display());
        }
    }
}

#[test]
fn every_setting_that_is_named_exists() {
    let settings: BTreeSet<String> = definitions().into_iter().map(|definition| definition.name).collect();
    let is_known = |name: &str| settings.contains(name) || OTHER_VARIABLES.contains(&name);
    let is_name = |text: &str| {
        text.contains('_')
            && !text.ends_with('_')
            && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
    };
    // The names of another system are in the first column.
    for mut page in pages() {
        if page.path.ends_with("migrating-from-django-entra-auth.md") {
            let second = |line: &str| line.splitn(3, '|').last().unwrap_or_default().to_owned();
            page.text = page.text.lines().map(second).collect::<Vec<_>>().join("\n");
        }
        for span in code_spans(&page) {
            let name = span.split('=').next().unwrap_or_default();
            assert!(!is_name(name) || is_known(name), "{}: {name}", page.path.display());
        }
        for line in shell_lines(&page) {
            let assigned = line.split_whitespace().filter_map(|word| word.split_once('='));
            for (name, _) in assigned {
                assert!(!is_name(name) || is_known(name), "{}: {name}", page.path.display());
            }
        }
    }
}

/// Path literals of the sources, parameters as `{}`.
fn routes() -> BTreeSet<String> {
    let sources = ["server/src", "app/src"].map(|folder| files(&repository().join(folder), "rs"));
    let texts = sources.iter().flatten().map(|path| fs::read_to_string(path).expect("a source"));
    texts.flat_map(|text| text.split('"').filter(|part| part.starts_with('/')).map(route).collect::<Vec<_>>()).collect()
}

fn route(path: &str) -> String {
    let path = path.split(['?', '#', ' ']).next().unwrap_or_default().trim_end_matches('/');
    let segment =
        |segment: &str| if segment.starts_with([':', '{', '<']) { "{}".to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_that_is_named_exists() {
    const FIRST: [&str; 8] = ["/auth", "/admin", "/profile", "/api", "/healthz", "/readyz", "/metrics", "/theme"];
    let routes = routes();
    for page in pages() {
        for span in code_spans(&page) {
            let path = span.split_whitespace().find(|word| word.starts_with('/')).unwrap_or_default();
            let is_route = FIRST.iter().any(|first| path == *first || path.starts_with(&format!("{first}/")));
            let is_pattern = path.contains(['*', '…', '|']);
            let recipe = page.path.parent().is_some_and(|folder| folder.ends_with("recipes"));
            if is_route && !is_pattern && !recipe {
                assert!(routes.contains(&route(path)), "{}: {path}", page.path.display());
            }
        }
    }
}

/// The words of a command: without variables in front, redirections, comments and what follows a pipe.
fn words(line: &str) -> Vec<&str> {
    let line = line.split(" #").next().unwrap_or_default();
    let words = line.split_whitespace().take_while(|word| !matches!(*word, "|" | "&" | "&&" | "<<JSON" | ">"));
    let is_assignment = |word: &str| word.split_once('=').is_some_and(|(name, _)| name.to_uppercase() == name);
    words.skip_while(|word| is_assignment(word)).collect()
}

#[test]
fn every_command_in_a_shell_block_exists() {
    let features = fs::read_to_string(repository().join("server/Cargo.toml")).expect("a manifest");
    for page in pages() {
        let mut is_document = false;
        for line in shell_lines(&page) {
            let at = format!("{}: {line}", page.path.display());
            let was_document = is_document;
            is_document = if is_document { line != "JSON" } else { line.contains("<<JSON") };
            let words = words(&line);
            // A setting with a placeholder for its value is no command.
            let is_command = !was_document && !line.starts_with(' ') && !line.contains("=<");
            let Some(program) = words.first().filter(|_| is_command) else { continue };
            match *program {
                "server" | "target/release/server" | "target/debug/server" => {
                    check_arguments(words.get(1..).unwrap_or_default(), &at)
                }
                "cargo" => {
                    if let Some(end) = words.iter().position(|word| *word == "--").filter(|_| words.contains(&"run")) {
                        check_arguments(words.get(end + 1..).unwrap_or_default(), &at);
                    }
                    let named =
                        words.iter().skip_while(|word| **word != "--features").nth(1).copied().unwrap_or_default();
                    for feature in named.split(',').filter(|feature| !feature.is_empty()) {
                        assert!(features.contains(&format!("\n{feature} = [")), "{at}: no feature {feature}");
                    }
                }
                script if script.contains('/') => assert!(repository().join(script).exists(), "{at}"),
                tool => assert!(TOOLS.contains(&tool), "{at}: what is {tool}?"),
            }
        }
    }
}

/// The server takes these arguments; placeholders count as values.
fn check_arguments(arguments: &[&str], at: &str) {
    let parsed = Cli::command().try_get_matches_from([&["server"], arguments].concat());
    let is_help = |error: &clap::Error| error.kind() == clap::error::ErrorKind::DisplayHelp;
    if let Err(error) = parsed {
        assert!(is_help(&error), "{at}: {error}");
    }
}
