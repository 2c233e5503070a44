use std::path::PathBuf;

use clap::Subcommand;

use super::{PlaceArgs, RunArgs, TrainArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the configuration of a run that is not started
    #[command(after_help = "\
Takes the flags of `ast train`. Examples:
  ast config show --preset cifar10 > mine.toml     to be edited, then `ast train --config mine.toml`
  ast config show --origin --budget 0.25           where each value comes from")]
    Show(Box<ShowArgs>),
    /// Print the keys in which two runs or configuration files differ
    Diff {
        /// A run folder or a configuration file
        one: PathBuf,
        /// The other
        other: PathBuf,
    },
    /// List every key: default, what it may be, what it is
    Keys {
        /// Only keys that begin with this, such as train
        prefix: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct ShowArgs {
    /// Policy, which selects the samples [key: policy.name]
    #[arg(long)]
    policy: Option<String>,
    /// Seed of all randomness [key: train.seed]
    #[arg(long, value_parser = clap::value_parser!(i64).range(0..))]
    seed: Option<i64>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    place: PlaceArgs,
    /// Say where each value comes from
    #[arg(long)]
    pub(crate) origin: bool,
}

impl ShowArgs {
    /// The same as arguments of a run.
    pub(crate) fn of_run(&self) -> TrainArgs {
        let Self { policy, seed, run, place, .. } = self;
        TrainArgs {
            policy: policy.clone(),
            seed: *seed,
            run: run.clone(),
            place: place.clone(),
            ..TrainArgs::default()
        }
    }
}
