//! Networks.

pub(crate) mod cost;
pub(crate) mod network;
/// One file per network.
pub mod zoo;

pub use cost::LayerCost;
pub use network::{Forward, Input, Mode, Model, Weights, dropout};
