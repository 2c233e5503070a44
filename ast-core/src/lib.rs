//! Adaptive Sparse Training: train on the most significant samples, at the cost of those samples.
#![forbid(unsafe_code)]

pub mod codec;
pub mod data;
pub mod model;
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
pub mod train;

pub use burn;
pub use inventory;
