use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The result of a run: `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this format.
    pub schema: u32,
    /// What it was obtained with, where the program has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What selected, and what there was to be said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran: Option<Ran>,
    /// What accuracy and loss are of, where the program has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestSet>,
    /// Correct answers on the test set, percent.
    pub accuracy: Accuracy,
    /// Cross-entropy on the test set, nats.
    pub loss: Loss,
    /// Nominal epochs.
    pub epochs: u32,
    /// Optimizer steps.
    pub steps: u64,
    /// Steps that were not made, or were undone by going back, because of a NaN or an infinity; those of auxiliary networks too.
    #[serde(default)]
    pub skipped: u64,
    /// Samples trained over samples offered.
    pub activation: Activation,
    /// Samples, counted.
    pub samples: Samples,
    /// Floating-point operations, counted.
    pub flops: Flops,
    /// Wall-clock time.
    pub seconds: Seconds,
    /// Energy.
    pub joules: Joules,
    /// Four savings against dense training, never one; evaluation is outside all of them.
    pub savings: Savings,
    /// Where the data knows groups: how each was treated.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub groups: BTreeMap<String, Group>,
}

/// `origin.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Commit that the program was built from.
    pub commit: String,
    /// Backend that computed it.
    pub device: String,
    /// sha256 of labels and pixels of the training data as it was trained on, in hexadecimal.
    pub data: String,
    /// sha256 of labels and pixels of the data it was evaluated on; `None` in summaries of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<String>,
    /// Version of the program; `None` in summaries of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Instruction set of the CPU backend's kernels, on which rounding depends; `None` on other backends and in summaries of
    /// older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

/// `test.*`: the data a run was evaluated on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestSet {
    /// How many samples.
    pub samples: usize,
    /// Of how many classes: guessing is right once in so many times.
    pub classes: usize,
}

/// `ran.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Name of the policy.
    pub policy: String,
    /// The policy that this one was in this run, sample for sample, if it was another one.
    pub acts_as: Option<String>,
    /// Name of the scorer whose scores it could use; `None` where it uses none.
    pub scorer: Option<String>,
    /// What was said at the start.
    pub warnings: Vec<String>,
}

impl Ran {
    /// The policy in words: `ast with scorer loss`, or ``ast (`random` in this run)``.
    #[must_use]
    pub fn title(&self) -> String {
        match (&self.acts_as, &self.scorer) {
            (Some(other), _) => format!("{} (`{other}` in this run)", self.policy),
            (None, Some(scorer)) => format!("{} with scorer {scorer}", self.policy),
            (None, None) => self.policy.clone(),
        }
    }
}

/// `accuracy.*`, percent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// With the weights at the end of the run: what is to be reported.
    #[serde(rename = "final")]
    pub last: f64,
    /// The best of all evaluations: chosen on the test set, so not to be reported as a result.
    pub best: f64,
}

/// `loss.*`, nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// With the weights at the end of the run.
    #[serde(rename = "final")]
    pub last: f64,
}

/// `activation.*`, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// As asked for.
    pub target: f64,
    /// As counted.
    pub realised: f64,
    /// Whether the policy keeps the target. One that does not decides by itself how much it trains.
    #[serde(default = "yes")]
    pub kept: bool,
}

/// `samples.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// Put before the policy.
    pub offered: u64,
    /// Trained on.
    pub trained: u64,
    /// Given an extra forward pass to be scored.
    pub scored: u64,
    /// Of these: at half the resolution.
    #[serde(rename = "halved", default)]
    pub scored_half: u64,
    /// Given a step of an auxiliary network.
    #[serde(rename = "small_trained", default)]
    pub auxiliary_trained: u64,
    /// Given a forward pass of an auxiliary network.
    #[serde(rename = "small_scored", default)]
    pub auxiliary_scored: u64,
}

/// `flops.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flops {
    /// Training and scoring.
    pub total: u64,
    /// What savings are of: the dense run or, where seconds are the limit, training on every offered sample.
    pub dense_equivalent: u64,
    /// Training on every sample in every nominal epoch: what a budget is a share of.
    #[serde(default)]
    pub dense_run: u64,
    /// Of `total`: forward passes that were only for scoring, all that auxiliary networks did, and watching whether selection
    /// pays.
    #[serde(default)]
    pub scoring: u64,
    /// Evaluation, not part of `total`.
    pub eval: u64,
}

/// `seconds.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Everything, evaluation included.
    pub total: f64,
    /// By phase.
    pub phases: BTreeMap<String, f64>,
    /// Median full-batch step of this run times the steps of [`Flops::dense_equivalent`]: an estimate; `null` if no batch
    /// was full.
    pub dense_equivalent: Option<f64>,
}

/// `joules.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joules {
    /// Everything but evaluation, other programs of the machine included; `null` where nothing was read.
    pub total: Option<f64>,
    /// Where the number comes from, or why there is none.
    pub method: String,
}

/// `savings.*`: fractions 0..=1 of dense training, negative if dearer, `null` if unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Savings {
    /// Counted.
    pub samples: f64,
    /// Counted.
    pub flops: f64,
    /// Estimated, from [`Seconds::dense_equivalent`].
    pub seconds: Option<f64>,
    /// Only ever measured.
    pub joules: Option<f64>,
    /// How each of the four was obtained: counted, measured, estimated or unavailable.
    pub provenance: BTreeMap<String, String>,
}

/// How a known group of the data was treated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Its share of the dataset, 0..=1.
    pub share: f64,
    /// Its share of all training passes, 0..=1.
    pub passes: f64,
}

fn yes() -> bool {
    true
}
