use std::path::PathBuf;

use super::headings::{OUT, PLACE, RUNS};
use super::{CompareArgs, PlaceArgs, RunArgs, Shard};

/// Runs every combination of some values, with every seed. It is `ast compare` with an arm for each combination.
#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)]
#[command(after_help = "\
A --set with several values, separated by commas, varies; one with a single value holds for all. A
value that is itself a list stands in brackets. What may vary is what an arm of `ast compare` may set:
keys of the sections policy, scorer, control, budget and train, except train.seed.

Examples:
  ast sweep --set control.target=0.05,0.1,0.2 --beside dense,random
  ast sweep --preset cifar10 --data-dir DIR --budget 0.25 --set policy.gamma=1,2,4 --set train.lr=1e-3,2e-3
  ast sweep --set control.target=0.05,0.1 --out sweep --shard 1/4     on the first of four machines

Exit codes as those of `ast compare`.")]
pub(crate) struct SweepArgs {
    /// Policy whose settings vary
    #[arg(long, default_value = "ast", help_heading = RUNS)]
    pub(crate) policy: String,
    /// Arms to run beside these, such as random, with which the others are then compared
    #[arg(long, value_name = "ARM", help_heading = RUNS)]
    beside: Vec<String>,
    /// Number of seeds, starting at 0, or a range: 10..16 are six; at most twenty
    #[arg(long, default_value = "6", value_name = "N|A..B", help_heading = RUNS)]
    seeds: String,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Number of parallel runs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64), help_heading = RUNS)]
    jobs: u8,
    /// Make only a part of the runs: I/N, the I-th of N
    #[arg(long, value_name = "I/N", help_heading = RUNS)]
    shard: Option<Shard>,
    /// Output folder
    #[arg(long, value_name = "DIR", default_value = "runs/sweep", help_heading = PLACE)]
    out: PathBuf,
    /// Print the comparison as one JSON line on standard output, everything else on standard error
    #[arg(long, help_heading = OUT)]
    json: bool,
}

impl SweepArgs {
    /// The comparison of these arms, with the keys that hold for all in `set`.
    pub(crate) fn comparison(&self, arms: Vec<String>, set: Vec<String>) -> CompareArgs {
        CompareArgs {
            arms: self.beside.iter().cloned().chain(arms).collect(),
            seeds: self.seeds.clone(),
            run: RunArgs { set, ..self.run.clone() },
            place: self.place.clone(),
            jobs: self.jobs,
            shard: self.shard,
            from: None,
            runs: Vec::new(),
            out: self.out.clone(),
            json: self.json,
        }
    }
}
