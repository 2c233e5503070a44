//! Optimizers, one per file, and the learning-rate schedule.

#[cfg(feature = "train")]
mod adam;
#[cfg(feature = "train")]
mod adamw;
#[cfg(feature = "train")]
mod decay;
#[cfg(feature = "train")]
mod registered;
mod schedule;
#[cfg(feature = "train")]
mod sgd;

#[cfg(feature = "train")]
pub use registered::{BuildOptimizer, OptimizerEntry};
pub use schedule::{Fall, Schedule, learning_rate};
