use serde::{Deserialize, Serialize};

use crate::select::{Decision, SelectionStats};

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
        /// Steps that a run exactly on its limit will take; `None` where that is not known beforehand: where seconds are the
        /// limit, or the policy decides by itself how much it trains.
        planned_steps: Option<u64>,
    },
    /// Something the user should know.
    Warning {
        /// In words.
        message: String,
    },
    /// An optimizer step was done.
    Step(StepEvent),
    /// A step was not made, because of a NaN or an infinity.
    Skipped {
        /// The step it would have been.
        step: u64,
        /// Nominal epochs offered when its batch was complete.
        epoch: f64,
        /// What was no number.
        reason: String,
    },
    /// The run went back to its last snapshot, because of a NaN or an infinity.
    RolledBack {
        /// The step that could not be made.
        step: u64,
        /// Steps done when the snapshot was taken.
        to: u64,
        /// By what the learning rate is multiplied from here on.
        lr_scale: f64,
        /// What was no number.
        reason: String,
    },
    /// The policy changed its mind about whether selection pays.
    Decided {
        /// Steps done.
        step: u64,
        /// Nominal epochs offered when the batch of that step was complete.
        epoch: f64,
        /// What it does from now on, and why.
        #[serde(flatten)]
        decision: Decision,
    },
    /// The run was continued by another process.
    Resumed {
        /// Steps done when the snapshot was taken.
        step: u64,
        /// Version of the program that goes on; empty in logs that are older than this field, as are the others.
        #[serde(default)]
        version: String,
        /// Commit that it was built from.
        #[serde(default)]
        commit: String,
        /// Backend that computes from here on.
        #[serde(default)]
        device: String,
    },
    /// Lines of the log were lost, and the run goes on without them. Its result does not depend on them.
    Gap {
        /// Steps done when the snapshot was taken that the run goes on from.
        step: u64,
        /// Steps done at the last line before the gap.
        after: u64,
        /// Bytes that the log had when the snapshot was taken, less those that are left of it.
        bytes: u64,
        /// SHA-256 of the log when the snapshot was taken, if the snapshot says so.
        sha256: Option<String>,
    },
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
    pub control: SelectionStats,
}
