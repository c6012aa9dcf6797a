//! Islands: the few parts of a page that a browser brings to life, once the rest is there and if it can.
//!
//! The server renders each as it is without JavaScript; `app/build-islands` compiles the same code to WebAssembly,
//! which takes over what was rendered. So an island may only add comfort. Its properties are in the page for everybody
//! who looks at it to read: no secrets.
//!
//! To add one: a file here with an `#[island]`, and its use in a page or part.

pub mod confirm;
#[expect(missing_docs, reason = "the macro makes a struct of the properties without any")]
pub mod copy;
#[expect(missing_docs, reason = "the macro makes a struct of the properties without any")]
pub mod countdown;
#[expect(missing_docs, reason = "the macro makes a struct of the properties without any")]
pub mod suggestions;

/// The module that starts them in a browser. The server puts the addresses of the other two files into it.
pub const LOADER: &str = include_str!("islands/loader.js");

/// Called by [`LOADER`] before any island is.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    leptos::mount::hydrate_islands();
}
