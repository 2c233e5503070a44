//! One file per optimizer, and the schedule of the learning rate.

pub(crate) mod adam;
pub(crate) mod schedule;

pub use adam::optimizer;
pub use schedule::learning_rate;
