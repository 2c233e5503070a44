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

/// What a run has saved so far, against dense training on the samples offered so far; negative if it cost more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SavedSoFar {
    /// Share of the samples, counted.
    pub samples: f64,
    /// Share of the FLOPs, counted, scoring included.
    pub flops: f64,
    /// Share of the seconds, estimated from the median step, evaluation excluded; `None` before the first full batch.
    pub seconds: Option<f64>,
}

/// What takes longer than a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// An evaluation begins.
    Evaluating,
    /// A snapshot is taken and saved.
    Saving,
}

/// Is told, at each extra pass, of how many samples there were passes since the last step.
pub type OnScoring = Box<dyn FnMut(u64)>;

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

    /// Called after every step, before its events. `saved` computes the savings, which takes as long as sorting 4,096 numbers.
    fn saved(&mut self, _saved: &dyn Fn() -> SavedSoFar) {}

    /// Called before what takes longer than a step.
    fn begins(&mut self, _activity: Activity) {}

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
