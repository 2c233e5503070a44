use burn::tensor::ExecutionError;

use crate::codec::SnapshotError;
use crate::data::dataset::LoadError;
use crate::run::not_finite::NotFinite;
use crate::select::policy::PolicyError;
use crate::train::passes::PassError;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A batch could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The policy refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A forward pass gave nothing.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Something that must be a number is none. The step was not made: weights and optimizer are as before it.
    #[error(
        "{what} at step {step}: training has diverged or the data is broken; try a lower learning rate, or go on \
         without such steps with train.on_nan = \"skip\""
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
        /// What it was.
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
    #[error("not one sample was due for training: raise the activation, the epochs or the number of samples")]
    NothingTrained,
    /// The run ended without a single step because scoring took the whole budget.
    #[error(
        "scoring took the whole budget before the first step: raise the budget, or take a policy or a scorer that costs less \
         to score"
    )]
    NothingLeft,
    /// Every step was skipped.
    #[error("none of {0} steps could be made, each had a NaN or an infinity: the data or the settings are broken")]
    AllSkipped(
        /// Steps that were skipped.
        u64,
    ),
    /// The device failed.
    #[error("the device failed: {0}")]
    Device(#[from] ExecutionError),
    /// A snapshot could not be taken or put back.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// An observer could not write down an event or a snapshot.
    #[error("could not write: {0}")]
    Write(#[from] std::io::Error),
}
