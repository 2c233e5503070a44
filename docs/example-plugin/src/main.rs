//! The `ast` command with two more scorers. `ast-with-mine train --scorer doubt`
#![forbid(unsafe_code)]

use ast_example_plugin as _; // links the crate, and with it what it registers

fn main() -> std::process::ExitCode {
    ast_cli::main()
}
