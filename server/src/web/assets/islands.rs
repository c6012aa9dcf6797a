//! The islands' files: their loader, and what `app/build-islands` made of them, if it has.
//!
//! A release build holds them. A debug build reads them when it starts, so that it need not be built again with them.

use std::path::Path;
use std::sync::LazyLock;

use app::islands::LOADER;
use axum::http::HeaderValue;

use crate::web::assets::Asset;

const JAVASCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const WASM: HeaderValue = HeaderValue::from_static("application/wasm");

/// JavaScript and WebAssembly of a release build; `None` when they had not been built before it.
static EMBEDDED: Option<(&[u8], &[u8])> = include!(concat!(env!("OUT_DIR"), "/islands.rs"));

static ISLANDS: LazyLock<Option<Islands>> = LazyLock::new(|| {
    let (script, module) = if cfg!(debug_assertions) { built()? } else { embedded()? };
    Some(Islands::new(script, module))
});

/// The three files that browsers fetch, in this order.
struct Islands {
    loader: Asset,
    script: Asset,
    module: Asset,
}

impl Islands {
    /// Their addresses depend on what is in them, so each is told those of the next.
    fn new(script: Vec<u8>, module: Vec<u8>) -> Self {
        let module = Asset::new("app", "wasm", WASM, module);
        let script = Asset::new("app", "js", JAVASCRIPT, script);
        let loader = LOADER.replace("WASM_URL", &module.url).replace("SCRIPT_URL", &script.url);
        Self { loader: Asset::new("islands", "js", JAVASCRIPT, loader.into_bytes()), script, module }
    }
}

/// The URL path of the script that starts the islands: `/assets/islands.<hash>.js`; `None` without islands.
#[must_use]
pub fn islands_url() -> Option<&'static str> {
    ISLANDS.as_ref().map(|islands| islands.loader.url.as_str())
}

/// The file with this name, whatever hash it has.
pub(super) fn find(name: &str) -> Option<&'static Asset> {
    let islands = ISLANDS.as_ref()?;
    [&islands.loader, &islands.script, &islands.module].into_iter().find(|asset| asset.is_named(name))
}

fn embedded() -> Option<(Vec<u8>, Vec<u8>)> {
    EMBEDDED.map(|(script, module)| (script.to_vec(), module.to_vec()))
}

/// As they lie there, with either name of the module.
fn built() -> Option<(Vec<u8>, Vec<u8>)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/site/pkg"));
    let read = |name| std::fs::read(folder.join(name)).ok();
    Some((read("app.js")?, read("app_bg.wasm").or_else(|| read("app.wasm"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_names_the_next_by_its_contents() {
        let islands = Islands::new(b"export default 1".to_vec(), b"\0asm".to_vec());
        let loader = String::from_utf8_lossy(&islands.loader.plain.bytes);
        assert!(loader.contains(&islands.script.url) && loader.contains(&islands.module.url), "{loader}");
        assert!(!loader.contains("_URL"), "{loader}");
        let other = Islands::new(b"export default 1".to_vec(), b"\0asm2".to_vec());
        assert_eq!(islands.script.url, other.script.url);
        assert_ne!(islands.module.url, other.module.url);
        assert_ne!(islands.loader.url, other.loader.url);
    }
}
