//! The binary: everything is in the library, where tests reach it.

/// A page is thousands of small allocations, made on one thread and freed on another: what the C library's allocator is
/// slow at (`docs/performance.md`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    server::cli::main()
}
