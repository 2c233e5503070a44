//! `ast completions` and `ast man`, both made from the same definition as `--help`.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Args;
use crate::failure::{Failure, Kind};
use crate::output::{note, put, several};

pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "ast", &mut text);
    put(&text).map(drop)
}

/// Writes a page for each command.
pub(crate) fn pages(folder: &Path) -> Result<(), Failure> {
    let cannot = |error| Failure::new(Kind::Create, format!("cannot write into {}: {error}", folder.display()));
    clap_mangen::generate_to(Args::command(), folder).map_err(cannot)?;
    let pages = std::fs::read_dir(folder).map_err(cannot)?.filter_map(Result::ok);
    let ours = pages.filter(|page| page.file_name().to_string_lossy().starts_with("ast")).count();
    note(&format!("{} in {}", several(ours, "page"), folder.display()));
    Ok(())
}
