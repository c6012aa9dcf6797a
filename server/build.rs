//! Puts the islands into a release build, as far as `app/build-islands` has built them.
//!
//! Debug builds read them when they start: they need not be built anew with them.

use std::path::Path;
use std::time::SystemTime;
use std::{env, fs, io};

/// Where both tools put them, relative to this crate.
const SITE: &str = "../target/site/pkg";
/// The names that wasm-bindgen and cargo-leptos give the module.
const MODULES: [&str; 2] = ["app_bg.wasm", "app.wasm"];

fn main() -> io::Result<()> {
    let site = Path::new(&env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join(SITE);
    let folder = env::var("OUT_DIR").map_err(io::Error::other)?;
    // What is not there counts as changed at every build, and what is new at the next one.
    if !site.exists() {
        fs::create_dir_all(&site)?;
        // Not every system lets a folder be opened; there the next build only does more than it had to.
        fs::File::open(&site).and_then(|folder| folder.set_modified(SystemTime::UNIX_EPOCH)).ok();
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={SITE}");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let script = site.join("app.js");
    let module = MODULES.iter().map(|name| site.join(name)).find(|module| module.exists());
    let code = match module.filter(|_| is_release && script.exists()) {
        Some(module) => format!("Some((include_bytes!({script:?}), include_bytes!({module:?})))"),
        None => "None".to_owned(),
    };
    fs::write(Path::new(&folder).join("islands.rs"), code)
}
