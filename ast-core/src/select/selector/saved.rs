//! What a selector remembers, as bytes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::codec::{SnapshotError, decode, encode, seal, unseal};
use crate::select::batch::Batch;
use crate::select::counts::Counts;
use crate::select::ledger::Ledger;
use crate::select::queue::Queue;
use crate::select::sampler::{Plan, Sampler};

/// All that a selector remembers beside its policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) sampler: Sampler,
    pub(crate) plan: Plan,
    /// Whether the policy names coverage in this epoch.
    pub(crate) covers: bool,
    pub(crate) next: Cursor,
    pub(crate) queue: Queue,
    pub(crate) in_flight: VecDeque<Batch>,
    /// Batches handed out so far.
    pub(crate) batches: u64,
    pub(crate) ledger: Ledger,
    pub(crate) counts: Counts,
}

/// Where in the run the next chunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) epoch: u32,
    pub(crate) chunk: u32,
}

impl Selector {
    /// What it takes to go on from here: the policy's memory, ledger, queue, order and counts.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        let policy = ciborium::Value::Bytes(self.policy.save()?);
        Ok(seal(&encode("selector", &(&self.made, policy, &self.state))?))
    }

    /// Goes to where [`save`](Self::save) was called, by a selector that was made with the same arguments.
    ///
    /// # Errors
    /// [`SnapshotError`]: the bytes are damaged, or of a selector that was made with other arguments.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        self.broken = true;
        let (made, policy, state): (String, ciborium::Value, State) = decode("selector", unseal("selector", saved)?)?;
        let (expected, found) = (self.state.ledger.samples(), state.ledger.samples());
        if found == expected && made != self.made {
            return Err(SnapshotError::Other { part: "selector", expected: self.made.clone(), found: made });
        }
        let policy = policy.into_bytes();
        let policy = policy.map_err(|_| SnapshotError::Decode("selector", "the policy is not made of bytes".into()))?;
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
