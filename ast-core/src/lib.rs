//! Adaptive Sparse Training: train on the most significant samples, at the cost of those samples.
#![forbid(unsafe_code)]

pub mod codec;
pub mod data;
#[cfg(feature = "train")]
pub mod model;
#[cfg(feature = "train")]
pub mod ops;
pub mod optim;
pub mod plugin;
/// Counter-based randomness.
pub mod random;
pub mod run;
pub mod score;
pub mod select;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(feature = "train")]
pub mod train;

#[cfg(feature = "train")]
pub use burn;
pub use inventory;
