use std::path::PathBuf;

use clap::ValueEnum;

/// What a finished run did with each training sample: visits, last loss, forgetting, rank.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "\
Examples:
  ast ledger runs/0001-procedural-ast
  ast ledger runs/mine --sort forgotten --top 50
  ast ledger runs/mine --suspects                the labels that may be wrong
  ast ledger runs/mine --csv > ledger.csv        every sample

Columns: visits, how often it was trained on; loss, at the last visit; forgotten, how often its
answer changed from right to wrong; rank, of its last score among recent ones, 1 is the most
significant.

A suspect is a sample with a high loss at its last visit, which costs nothing to know; with --fresh
under the weights at the end of the run, which takes a forward pass over the training data. If the
data says which labels are wrong (procedural data, data.label_noise), their share is printed.

Exit codes: 0 done, 2 usage, 65 the run's files are damaged or missing, 74 cannot read.")]
pub(crate) struct LedgerArgs {
    /// Folder of a finished run
    pub(crate) run: PathBuf,
    /// What to sort by, largest first
    #[arg(long, value_enum, default_value_t, conflicts_with = "suspects")]
    pub(crate) sort: SortBy,
    /// Number of samples to list [default: 20; with --csv all]
    #[arg(long, value_name = "N")]
    pub(crate) top: Option<usize>,
    /// List the samples whose labels may be wrong
    #[arg(long)]
    pub(crate) suspects: bool,
    /// With --suspects: rank all images by their loss under the final weights
    #[arg(long, requires = "suspects")]
    pub(crate) fresh: bool,
    /// Print as CSV: every sample, unless --top limits them
    #[arg(long)]
    pub(crate) csv: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    /// How often it was trained on
    #[default]
    Visits,
    /// Loss at the last visit
    Loss,
    /// How often its answer changed from right to wrong
    Forgotten,
    /// Rank of the last score
    Rank,
}
