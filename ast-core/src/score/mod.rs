//! Significance scorers: a [`Scorer`] maps per-sample statistics of a batch to one score per sample, on plain numbers.
//!
//! The training loop computes the statistics that a scorer [needs](Scorer::needs). Our trainer computes them on the
//! device and reads them back together, once per step. A loop of your own fills them into an [`Observation`].

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
