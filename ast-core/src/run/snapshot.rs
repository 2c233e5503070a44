use std::collections::VecDeque;

use ast_control::Ema;
use serde::{Deserialize, Serialize};

use crate::run::evaluation::Evaluation;
use crate::select::budget::Cost;
use crate::select::ledger::Ledger;
use crate::select::policy::Trace;
use crate::select::queue::{Accepted, Queue};
use crate::select::sampler::{Plan, Sampler};
use crate::train::meter::Meter;

/// A run between two steps: all it takes to go on to the same bits. Randomness is counter-based, so there is none in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Steps done.
    pub step: u64,
    /// The network's parameters, as Burn's record.
    pub weights: Vec<u8>,
    /// The optimizer's moments, as Burn's record.
    pub optimizer: Vec<u8>,
    /// What [`Policy::save`](crate::select::Policy::save) gave.
    pub policy: Vec<u8>,
    /// Sampler, queue, ledger, meter and evaluations, in CBOR.
    pub state: Vec<u8>,
    /// Weights and optimizers of small networks; nothing if the run has none.
    pub small: Vec<u8>,
}

impl Snapshot {
    /// The file that is not there if there is nothing to be kept in it.
    pub(crate) const OPTIONAL: &'static str = "small.cbor";

    /// The files that it is kept in: name and content.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, &[u8])> {
        let Self { weights, optimizer, policy, state, small, step: _ } = self;
        let always: [(_, &[u8]); 4] =
            [("weights.bpk", weights), ("optimizer.bpk", optimizer), ("policy.cbor", policy), ("state.cbor", state)];
        let optional: (_, &[u8]) = (Self::OPTIONAL, small);
        always.into_iter().chain(Some(optional).filter(|(_, bytes)| !bytes.is_empty())).collect()
    }

    /// Puts it together again from [`files`](Self::files).
    ///
    /// # Errors
    /// Whatever `read` gives for a name. For `small.cbor` it gives nothing, and no error, where there is no such file.
    pub fn from_files<E>(step: u64, mut read: impl FnMut(&'static str) -> Result<Vec<u8>, E>) -> Result<Self, E> {
        let [weights, optimizer] = [read("weights.bpk")?, read("optimizer.bpk")?];
        let [policy, state] = [read("policy.cbor")?, read("state.cbor")?];
        Ok(Self { step, weights, optimizer, policy, state, small: read(Self::OPTIONAL)? })
    }
}

/// Everything a run remembers beside weights, optimizer and policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) sampler: Sampler,
    pub(crate) plan: Plan,
    /// Whether the policy names coverage in this epoch.
    pub(crate) covers: bool,
    pub(crate) next: Place,
    pub(crate) queue: Queue,
    /// Batches that were asked of the loader.
    pub(crate) loading: VecDeque<Batch>,
    /// Samples accepted so far, trained or on their way.
    pub(crate) accepted: u64,
    pub(crate) ledger: Ledger,
    /// Loss of each sample under a small network that has not seen it; empty if no scorer asks.
    #[serde(default)]
    pub(crate) reference: Vec<f32>,
    pub(crate) mean_loss: Ema,
    pub(crate) meter: Meter,
    pub(crate) evaluations: Vec<Evaluation>,
    /// Every rollback halves the learning rate.
    pub(crate) lr_scale: f64,
}

impl State {
    /// What was spent, or is going to be because samples were accepted; scoring only if that is `charged`.
    pub(crate) fn committed(&self, charged: bool) -> Cost {
        let meter = &self.meter;
        // Batches on their way will be watched as those before were.
        let executed = meter.trained + meter.wasted;
        let coming = (self.accepted - executed) * meter.watching / executed.max(1);
        let scoring = if charged { meter.scoring_flops() + coming } else { 0 };
        let seconds = meter.training_seconds(charged);
        Cost { offered: meter.offered, flops: scoring + meter.flops_of(self.accepted), seconds }
    }
}

/// Where in the run the next chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) epoch: u32,
    pub(crate) chunk: u32,
}

/// A batch that was selected, and how things stood then.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) offered: u64,
    pub(crate) control: Trace,
}

impl Batch {
    /// The share of the budget spent when it was accepted, on average, 0 and above.
    pub(crate) fn spent(&self) -> f64 {
        self.accepted.iter().map(|accepted| accepted.spent).sum::<f64>() / self.accepted.len() as f64
    }
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
