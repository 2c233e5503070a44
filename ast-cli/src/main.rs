//! The `ast` command. Everything is in the library, so that another binary can link scorers of its own.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    ast_cli::main()
}
