//! One file per optimizer, and the schedule of the learning rate.

#[cfg(feature = "train")]
mod adam;
mod schedule;

#[cfg(feature = "train")]
pub use adam::optimizer;
pub use schedule::learning_rate;
