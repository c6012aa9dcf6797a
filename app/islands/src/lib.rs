//! What browsers load: the islands of `app`, which exports them, with its feature `hydrate`. Empty for other targets.

#[cfg(target_arch = "wasm32")]
pub use app::islands::hydrate;
