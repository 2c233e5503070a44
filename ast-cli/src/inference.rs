//! The network of a finished run, to be used and not trained.

use std::path::{Path, PathBuf};

use ast_core::train::{Inference, Trained, WeightsError};

use crate::failure::{Failure, Kind};
use crate::run_folder::{MODEL, not_yet};

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
        let (kind, so) = if matches!(error, WeightsError::Read(_)) { (Kind::Io, "") } else { (Kind::Data, so) };
        Failure::new(kind, format!("{}: {error}{so}", trained.weights.display()))
    })
}
