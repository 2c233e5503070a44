//! The network of a finished run, to be used and not trained.

use std::path::{Path, PathBuf};

use ast_core::data::Loader;
use ast_core::run::RunConfig;
use ast_core::train::{Evaluated, Inference, TrainError, Trained, WeightsError};

use crate::device;
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::run_folder::{MODEL, not_yet};
use crate::train;

/// The weights of a run: the `given` file, or else those at its end.
pub(crate) fn weights(run: &Path, given: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(weights) = given {
        return match weights.is_file() {
            true => Ok(weights.to_path_buf()),
            false => Err(Failure::new(Kind::Data, format!("--weights: {} is not a file", weights.display()))),
        };
    }
    let weights = run.join(MODEL);
    if !weights.is_file() {
        return Err(not_yet(run, MODEL));
    }
    Ok(weights)
}

/// Loads the network; `so` says what to do if the weights are not its.
pub(crate) fn load(trained: &Trained<'_>, so: &str) -> Result<Box<dyn Inference>, Failure> {
    trained.load().map_err(|error| {
        let (kind, so) = match error {
            WeightsError::Read(_) => (Kind::Io, ""),
            WeightsError::Differs(_) => (Kind::Data, so),
            _ => (Kind::Data, ""),
        };
        Failure::new(kind, format!("{}: {error}{so}", trained.weights.display()))
    })
}

/// Evaluates weights on all samples of a loader; `what` they are, in words.
pub(crate) fn evaluate(
    config: &RunConfig,
    weights: &Path,
    loader: &mut dyn Loader,
    what: &str,
    tta: bool,
) -> Result<Evaluated, Failure> {
    train::set_threads(config.device.threads)?;
    let (backend, device) = device::choose(&config.device.name)?;
    let data = loader.dataset().clone();
    let (shape, classes) = (data.shape(), data.classes());
    let trained = Trained { model: &config.model, weights, shape, classes, device: &device };
    let model = load(&trained, "; are they the weights of this network, for data of this shape and these classes?")?;
    note(&format!("evaluating on {backend}: {what}"));
    let evaluated = model.evaluate(loader, &device, tta).map_err(|error| {
        let error = TrainError::from(error);
        Failure::new(train::kind_of(&error), error.to_string())
    })?;
    if !evaluated.loss.is_finite() {
        let what = "the loss is not a number: the weights are damaged, or training diverged";
        return Err(Failure::new(Kind::Data, format!("{}: {what}", weights.display())));
    }
    for bad in &evaluated.bad {
        note(&format!("warning: sample {} is left out: {}", bad.id, bad.reason));
    }
    Ok(evaluated)
}
