//! Builds a generated project with each set of Cargo features, boots it and signs in to it. The SQLite one takes every
//! default and follows every recipe of `docs/recipes`; without them it would be the repository, whose tests the stage
//! `test` runs. The PostgreSQL one has every answer turned round and passes all of its own tests, which are the
//! repository's on that database.
//!
//! `tests/run` starts it: `TEST_DATABASE_URL` names a PostgreSQL server whose databases may be created and dropped.
//! The projects lie at a fixed place and share the repository's target directory, so that only their own members are
//! compiled, and a second run leaves no second set of artefacts.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

use generation::recipes::{FOLDER, recipes};
use generation::visit::sign_in;
use generation::{Answers, Template, generate, repository};

/// No start takes this long on the slowest of machines.
const START_DEADLINE: Duration = Duration::from_secs(600);
/// How often a starting server is asked.
const START_POLL: Duration = Duration::from_millis(50);

/// The projects put what they build at the same places of the shared target directory, and Cargo's own lock on it ends
/// before documentation tests begin.
static TARGET: Mutex<()> = Mutex::new(());

#[test]
fn a_sqlite_project_with_every_recipe_builds_passes_their_probes_and_signs_people_in() {
    let project = generated(&Answers::new("generated-sqlite"));
    for recipe in recipes().unwrap() {
        for change in &recipe.changes {
            change.apply(&project).unwrap_or_else(|error| panic!("{FOLDER}/{}: {error:#}", recipe.name));
        }
    }
    let probes = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/probes.rs");
    fs::copy(probes, project.join("tests/suite/tests/recipes.rs")).unwrap();
    // Those of the command line come with the binary.
    let tests = ["--test", "pages", "--test", "recipes", "--test", "command_line"];
    let binary = build(&project, &tests);
    let data = tempfile::tempdir().unwrap();
    boot(&binary, &format!("sqlite://{}/app.db", data.path().display()));
}

#[test]
fn a_postgres_project_with_every_answer_turned_round_builds_passes_its_tests_and_signs_people_in() {
    let url = std::env::var("TEST_DATABASE_URL").expect("TEST_DATABASE_URL names a PostgreSQL server: run tests/run");
    let answers = Answers::new("generated-postgres").with("title", "A \"quoted\" {title}").with("database", "postgres");
    let project = generated(&answers.with("tenancy", "multi").with("graph", false).with("api", false));
    let binary = build(&project, &["--no-fail-fast"]);
    boot(&binary, &url);
}

/// Generates a project at its fixed place.
fn generated(answers: &Answers) -> PathBuf {
    let folder = std::env::temp_dir().join("entra-starter-generated");
    let path = folder.join(&answers.name);
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    generate(Template::copy().unwrap().path(), &folder, answers).unwrap()
}

/// Runs the tests that `tests` names, those of the server among them, which take its binary: returns a copy of that, which
/// no other build overwrites.
fn build(project: &Path, tests: &[&str]) -> PathBuf {
    let _guard = TARGET.lock().unwrap();
    cargo(project, &[&["test", "--locked", "--workspace"], tests].concat());
    let binary = project.join("server-under-test");
    fs::copy(target_directory().join("debug/server"), &binary).unwrap();
    binary
}

fn cargo(project: &Path, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).current_dir(project).env("CARGO_TARGET_DIR", target_directory());
    assert!(command.status().unwrap().success(), "cargo {arguments:?} in {}", project.display());
}

fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// Starts the server with the emulator beside it, waits until it says that it is well, and signs in.
fn boot(binary: &Path, database_url: &str) {
    let port = free_port();
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary);
    command.current_dir(folder.path()).stdin(Stdio::null()).env("DATABASE_URL", database_url);
    command.env("BIND_ADDR", format!("127.0.0.1:{port}")).env("PUBLIC_URL", format!("http://localhost:{port}"));
    let mut server = Server(command.spawn().unwrap());
    let deadline = Instant::now() + START_DEADLINE;
    while health(port) != Some(200) {
        assert!(server.0.try_wait().unwrap().is_none(), "the server stopped before it answered");
        assert!(Instant::now() < deadline, "no 200 from /healthz");
        sleep(START_POLL);
    }
    let profile = sign_in(&format!("http://localhost:{port}")).unwrap();
    assert!(profile.contains("admin@contoso.example"), "{profile}");
}

/// A child process that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The status of `GET /healthz`, if there is an answer.
fn health(port: u16) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET /healthz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}
