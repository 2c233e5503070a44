use crate::codec::SnapshotError;
use crate::run::{Event, Snapshot};
use crate::train::error::TrainError;

/// What a callback wants of the run before its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// To go on.
    Continue,
    /// A checkpoint, and to go on.
    Checkpoint,
    /// A checkpoint, and the end for now.
    Stop,
}

/// Receives the events and snapshots of a run, and may ask for some.
pub trait Callback {
    /// Takes an event.
    ///
    /// # Errors
    /// What went wrong in writing it down; the run then stops.
    fn event(&mut self, event: &Event) -> std::io::Result<()>;

    /// Asked after every step.
    fn flow(&mut self, _step: u64) -> Flow {
        Flow::Continue
    }

    /// Told after the best evaluation so far; `weights` gives the network of then in the safetensors format.
    ///
    /// # Errors
    /// What went wrong in writing it down; the run then stops.
    fn best(&mut self, _weights: &dyn Fn() -> Result<Vec<u8>, SnapshotError>) -> Result<(), TrainError> {
        Ok(())
    }

    /// Takes a snapshot that was asked for.
    ///
    /// # Errors
    /// What went wrong in writing it down; the run then stops.
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
