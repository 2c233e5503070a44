//! Every test of the selector and the trainer through their public interface, in one binary. `agreement` has features and a
//! profile of its own, and `soak` reads the memory of its own process.
#![forbid(unsafe_code)]

mod auxiliary;
#[path = "../common/mod.rs"]
mod common;
mod networks;
mod normalisation;
mod not_finite;
mod ops;
mod optimizers;
mod pytorch;
mod rates;
mod resume;
mod selector;
mod sizes;
mod training;
mod weights;
