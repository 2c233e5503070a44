use std::path::PathBuf;
use std::str::FromStr;

use super::headings::{OUT, PLACE, RUNS};
use super::{PlaceArgs, RunArgs};

/// A part of the runs: the `number`-th of `of`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) number: usize,
    pub(crate) of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("write it as I/N, for example 1/4 for the first of four".into()),
        }
    }
}

impl Shard {
    /// Whether the run at this place, from 0, belongs to the part.
    pub(crate) fn has(self, place: usize) -> bool {
        place % self.of == self.number - 1
    }
}

/// Runs every arm once per seed. All arms of a seed have the same initial network, order and augmentation. Finished
/// runs are not repeated, so the same command continues a stopped comparison.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "\
An arm is a policy, followed by keys of the configuration after colons; a key without a dot is a parameter of the
policy. The keys of an arm override all others, which are layered as in `ast train`. An arm may set keys of the sections
policy, scorer, control, budget and train, except train.seed:
  --arms dense,random,ast,ast:lambda=0.4:gate=hard,ast:scorer.name=entropy,random:train.epochs=8

A difference is established if there are six pairs or more, its 95 % interval excludes 0, and p is at most 0.05.
--activation, --budget and --budget-seconds apply to every arm except dense.
Costs are shares of the FLOPs of one dense run of --epochs epochs, also for arms with other epochs.

--from reads the runs of any other program: a CSV file with the columns arm, seed, cost and result in its first line,
and then one line per run. A result is a percentage or any number where larger is better. A cost has any unit; it is
shown as a share of the cost of `dense` or, without that arm, of the costliest arm. Other columns are ignored, with a
note. In --json the results are named accuracies in this case too.

Examples:
  ast compare --budget 0.25                   dense, random and ast, six seeds, no download
  ast compare --preset cifar10 --data-dir DIR --arms random,ast,infobatch --budget 0.25 --epochs 20
      --set data.train_limit=12500 --out comparisons/quarter
  ast compare --runs runs/0001-procedural-ast,runs/0002-procedural-random --out comparisons/pair
  ast compare --from results.csv --out comparisons/mine

--runs makes the same table of runs that are finished. Runs that differ in nothing but the seed are one arm.

The output folder has a run folder ARM/seed-N per run, and report.html, comparison.md, .json and
.svg; with --from and --runs only these files.")]
pub(crate) struct CompareArgs {
    /// Arms, separated by commas; the others are compared with random and dense
    #[arg(long, default_value = "dense,random,ast", value_name = "ARM", help_heading = RUNS)]
    pub(crate) arms: Vec<String>,
    /// Number of seeds, starting at 0, or a range: 10..16 are six. At least six pairs are needed to establish a
    /// difference; at most twenty
    #[arg(long, default_value = "6", value_name = "N|A..B", help_heading = RUNS)]
    pub(crate) seeds: String,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Number of parallel runs. Seconds and joules depend on it; with --budget-seconds, so do all results
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64), help_heading = RUNS)]
    pub(crate) jobs: u8,
    /// Make only a part of the runs: I/N, the I-th of N; the table is made when all are there
    #[arg(long, value_name = "I/N", help_heading = RUNS)]
    pub(crate) shard: Option<Shard>,
    /// Compare the runs of another program, from a CSV file with the columns arm, seed, cost, result
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arms", "seeds", "RunArgs", "PlaceArgs", "jobs", "shard"], help_heading = RUNS)]
    pub(crate) from: Option<PathBuf>,
    /// Compare finished runs, separated by commas: run folders, or folders of run folders
    #[arg(long, value_name = "RUN", value_delimiter = ',', conflicts_with_all = ["arms", "seeds", "RunArgs", "PlaceArgs", "jobs", "shard", "from"], help_heading = RUNS)]
    pub(crate) runs: Vec<PathBuf>,
    /// Output folder
    #[arg(long, value_name = "DIR", default_value = "runs/comparison", help_heading = PLACE)]
    pub(crate) out: PathBuf,
    /// Print the comparison as one JSON line on standard output, everything else on standard error
    #[arg(long, help_heading = OUT)]
    pub(crate) json: bool,
}
