use std::path::PathBuf;

use burn::tensor::ExecutionError;

use super::WeightsError;
use crate::codec::SnapshotError;
use crate::data::LoadError;
use crate::model::NetworkError;
use crate::run::{ConfigError, NotFinite};
use crate::score::ScoreError;
use crate::select::{PolicyError, ProbeError, SelectError};

/// Why a forward pass failed.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A batch could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// No test sample can be loaded.
    #[error("none of the test samples can be loaded: {0}")]
    AllBad(
        /// The file of the last, and what is wrong.
        String,
    ),
    /// The scorer failed.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// The scorer did not return one score per sample.
    #[error("the scorer gave {found} scores for {expected} samples: this is a bug in the scorer")]
    ScoreLength {
        /// Number of samples.
        expected: usize,
        /// Number of scores.
        found: usize,
    },
    /// Values could not be read back from the device.
    #[error("could not read back from the device: {0}")]
    Read(String),
    /// The network has no proxy.
    #[error("this network has no smaller one of its kind: a policy or scorer that needs a proxy cannot be had with it")]
    NoProxy,
    /// The network does not take such samples.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The network cannot run at half resolution on images of this size.
    #[error("the network cannot run at half resolution on images of this size: leave policy.resolution at \"full\"")]
    Resolution,
    /// The loss or score of a probe is NaN or infinite.
    #[error("{0} in a scoring pass: training has diverged or the data is broken; try a lower learning rate")]
    NotFinite(NotFinite),
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A batch could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The selector or its policy failed.
    #[error(transparent)]
    Select(SelectError),
    /// The configuration does not fit the data.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network cannot be built for this data.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The weights that the configuration names cannot be loaded.
    #[error("`model.weights` = \"{}\": {error}", file.display())]
    Weights {
        /// The file.
        file: PathBuf,
        /// Why not.
        error: WeightsError,
    },
    /// A forward pass failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A loss, score or gradient is NaN or infinite. The step was not made: weights and optimizer are unchanged.
    #[error(
        "{what} at step {step}: training has diverged or the data is broken; try a lower learning rate, or go on \
         without such steps with train.on_nan = \"skip\""
    )]
    NotFinite {
        /// The number of the step, from 1.
        step: u64,
        /// What was not finite.
        what: NotFinite,
    },
    /// The loss on the test set is NaN or infinite.
    #[error("the loss on the test set is {loss} after step {step}: training has diverged; try a lower learning rate")]
    Diverged {
        /// Steps done.
        step: u64,
        /// The mean loss.
        loss: f64,
    },
    /// The run ended without a single step.
    #[error("no sample was selected for training: raise the activation, the epochs or the number of samples")]
    NothingTrained,
    /// The run ended without a single step because scoring took the whole budget.
    #[error(
        "scoring took the whole budget before the first step: raise the budget, or take a policy or a scorer that costs less \
         to score"
    )]
    NothingLeft,
    /// Every step was skipped because of NaN or infinity.
    #[error("all {0} steps were skipped because of NaN or infinity: the data or the settings are broken")]
    AllSkipped(
        /// Number of steps skipped.
        u64,
    ),
    /// Every training sample that was selected was left out.
    #[error("none of the training samples can be loaded: {0}")]
    AllBad(
        /// The file of the last, and what is wrong.
        String,
    ),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] ExecutionError),
    /// A snapshot could not be taken or restored.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A callback could not write an event or a snapshot.
    #[error("could not write: {0}")]
    Write(#[from] std::io::Error),
}

/// An error of our own probe, which the selector passes on, becomes the original error again.
impl From<SelectError> for TrainError {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::Policy(PolicyError::Probe(ProbeError::Failed(inner))) => match inner.downcast::<PassError>() {
                Ok(pass) => Self::Pass(*pass),
                Err(other) => Self::Select(SelectError::Policy(PolicyError::Probe(ProbeError::Failed(other)))),
            },
            SelectError::Snapshot(error) => Self::Snapshot(error),
            error => Self::Select(error),
        }
    }
}

impl From<PassError> for ProbeError {
    fn from(error: PassError) -> Self {
        Self::Failed(Box::new(error))
    }
}
