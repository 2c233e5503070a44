//! The `ast` command as a library: parses arguments, resolves them once, runs.
//!
//! A binary with your own plugins links your crate and returns the exit code of [`main`]:
//!
//! ```no_run
//! // A crate that no code names is not linked, and its plugins are missing without an error.
//! // use my_plugin as _;
//!
//! fn main() -> std::process::ExitCode {
//!     ast_cli::main()
//! }
//! ```
//!
//! `docs/template` is a crate with one plugin of each kind and such a program, to be copied out.
#![forbid(unsafe_code)]

mod args;
mod builds;
mod catalogue;
mod claim;
mod compare;
mod config;
mod confusion;
mod data;
mod dataset;
mod device;
mod doctor;
mod energy;
mod eval;
mod export;
mod failure;
mod generate;
mod inference;
mod input;
mod interval;
mod ledger;
mod log;
mod manual;
mod memory;
mod output;
mod page;
mod plot;
mod plugins;
mod progress;
mod records;
mod report;
mod resume;
mod run_folder;
mod runs;
mod settings;
mod shell;
mod signals;
mod simulate;
mod tensorboard;
mod train;

use std::process::ExitCode;

use args::{Args, Command};
use clap::Parser;
use failure::{Failure, Kind};

/// Runs the command line of the program.
///
/// Exit codes: 0 done; 2 usage; 65 data; 69 device; 70 a bug here; 73 cannot create; 74 cannot read or write; 75 try
/// again; 129, 130 and 143 stopped by SIGHUP, SIGINT and SIGTERM.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = std::panic::catch_unwind(|| run(args)).unwrap_or_else(|_| {
        Err(Failure::new(Kind::Bug, "this is a bug in ast: please report the lines above and the command"))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let error = if failure.kind.is_wanted() { "" } else { "error: " };
            output::note(&format!("{error}{failure}"));
            ExitCode::from(failure.kind as u8)
        }
    }
}

fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Train(args) => {
            memory::keep();
            train::train(&args)
        }
        Command::Compare(args) => {
            memory::keep();
            compare::compare(&args)
        }
        Command::Sweep(args) => {
            memory::keep();
            compare::sweep(&args)
        }
        Command::Report(args) => page::report(&args),
        Command::Eval(args) => {
            memory::keep();
            eval::eval(&args)
        }
        Command::Ledger(args) => {
            if args.fresh {
                memory::keep();
            }
            ledger::ledger(&args)
        }
        Command::Generate(args) => generate::generate(&args),
        Command::Runs { folder } => runs::runs(&folder),
        Command::Config(command) => settings::settings(&command),
        Command::Simulate(args) => simulate::simulate(&args),
        Command::Scorers(args) => catalogue::scorers(&args),
        Command::Policies(args) => catalogue::policies(&args),
        Command::Models(args) => catalogue::models(&args),
        Command::Datasets(args) => catalogue::datasets(&args),
        Command::Optimizers(args) => catalogue::optimizers(&args),
        Command::Data(command) => data::data(&command),
        Command::Doctor => doctor::doctor(),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { out } => manual::pages(&out),
    }
}
