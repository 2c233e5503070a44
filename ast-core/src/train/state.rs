use std::collections::BTreeSet;

use ast_control::Ema;
use serde::{Deserialize, Serialize};

use super::clock::Booked;
use crate::run::{Evaluation, ReadsBy};
use crate::select::SampleId;

/// The state of a run besides network, optimizer and selector.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    /// Loss of each sample under an auxiliary network that was not trained on it; empty if no scorer needs it.
    pub(super) reference: Vec<f32>,
    /// Mean loss of coverage samples, smoothed.
    pub(super) mean_loss: Ema,
    pub(super) clock: Booked,
    /// Whole nominal epochs at the last step.
    pub(super) epochs: u32,
    /// Samples forwarded in evaluations; with test-time augmentation, each view of a sample.
    pub(super) evaluated: u64,
    pub(super) evaluations: Vec<Evaluation>,
    /// Factor of the learning rate; every rollback halves it.
    pub(super) lr_scale: f64,
    /// Warnings from building the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<String>,
    /// The last step on images smaller than those of the dataset.
    #[serde(default)]
    pub(super) small: Option<u64>,
    /// What was read from files.
    #[serde(default)]
    pub(super) reads: ReadsBy,
    /// Test samples that cannot be loaded.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) bad_test: BTreeSet<SampleId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::decode;
    use proptest::prelude::*;

    proptest! {
        /// Arbitrary bytes are an error, not a panic.
        #[test]
        fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode::<State>("state", &bytes).is_err());
        }
    }
}
