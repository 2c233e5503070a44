use crate::codec::SnapshotError;
use crate::run::{Event, Snapshot};
use crate::train::error::TrainError;

/// A callback's answer after each step: continue, checkpoint or stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Continue.
    Continue,
    /// Save a checkpoint and continue.
    Checkpoint,
    /// Save a checkpoint and stop.
    Stop,
}

/// Receives the events and snapshots of a run, and can stop it.
pub trait Callback {
    /// Receives an event.
    ///
    /// # Errors
    /// An error while writing; the run then stops.
    fn event(&mut self, event: &Event) -> std::io::Result<()>;

    /// Called after every step.
    fn flow(&mut self, _step: u64) -> Flow {
        Flow::Continue
    }

    /// Called after the best evaluation so far; `weights` returns the network at that point, in the safetensors format.
    ///
    /// # Errors
    /// An error while writing; the run then stops.
    fn best(&mut self, _weights: &dyn Fn() -> Result<Vec<u8>, SnapshotError>) -> Result<(), TrainError> {
        Ok(())
    }

    /// Receives a snapshot that [`flow`](Self::flow) asked for.
    ///
    /// # Errors
    /// An error while writing; the run then stops.
    fn save(&mut self, _snapshot: &Snapshot) -> std::io::Result<()> {
        Ok(())
    }
}

impl Callback for Vec<Event> {
    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        self.push(event.clone());
        Ok(())
    }
}
