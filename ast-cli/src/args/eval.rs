use std::path::PathBuf;

use super::{PlaceArgs, RunArgs, TrainArgs};
use crate::failure::Failure;
use crate::run_folder::{CONFIG, is_a_run};

/// Loads weights and evaluates them on the test set: accuracy, classes, confusion matrix, calibration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ast eval runs/0001-procedural-ast                       the weights at the end of the run
  ast eval runs/mine/best.safetensors --csv answers.csv
  ast eval runs/mine --dataset image-folder --data-dir photos   on other images of the same classes
  ast eval resnet18.safetensors --model resnet18 --dataset cifar10 --data-dir DIR

Network and data are those of the run's config.toml, unless they are named here. With --set
data.validation=N the weights are evaluated on the N training samples that such a run holds out.

Exit codes: 0 done, 2 usage, 65 data or weights, 69 device, 74 cannot read or write.")]
pub(crate) struct EvalArgs {
    /// Folder of a finished run, or a safetensors file
    pub(crate) what: PathBuf,
    /// Preset that names network and data, for a file outside a run
    #[arg(long)]
    preset: Option<String>,
    /// Configuration file that names network and data [default: config.toml beside the weights]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any key of the configuration, with a TOML value; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Dataset; `ast datasets` lists them [key: data.name]
    #[arg(long)]
    dataset: Option<String>,
    /// Network; `ast models` lists them [key: model.name]
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Write the answer for every image: class and predicted class with their names, confidence, loss
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Print the result as one JSON line on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

impl EvalArgs {
    /// The same as arguments of a run.
    pub(crate) fn of_run(&self) -> Result<TrainArgs, Failure> {
        let folder = if self.what.is_dir() { Some(self.what.as_path()) } else { self.what.parent() };
        let beside = folder.map(|folder| folder.join(CONFIG)).filter(|file| file.is_file());
        let Self { preset, config, set, dataset, model, .. } = self;
        let named = preset.is_some() || model.is_some();
        let config = config.clone().or(beside.clone().filter(|_| preset.is_none()));
        if config.is_none() && !named {
            if self.what.is_dir() {
                is_a_run(&self.what)?;
            }
            let what = self.what.display();
            let message =
                format!("{what}: no {CONFIG} beside the weights; name the network with --config, --preset or --model");
            return Err(Failure::usage(message));
        }
        let run = RunArgs {
            preset: preset.clone(),
            config,
            set: set.clone(),
            dataset: dataset.clone(),
            model: model.clone(),
            ..RunArgs::default()
        };
        Ok(TrainArgs { run, place: self.place.clone(), ..TrainArgs::default() })
    }
}
