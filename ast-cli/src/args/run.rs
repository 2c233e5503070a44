//! Flags that set keys of a run's configuration, shared by `ast train` and `ast compare`.

use std::path::PathBuf;

use toml::Value;

use super::headings::{PLACE, SELECT, TRAIN};

/// Section and key.
pub(crate) type Key = (&'static str, &'static str);

/// The flags that decide a run; `--resume` takes none of them. Each flag has a field here and a line in [`RunArgs::keys`].
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct RunArgs {
    /// Preset to start from: quickstart, cifar10, cifar10-fast, cifar10-94 or shakespeare [default without --config: quickstart]
    #[arg(long, help_heading = TRAIN)]
    pub(crate) preset: Option<String>,
    /// Configuration file, such as the config.toml of a run folder
    #[arg(long, value_name = "FILE", help_heading = TRAIN)]
    pub(crate) config: Option<PathBuf>,
    /// Set any key of the configuration, with a TOML value; repeatable
    #[arg(long, value_name = "KEY=VALUE", help_heading = TRAIN)]
    pub(crate) set: Vec<String>,
    /// Dataset; `ast datasets` lists them [key: data.name]
    #[arg(long, help_heading = TRAIN)]
    pub(crate) dataset: Option<String>,
    /// Network; `ast models` lists them [key: model.name]
    #[arg(long, help_heading = TRAIN)]
    pub(crate) model: Option<String>,
    /// Optimizer; `ast optimizers` lists them [key: optimizer.name]
    #[arg(long, help_heading = TRAIN)]
    pub(crate) optimizer: Option<String>,
    /// Scorer, which defines significance; `ast scorers` lists them [key: scorer.name]
    #[arg(long, help_heading = SELECT)]
    pub(crate) scorer: Option<String>,
    /// Share of the offered samples to train on, in (0, 1] [key: control.target]
    #[arg(long, value_name = "SHARE", conflicts_with = "budget", help_heading = SELECT)]
    pub(crate) activation: Option<f64>,
    /// Budget: share of a dense run's FLOPs, scoring included, in (0, 1]; instead of --activation [key:
    /// budget.fraction]
    #[arg(long, value_name = "SHARE", help_heading = SELECT)]
    pub(crate) budget: Option<f64>,
    /// Budget: seconds of training, with scoring but without evaluation; --activation then is the share of offered
    /// samples to train on [key: budget.seconds]
    #[arg(long, value_name = "SECONDS", conflicts_with = "budget", help_heading = SELECT)]
    pub(crate) budget_seconds: Option<f64>,
    /// Do not charge scoring to the budget. An ablation: the value of a policy if scores were free [key:
    /// budget.free_scoring]
    #[arg(long, help_heading = SELECT)]
    pub(crate) free_scoring: bool,
    /// Nominal epochs: how often every sample is offered [key: train.epochs]
    #[arg(long, help_heading = TRAIN)]
    pub(crate) epochs: Option<u32>,
    /// Samples per step [key: train.batch_size]
    #[arg(long, help_heading = TRAIN)]
    pub(crate) batch_size: Option<u32>,
    /// Peak learning rate [key: train.lr]
    #[arg(long, help_heading = TRAIN)]
    pub(crate) lr: Option<f64>,
}

/// Flags for the place of a run. `--resume` accepts them too, because results do not depend on them.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct PlaceArgs {
    /// Folder of the dataset's files [key: data.dir; variable: AST_DATA_DIR]
    #[arg(long, value_name = "DIR", help_heading = PLACE)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Device: auto, flex (CPU), wgpu or cuda, of those compiled in [key: device.name]
    #[arg(long, help_heading = PLACE)]
    pub(crate) device: Option<String>,
    /// Threads of the CPU backend, 0: one per physical core; results do not depend on it [key: device.threads]
    #[arg(long, help_heading = PLACE)]
    pub(crate) threads: Option<u32>,
}

impl RunArgs {
    /// The keys set by flags, with their values.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (Key, Value)> {
        let keys = [
            (("data", "name"), text(&self.dataset)),
            (("model", "name"), text(&self.model)),
            (("optimizer", "name"), text(&self.optimizer)),
            (("scorer", "name"), text(&self.scorer)),
            (("control", "target"), self.activation.map(Value::from)),
            (("budget", "fraction"), self.budget.map(Value::from)),
            (("budget", "seconds"), self.budget_seconds.map(Value::from)),
            (("budget", "free_scoring"), self.free_scoring.then_some(Value::from(true))),
            (("train", "epochs"), count(self.epochs)),
            (("train", "batch_size"), count(self.batch_size)),
            (("train", "lr"), self.lr.map(Value::from)),
        ];
        given(keys)
    }
}

impl PlaceArgs {
    /// The same, but for `data.dir`, which may be no text.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (Key, Value)> {
        given([(("device", "name"), text(&self.device)), (("device", "threads"), count(self.threads))])
    }
}

fn text(value: &Option<String>) -> Option<Value> {
    value.clone().map(Value::from)
}

fn count(value: Option<u32>) -> Option<Value> {
    value.map(i64::from).map(Value::from)
}

fn given<const N: usize>(keys: [(Key, Option<Value>); N]) -> impl Iterator<Item = (Key, Value)> {
    keys.into_iter().filter_map(|(key, value)| Some((key, value?)))
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{CommandFactory, Parser};

    use crate::args::Args;

    /// Every flag of these groups beside `flag`, whose command takes its configuration from elsewhere.
    fn all_conflict(command: &str, flag: &str, groups: &[&str]) {
        let args = Args::command();
        let command = args.find_subcommand(command).unwrap();
        let members = command.get_groups().filter(|group| groups.contains(&group.get_id().as_str()));
        let members: Vec<_> = members.flat_map(|group| group.get_args()).collect();
        assert!(members.len() >= 10, "{members:?}");
        for id in members {
            let arg = command.get_arguments().find(|arg| arg.get_id() == id).unwrap();
            let value = if arg.get_action().takes_values() { "=1" } else { "" };
            let other = format!("--{}{value}", arg.get_long().unwrap());
            let refused = Args::try_parse_from(["ast", command.get_name(), flag, "x", &other]).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ArgumentConflict, "{flag} {other}: {refused}");
        }
    }

    #[test]
    fn the_help_names_every_preset() {
        let args = Args::command();
        let preset =
            args.find_subcommand("train").unwrap().get_arguments().find(|arg| arg.get_id() == "preset").unwrap();
        let help = preset.get_help().unwrap().to_string();
        for name in crate::config::preset_names() {
            assert!(help.contains(name), "{name}: {help}");
        }
    }

    #[test]
    fn what_is_there_already_takes_no_configuration() {
        all_conflict("train", "--resume", &["RunArgs"]);
        all_conflict("compare", "--from", &["RunArgs", "PlaceArgs"]);
        all_conflict("compare", "--runs", &["RunArgs", "PlaceArgs"]);
        let place = ["--data-dir=x", "--device=flex", "--threads=2"];
        assert!(Args::try_parse_from(["ast", "train", "--resume", "x"].iter().chain(&place)).is_ok());
    }
}
