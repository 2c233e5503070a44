//! Networks, and what one layer costs.

mod cost;
mod loss;
mod network;
/// One file per network.
pub mod zoo;

pub use cost::LayerCost;
pub use loss::{cross_entropy, top1};
pub(crate) use network::burn_bytes;
pub use network::{Forward, Input, Mode, Model, Network, NetworkError, Weights, dropout};
