use serde::{Deserialize, Serialize};

use crate::policy::Trace;

/// Version of the event format, written with the first event of a run.
pub const SCHEMA: u32 = 1;

/// What happens during a run, in order: one JSON line each in `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins.
    Started {
        /// [`SCHEMA`].
        schema: u32,
        /// Training samples.
        samples: usize,
        /// Nominal epochs.
        epochs: u32,
        /// Steps that a run exactly on target will take.
        planned_steps: u64,
    },
    /// Something the user should know.
    Warning {
        /// In words.
        message: String,
    },
    /// An optimizer step was done.
    Step(StepEvent),
    /// The network was evaluated on the test set.
    Evaluated {
        /// Steps done.
        step: u64,
        /// Nominal epochs done.
        epoch: f64,
        /// Correct answers, percent.
        accuracy: f64,
        /// Mean cross-entropy, nats.
        loss: f64,
    },
}

/// One optimizer step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepEvent {
    /// Steps done, this one included.
    pub step: u64,
    /// Nominal epochs offered when this batch was complete.
    pub epoch: f64,
    /// Samples offered when this batch was complete.
    pub offered: u64,
    /// Samples trained on, this batch included.
    pub trained: u64,
    /// Mean cross-entropy of the batch, nats.
    pub loss: f64,
    /// Correct answers in the batch, percent.
    pub accuracy: f64,
    /// Learning rate of the step.
    pub lr: f64,
    /// Samples trained over samples offered, so far.
    pub activation: f64,
    /// Selection when this batch was complete.
    pub control: Trace,
}

/// Receives the events of a run.
pub trait Observer {
    /// Takes an event.
    ///
    /// # Errors
    /// What went wrong in writing it down; the run then stops.
    fn event(&mut self, event: &Event) -> std::io::Result<()>;
}

impl Observer for Vec<Event> {
    fn event(&mut self, event: &Event) -> std::io::Result<()> {
        self.push(event.clone());
        Ok(())
    }
}
