//! What significance *is*: a [`Scorer`] maps per-sample statistics of a batch, columns of plain numbers, to one score a
//! sample.
//!
//! Whoever trains computes the statistics that a scorer [needs](Scorer::needs). Our trainer reduces a batch to them on the
//! device and reads them back together, once a step; a loop of your own fills them into an [`Observation`] itself.

mod context;
mod error;
mod observation;
#[cfg(feature = "tensor-scorer")]
mod on_device;
mod scorer;

pub use context::ScoreContext;
pub use error::ScoreError;
pub use observation::{Observation, Statistic};
#[cfg(feature = "tensor-scorer")]
pub use on_device::{OnDevice, TensorScorer, Tensors};
pub use scorer::{BuildScorer, PlainLoss, Scorer, ScorerEntry};
