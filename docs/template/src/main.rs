//! The `ast` command with the plugins of this crate: `cargo run --release -- train --scorer doubt`.
#![forbid(unsafe_code)]

// A crate that no code names is not linked, and its plugins are missing without an error.
use my_plugin as _;

fn main() -> std::process::ExitCode {
    ast_cli::main()
}
