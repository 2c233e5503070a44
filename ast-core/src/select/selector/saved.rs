//! Saving and restoring a selector, as bytes.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::codec::{SnapshotError, decode, encode, seal, unseal};
use crate::select::batch::Batch;
use crate::select::counts::Counts;
use crate::select::ledger::Ledger;
use crate::select::queue::Queue;
use crate::select::sample::SampleId;
use crate::select::sampler::{Plan, Sampler};

/// The state of a selector without its policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) sampler: Sampler,
    pub(crate) plan: Plan,
    /// Whether the policy trains coverage in this epoch.
    pub(crate) covers: bool,
    pub(crate) next: Cursor,
    pub(crate) queue: Queue,
    pub(crate) in_flight: VecDeque<Batch>,
    /// Batches handed out so far.
    pub(crate) batches: u64,
    pub(crate) ledger: Ledger,
    pub(crate) counts: Counts,
    /// Number of the current stage. A stage that is over does not return.
    #[serde(default)]
    pub(crate) stage: usize,
    /// Whether every sample of this epoch is trained on.
    #[serde(default)]
    pub(crate) warming: bool,
    /// Samples that cannot be loaded. They are not offered any more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) left_out: BTreeSet<SampleId>,
}

/// Epoch and number of the next chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) epoch: u32,
    pub(crate) chunk: u32,
}

impl Selector {
    /// Saves everything needed to continue from here: the policy's state, ledger, queue, order and counts.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        let policy = ciborium::Value::Bytes(self.policy.save()?);
        Ok(seal(&encode("selector", &(&self.made, policy, &self.state))?))
    }

    /// Restores the state from [`save`](Self::save). The selector must have been created with the same arguments.
    ///
    /// # Errors
    /// [`SnapshotError`]: the bytes are damaged, or are from a selector with other arguments.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        self.broken = true;
        let (made, policy, state): (String, ciborium::Value, State) = decode("selector", unseal("selector", saved)?)?;
        let (expected, found) = (self.state.ledger.samples(), state.ledger.samples());
        if found == expected && made != self.made {
            return Err(SnapshotError::Other { part: "selector", expected: self.made.clone(), found: made });
        }
        let policy = policy.into_bytes();
        let policy =
            policy.map_err(|_| SnapshotError::Decode("selector", "the policy's state is not a byte string".into()))?;
        if found != expected {
            return Err(SnapshotError::Samples { expected, found });
        }
        if !self.state.ledger.same_groups(&state.ledger) {
            let of = |what: &str| format!("{what} groups");
            return Err(SnapshotError::Other { part: "selector", expected: of("other"), found: of("its own") });
        }
        self.policy.restore(&policy)?;
        self.state = state;
        self.broken = false;
        Ok(())
    }
}
