use std::path::PathBuf;

use super::{PlaceArgs, RunArgs};

/// Every arm is run once for each seed: the same initial network, order and augmentation for all arms of a seed. Runs that
/// are finished are not run again, so the same command continues a comparison that was stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An arm is a policy, with keys of the configuration after colons; a key without a dot is one of the policy's. Its keys go over
everything else, which is layered as in `ast train`. Keys of the sections policy, scorer, control, budget and train may vary by
arm, but for train.seed:
  --arms dense,random,ast,ast:lambda=0.4:gate=hard,ast:scorer.name=entropy,random:train.epochs=8

A difference is called established where there are six pairs or more, its 95 % interval is without 0, and p is at most 0.05.
--activation, --budget and --budget-seconds are for every arm but dense.
Costs are a share of the FLOPs of one dense run, that of --epochs, whatever the epochs of an arm.

--from reads the runs of any other program: a CSV file whose first line names the columns arm, seed, cost and result, and
then a line a run. A result is a percentage or any number of which more is better; a cost is in any unit, and is shown
as a share of that of `dense` or, without one, of the costliest arm. Other columns are ignored, with a note. In --json the
results are called accuracies here too.

Examples:
  ast compare --budget 0.25                   dense, random and ast, six seeds, no download
  ast compare --preset cifar10 --data-dir DIR --arms random,ast,infobatch --budget 0.25 --epochs 20
      --set data.train_limit=12500 --out comparisons/quarter
  ast compare --from results.csv --out comparisons/mine

The folder holds ARM/seed-N, a run folder each, and comparison.md, .json and .svg; with --from only these three.")]
pub(crate) struct CompareArgs {
    /// Which, separated by commas; random and dense are what the others are held against
    #[arg(long, value_delimiter = ',', default_value = "dense,random,ast", value_name = "ARM")]
    pub(crate) arms: Vec<String>,
    /// How many seeds, from 0 on, or which: 10..16 are six. Fewer than six pairs can establish nothing, twenty are the most
    #[arg(long, default_value = "6", value_name = "N|A..B")]
    pub(crate) seeds: String,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Runs at once. Seconds and joules depend on it, and with --budget-seconds all else
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,
    /// The runs of another program instead, from a CSV file with the columns arm, seed, cost, result
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arms", "seeds", "RunArgs", "PlaceArgs", "jobs"])]
    pub(crate) from: Option<PathBuf>,
    /// Folder of the comparison
    #[arg(long, value_name = "DIR", default_value = "runs/comparison")]
    pub(crate) out: PathBuf,
    /// Print the comparison as one JSON line on standard output, everything else on standard error
    #[arg(long)]
    pub(crate) json: bool,
}
