//! Optimizers, one per file, and the learning-rate schedule.

#[cfg(feature = "train")]
mod adam;
#[cfg(feature = "train")]
mod registered;
mod schedule;

#[cfg(feature = "train")]
pub use registered::{BuildOptimizer, OptimizerEntry};
pub use schedule::learning_rate;
