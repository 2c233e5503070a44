use serde::{Deserialize, Serialize};

use crate::select::{SelectionStats, Worth};

/// Version of the event format, written with the first event of a run.
pub const SCHEMA: u32 = 1;

/// An event of a run. `metrics.jsonl` holds one JSON line per event, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run starts.
    Started {
        /// [`SCHEMA`].
        schema: u32,
        /// Training samples.
        samples: usize,
        /// Nominal epochs.
        epochs: u32,
        /// Steps of a run that ends exactly on its budget. `None` if not known in advance: the budget is in seconds, or
        /// the policy decides by itself how much it trains.
        planned_steps: Option<u64>,
    },
    /// A warning for the user.
    Warning {
        /// The warning in words.
        message: String,
    },
    /// An optimizer step was done.
    Step(StepEvent),
    /// A step was skipped, because of NaN or infinity.
    Skipped {
        /// Number that the step would have had.
        step: u64,
        /// Nominal epochs offered when its batch was complete.
        epoch: f64,
        /// What was not finite.
        reason: String,
    },
    /// The run returned to its last snapshot, because of NaN or infinity.
    RolledBack {
        /// Number of the step that failed.
        step: u64,
        /// Steps done when the snapshot was taken.
        to: u64,
        /// Factor of the learning rate from here on.
        lr_scale: f64,
        /// What was not finite.
        reason: String,
    },
    /// At the end of a nominal epoch: what a pass is worth, if the policy measures that and knows it.
    Worth {
        /// Steps done.
        step: u64,
        /// Nominal epochs offered when the batch of that step was complete.
        epoch: f64,
        /// By the rank of the score.
        #[serde(flatten)]
        worth: Worth,
    },
    /// The run was continued by another process.
    Resumed {
        /// Steps done when the snapshot was taken.
        step: u64,
        /// Version of the program that continues the run. Empty, like the fields below, in logs older than this field.
        #[serde(default)]
        version: String,
        /// Commit that it was built from.
        #[serde(default)]
        commit: String,
        /// Backend of the rest of the run.
        #[serde(default)]
        device: String,
    },
    /// Lines of the log were lost, and the run continues without them. Its result does not depend on them.
    Gap {
        /// Steps done when the snapshot was taken from which the run continues.
        step: u64,
        /// Steps done at the last line before the gap.
        after: u64,
        /// Number of bytes lost: the log's length when the snapshot was taken minus its length now.
        bytes: u64,
        /// SHA-256 of the log when the snapshot was taken, if the snapshot has it.
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
        /// Correct answers with test-time augmentation, percent; absent without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tta: Option<f64>,
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
    /// State of the selection when this batch was complete.
    pub control: SelectionStats,
    /// Share of the batch that was selected by significance, not by coverage, 0..=1; absent if there was no selection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected: Option<f64>,
    /// Height and width of the images of the batch; absent if the run has one size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
}
