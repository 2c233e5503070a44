//! Networks, and the cost of their layers.

mod attention;
mod conv;
mod cost;
mod half;
mod loss;
mod mode;
mod network;
mod norm;
/// One file per network.
pub mod zoo;

pub use attention::{Sight, attention, attention_costs};
pub use conv::Conv;
pub use cost::LayerCost;
pub use half::{forward_half, layers_half};
pub use loss::{cross_entropy, per_sample, top1, uniform_cross_entropy};
pub use mode::{Mode, RunningStatistics, Training, dropout};
pub(crate) use network::burn_bytes;
pub use network::{Forward, Input, Model, Network, NetworkError, Weights};
pub use norm::BatchNorm;
