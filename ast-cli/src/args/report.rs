use std::path::PathBuf;

/// Writes a page about a finished run: one HTML file that needs no network.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ast report runs/0001-procedural-ast
  ast report runs/mine --out mine.html

`ast train` writes the page by itself, RUN/report.html. It shows the result and its price, curves,
what was selected, and the result by class. The samples in it come from the run's data: if that has
moved, AST_DATA_DIR must say where.

Exit codes: 0 done, 2 usage, 65 the run's files are damaged or missing, 74 cannot read or write.")]
pub(crate) struct ReportArgs {
    /// Folder of a finished run
    pub(crate) run: PathBuf,
    /// File to write [default: RUN/report.html]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}
