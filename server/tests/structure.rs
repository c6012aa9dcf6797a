//! How the sources hang together: no circle of more than two files anywhere, and inside the server imports go down alone.
#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{ItemMod, UseTree};

/// The rooms of the server, from the top down. A room imports from its own floor and from those below.
const FLOORS: [&[&str]; 4] = [
    &["", "main", "cli", "serve", "router"],
    &["web", "sign_in", "admin", "api"],
    &["session", "people", "tokens", "directory_sync", "jobs", "diagnostics", "state"],
    &["error", "observe", "config", "paths"],
];

/// A module by its path: `["people", "sync"]`.
type Module = Vec<String>;
/// Which modules each one imports from.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let is_test = ["tests", "tests.rs", "testing.rs"].iter().any(|name| path.ends_with(name));
        match path.extension().is_some_and(|extension| extension == "rs") {
            _ if is_test => {}
            true => found.push(path),
            false if path.is_dir() => found.extend(files(&path)),
            false => {}
        }
    }
    found
}

fn module(file: &Path, source: &Path) -> Module {
    let inside = file.strip_prefix(source).expect("a source").with_extension("");
    let mut module: Module = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// Every path that a file names: what it imports, and what it names in full where it uses it.
#[derive(Default)]
struct Paths(Vec<Module>);

impl Paths {
    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.add_tree(&[before, &[path.ident.to_string()]].concat(), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.add_tree(before, item)),
            UseTree::Name(name) => self.0.push([before, &[name.ident.to_string()]].concat()),
            UseTree::Rename(name) => self.0.push([before, &[name.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.0.push(before.to_vec()),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    /// Tests may look at everything; a module in a file is that file.
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) && item.ident == "tests";
        if !is_test {
            visit::visit_item_mod(self, item);
        }
    }
}

/// The module that `path`, written in `from`, leads into.
fn target(path: &[String], from: &Module, known: &BTreeSet<Module>) -> Option<Module> {
    let (mut at, mut rest) = match path.split_first()? {
        (first, rest) if first == "crate" => (Module::new(), rest),
        (first, rest) if first == "self" => (from.clone(), rest),
        (first, _) if first == "super" => (from.clone(), path),
        _ => return None,
    };
    while let Some((first, more)) = rest.split_first() {
        if first == "super" {
            at.pop();
        } else if known.contains(&[at.as_slice(), std::slice::from_ref(first)].concat()) {
            at.push(first.clone());
        } else {
            break;
        }
        rest = more;
    }
    // What a file takes from the module that it is a part of says nothing about the order of the two.
    (known.contains(&at) && !from.starts_with(&at)).then_some(at)
}

fn imports(source: &Path) -> Imports {
    let files: BTreeMap<Module, PathBuf> =
        files(source).into_iter().map(|file| (module(&file, source), file)).collect();
    let known: BTreeSet<Module> = files.keys().cloned().collect();
    assert!(known.len() > 20, "the sources of {} are there", source.display());
    let read = |module: &Module, file: &Path| {
        let file = syn::parse_file(&fs::read_to_string(file).expect("a text")).expect("Rust");
        let mut paths = Paths::default();
        paths.visit_file(&file);
        paths.0.iter().filter_map(|path| target(path, module, &known)).collect()
    };
    files.iter().map(|(module, file)| (module.clone(), read(module, file))).collect()
}

fn reachable(from: &Module, imports: &Imports) -> BTreeSet<Module> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.clone()]);
    while let Some(module) = open.pop() {
        open.extend(imports[&module].iter().filter(|next| seen.insert((*next).clone())).cloned());
    }
    seen
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn no_circle_of_imports_holds_more_than_two_files() {
    for path in ["src", "entra/src", "store/src", "../app/src"] {
        let imports = imports(&source(path));
        let reached: BTreeMap<&Module, BTreeSet<Module>> =
            imports.keys().map(|module| (module, reachable(module, &imports))).collect();
        for (module, from_here) in &reached {
            let circle: Vec<&Module> = from_here.iter().filter(|other| reached[*other].contains(*module)).collect();
            assert!(circle.len() <= 2, "{path}: these import each other: {circle:?}");
        }
    }
}

#[test]
fn no_import_of_the_server_runs_back_up() {
    let floor = |module: &Module| {
        let room = module.first().map(String::as_str).unwrap_or_default();
        FLOORS.iter().position(|floor| floor.contains(&room)).unwrap_or_else(|| panic!("{room} has no floor"))
    };
    for (module, targets) in imports(&source("src")) {
        for target in targets {
            assert!(floor(&target) >= floor(&module), "{} imports from {}", module.join("::"), target.join("::"));
        }
    }
}
