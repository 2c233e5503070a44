use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::{Preprocessing, Reads};

/// The result of a run: `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of this format.
    pub schema: u32,
    /// What the result was obtained with, if the program recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The policy and scorer of the run, and its warnings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran: Option<Ran>,
    /// The test set, if the program recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestSet>,
    /// Correct answers on the test set, percent; for text, tokens that were the most likely ones.
    pub accuracy: Accuracy,
    /// Cross-entropy on the test set, nats; for text, per token.
    pub loss: Loss,
    /// The loss in the units of language models; absent for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextResult>,
    /// Nominal epochs.
    pub epochs: u32,
    /// Optimizer steps.
    pub steps: u64,
    /// Steps that were skipped or undone because of NaN or infinity, those of auxiliary networks included.
    #[serde(default)]
    pub skipped: u64,
    /// Samples trained over samples offered.
    pub activation: Activation,
    /// Samples, counted.
    pub samples: Samples,
    /// What was read from files, counted; `None` if the data is in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<ReadsBy>,
    /// Broken samples that the run went on without; `None` if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// How samples became the input of the network, and what its outputs stand for.
    #[serde(default)]
    pub preprocessing: Preprocessing,
    /// Floating-point operations, counted.
    pub flops: Flops,
    /// Wall-clock time.
    pub seconds: Seconds,
    /// Energy.
    pub joules: Joules,
    /// Savings against dense training, in four units. Evaluation is not included.
    pub savings: Savings,
    /// How each known group of the data was treated; empty if the data has no groups.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub groups: BTreeMap<String, Group>,
}

/// `origin.*`: code, machine and data of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Commit that the program was built from.
    pub commit: String,
    /// Backend that computed the run.
    pub device: String,
    /// SHA-256 of labels and pixels of the training data, as trained on, in hexadecimal.
    pub data: String,
    /// SHA-256 of labels and pixels of the evaluation data; `None` in summaries of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<String>,
    /// Version of the program; `None` in summaries of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Instruction set of the CPU backend's kernels, which affects rounding; `None` on other backends and in summaries
    /// of older programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
}

/// `test.*`: the data a run was evaluated on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestSet {
    /// Number of samples.
    pub samples: usize,
    /// Number of classes.
    pub classes: usize,
}

/// `ran.*`: policy and scorer of the run, and its warnings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Name of the policy.
    pub policy: String,
    /// The policy that this run was identical to, sample for sample, if it was another one.
    pub acts_as: Option<String>,
    /// Name of the scorer; `None` if the policy uses no scores.
    pub scorer: Option<String>,
    /// Warnings at the start of the run.
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
    /// With the weights at the end of the run. Report this one.
    #[serde(rename = "final")]
    pub last: f64,
    /// The best of all evaluations. It is chosen on the test set: do not report it as a result.
    pub best: f64,
    /// With test-time augmentation and the weights at the end of the run; absent without it. `final` is without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tta: Option<f64>,
}

/// `loss.*`, nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// With the weights at the end of the run.
    #[serde(rename = "final")]
    pub last: f64,
}

/// `text.*`: the final loss of a language model, in other units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TextResult {
    /// `exp(loss)`, 1 and above: among how many equally likely tokens the model would be as uncertain.
    pub perplexity: f64,
    /// `loss / ln 2`, times the tokens and divided by the characters of the test set. Unlike the loss it does not depend on
    /// what a token is.
    pub bits_per_character: f64,
}

/// `activation.*`, 0..=1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Activation {
    /// The target.
    pub target: f64,
    /// Samples trained over samples offered, counted.
    pub realised: f64,
    /// Whether the policy keeps the target. If not, it decides by itself how much it trains.
    #[serde(default = "yes")]
    pub kept: bool,
    /// The share of the budget in which every offered sample was trained on, before the policy began; absent without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<f64>,
}

/// `samples.*`, numbers of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples {
    /// Samples offered to the policy.
    pub offered: u64,
    /// Samples trained on.
    pub trained: u64,
    /// Samples scored by an extra forward pass.
    pub scored: u64,
    /// Of these: at half resolution.
    #[serde(rename = "halved", default)]
    pub scored_half: u64,
    /// Samples in the steps of auxiliary networks.
    #[serde(rename = "small_trained", default)]
    pub auxiliary_trained: u64,
    /// Samples in the forward passes of auxiliary networks.
    #[serde(rename = "small_scored", default)]
    pub auxiliary_scored: u64,
}

/// `reads.*`: bytes read from files and images decoded, counted when their batch is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReadsBy {
    /// For training steps.
    pub training: Reads,
    /// For extra forward passes that only score, and for auxiliary networks.
    pub scoring: Reads,
    /// For evaluations, and for statistics that are measured again before one.
    pub evaluation: Reads,
}

/// `left_out.*`: numbers of broken samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LeftOut {
    /// Training samples that were selected and could not be loaded.
    pub training: usize,
    /// Test samples. Accuracy and loss are of the others.
    pub test: usize,
}

/// `flops.*`, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flops {
    /// Training and scoring.
    pub total: u64,
    /// The reference of the savings: the dense run or, with a budget in seconds, training on every offered sample.
    pub dense_equivalent: u64,
    /// Training on every sample in every nominal epoch; a budget is a share of this.
    #[serde(default)]
    pub dense_run: u64,
    /// The part of `total` for forward passes that only score, for auxiliary networks, and for the guard.
    #[serde(default)]
    pub scoring: u64,
    /// Evaluation; not part of `total`.
    pub eval: u64,
}

/// `seconds.*`, wall-clock time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// The whole run, evaluation included.
    pub total: f64,
    /// Seconds per phase; see `phases_apart`.
    pub phases: BTreeMap<String, f64>,
    /// Estimate: the median full-batch step of this run times the steps of [`Flops::dense_equivalent`]; `null` if no
    /// batch was full.
    pub dense_equivalent: Option<f64>,
    /// Seconds in which the process did not run, stopped or suspended; in no other figure, and absent if there are none.
    #[serde(default, skip_serializing_if = "none")]
    pub stopped: f64,
    /// Whether the phases of every step were timed apart. If not, `train` also has the scoring of the steps, and all
    /// waiting for the device; `score` has the extra passes alone. The median step then includes scoring.
    #[serde(default = "yes")]
    pub phases_apart: bool,
}

/// `joules.*`, measured energy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Joules {
    /// The whole run without evaluation. Other programs on the machine are included. `null` if there is no counter.
    pub total: Option<f64>,
    /// The counter that was read, or why there is no value.
    pub method: String,
}

/// `savings.*`: fractions of dense training, 0..=1; negative if the run cost more, `null` if unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Savings {
    /// Counted.
    pub samples: f64,
    /// Counted.
    pub flops: f64,
    /// Estimated, from [`Seconds::dense_equivalent`].
    pub seconds: Option<f64>,
    /// Measured, never estimated.
    pub joules: Option<f64>,
    /// How each of the four was obtained: counted, measured, estimated or unavailable.
    pub provenance: BTreeMap<String, String>,
}

/// How the run treated a group of the data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The group's share of the dataset, 0..=1.
    pub share: f64,
    /// The group's share of all training passes, 0..=1.
    pub passes: f64,
}

fn none(seconds: &f64) -> bool {
    *seconds == 0.0
}

fn yes() -> bool {
    true
}
