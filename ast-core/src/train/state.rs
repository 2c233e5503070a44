use ast_control::Ema;
use serde::{Deserialize, Serialize};

use super::clock::Booked;
use crate::run::Evaluation;

/// What a run remembers beside network, optimizer and selector.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// Loss of each sample under an auxiliary network that has not seen it; empty if no scorer asks.
    pub(super) reference: Vec<f32>,
    /// Of coverage samples, smoothed.
    pub(super) mean_loss: Ema,
    pub(super) clock: Booked,
    /// Samples evaluated.
    pub(super) evaluated: u64,
    pub(super) evaluations: Vec<Evaluation>,
    /// Every rollback halves the learning rate.
    pub(super) lr_scale: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::decode;
    use proptest::prelude::*;

    proptest! {
        /// Bytes that are none of ours are an error, not a panic.
        #[test]
        fn rubbish_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode::<State>("state", &bytes).is_err());
        }
    }
}
