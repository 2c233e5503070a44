use std::collections::BTreeMap;
use std::path::PathBuf;

use ast_control::{ControlError, PiConfig};
use serde::{Deserialize, Serialize};

use crate::data::{Flip, Padding, Resize};
use crate::optim::Fall;
use crate::plugin::{ParamValue, short};

/// The configuration of a run, unchecked. Its keys are those of `config.toml` and of `--set`.
/// [`NUMBERS`](crate::run::NUMBERS) has the range of every number.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The dataset.
    pub data: DataConfig,
    /// The network.
    pub model: ModelConfig,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// The policy, which selects the samples.
    pub policy: PolicyConfig,
    /// The scorer, which defines significance.
    pub scorer: ScorerConfig,
    /// The activation rate and its controller.
    pub control: ControlConfig,
    /// The budget, instead of an activation rate.
    pub budget: BudgetConfig,
    /// The training loop.
    pub train: TrainConfig,
    /// Evaluation.
    pub eval: EvalConfig,
    /// Checkpoints.
    pub checkpoint: CheckpointConfig,
    /// The device.
    pub device: DeviceConfig,
}

/// `data.*`: a name, the parameters that the dataset declares, and the keys that all datasets share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataConfig {
    /// Name of the dataset.
    pub name: String,
    /// The folder of its files, for datasets that have files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Number of training samples to use, from the start, 1..=100,000,000; at most as many as there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Number of samples at the end of the training data to evaluate on instead of the test set, for choosing settings.
    /// 1..=100,000,000; fewer than there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Share of the training labels that are flipped at random, 0..=1, for stress tests.
    pub label_noise: f64,
    /// Whether images are augmented in training, by flips and shifts.
    pub augment: bool,
    /// Horizontal flips.
    pub flip: Flip,
    /// Largest shift in each direction, 0..=16 pixels.
    pub shift: usize,
    /// The pixels that a shift moves in.
    pub padding: Padding,
    /// Mean of each channel, each -1e6..=1e6: of pixels in 0..1, or in the unit of the data if its values are not bytes. If
    /// absent: that of the training data, or of the run whose weights are the initial ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f64>>,
    /// Standard deviation of each channel, by which it is divided, each in (0, 1e6]. Set with `mean`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deviation: Option<Vec<f64>>,
    /// Number of threads that assemble batches besides the training thread, 0..=256; 0: the training thread does it.
    pub workers: usize,
    /// Parameters of the dataset.
    #[serde(flatten)]
    pub params: BTreeMap<String, ParamValue>,
}

/// `model.*`: a name, initial weights, and the parameters that the network declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelConfig {
    /// Name of the network.
    pub name: String,
    /// A safetensors file of the initial weights, with PyTorch's names and layout. If absent they are random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PathBuf>,
    /// Its parameters.
    #[serde(flatten)]
    pub params: BTreeMap<String, ParamValue>,
}

/// `optimizer.*`: a name, and the parameters that the optimizer declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OptimizerConfig {
    /// Name of the optimizer.
    pub name: String,
    /// Its parameters.
    #[serde(flatten)]
    pub params: BTreeMap<String, ParamValue>,
}

/// `policy.*`: a name, the parameters that the policy declares, and a key that all policies share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyConfig {
    /// Name of the policy.
    pub name: String,
    /// Share of the budget, 0..=1, in which every offered sample is trained on, before the policy begins. Without a budget,
    /// of the training that the activation rate allows; for a policy that keeps no target, of the nominal epochs.
    #[serde(skip_serializing_if = "is_zero")]
    pub warmup: f64,
    /// Its parameters.
    #[serde(flatten)]
    pub params: BTreeMap<String, ParamValue>,
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// `scorer.*`: a name, and the parameters that the scorer declares.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScorerConfig {
    /// Name of the scorer. If absent: the only one compiled in, or else `loss-intensity`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its parameters.
    #[serde(flatten)]
    pub params: BTreeMap<String, ParamValue>,
}

/// `control.*`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// Share of offered samples to train on, in (0, 1]. If absent: 0.1, or the share of the budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Proportional gain, 0..=1e6, and small enough for the loop to be stable.
    pub kp: f64,
    /// Integral gain, in (0, 1e6], and small enough for the loop to be stable.
    pub ki: f64,
    /// Weight of the newest chunk in the smoothed rate, in (0, 1].
    pub ema: f64,
}

/// `budget.*`: instead of `control.target`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetConfig {
    /// Budget as a share of the FLOPs of a dense run, scoring included, in (0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Budget in seconds of training, in (0, 1e9]. Includes scoring, but not evaluation and checkpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Do not charge scoring to the budget. An ablation: the value of a policy if scores were free.
    pub free_scoring: bool,
}

/// `train.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Nominal epochs: how often every sample is offered, 1..=1,000,000.
    pub epochs: u32,
    /// Samples per step, 1..=65,536.
    pub batch_size: usize,
    /// Peak learning rate, in (0, 1e30].
    pub lr: f64,
    /// How the learning rate falls from its peak.
    pub schedule: Fall,
    /// Share of the budget in which the learning rate rises, 0..=1; 0: it starts at the peak.
    pub warm_up: f64,
    /// First learning rate as a share of the peak, 0..=1.
    pub lr_start: f64,
    /// Last learning rate as a share of the peak, 0..=1.
    pub lr_end: f64,
    /// Share of the target that is spread over all classes in the loss, 0..=1. Scores and reported losses keep the plain
    /// cross-entropy.
    pub label_smoothing: f64,
    /// Largest Euclidean norm of the gradient of a step, in (0, 1e30]; a longer gradient is scaled down to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Average the weights of every fifth step (Zhang et al. 2019, in the form of the airbench recipe).
    pub lookahead: bool,
    /// Seed of all randomness, 0..=9,223,372,036,854,775,807.
    pub seed: u64,
    /// Reaction to a loss, score or gradient that is NaN or infinite.
    pub on_nan: OnNan,
    /// Image sizes over the run, each 4..=65,536 and at most that of the dataset: the pixels of the shorter side. If absent,
    /// that of the dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Vec<u32>>,
    /// The share of the budget, in (0, 1], that is trained at each size; together 1. If absent: equal shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_shares: Option<Vec<f64>>,
    /// How images become smaller.
    pub resize: Resize,
}

/// Reaction to a loss, score or gradient that is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum OnNan {
    /// The run stops before the step and reports the value.
    #[default]
    Abort,
    /// The step is skipped. Its samples count as offered but not as trained.
    Skip,
    /// The run returns to its last snapshot and continues at half the learning rate.
    Rollback,
}

/// `eval.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Number of nominal epochs between evaluations, 0..=1,000,000 (0: only at the end).
    pub every_epochs: u32,
    /// Whether an evaluation also measures the accuracy with test-time augmentation, over six views of each image.
    pub tta: bool,
}

/// `checkpoint.*`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Number of steps between checkpoints, 0..=1e12 (0: not by steps).
    pub every_steps: u64,
    /// Number of minutes between checkpoints, 0..=1e6 (0: not by time).
    pub every_minutes: f64,
    /// Number of checkpoints to keep, 1..=1,000,000.
    pub keep: usize,
}

/// `device.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceConfig {
    /// `auto`, `flex`, `wgpu` or `cuda`.
    pub name: String,
    /// Threads of the CPU backend, 0..=4096; 0: one per physical core.
    pub threads: usize,
    /// Whether the phases of a step are timed apart, by waiting for the device after each. Otherwise a step waits once,
    /// when it reads its results back, and forward and backward pass, scoring and the update are all booked as training.
    /// By default on the CPU backend, where it costs nothing; a GPU queues its work.
    pub phase_times: Switch,
    /// Whether the training images stay on the device and batches are gathered there. By default on a GPU, if the images
    /// take at most 2 GiB.
    pub hold_data: Switch,
}

/// A switch whose default depends on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Switch {
    /// As suits the device.
    #[default]
    Auto,
    /// On.
    On,
    /// Off.
    Off,
}

impl Switch {
    /// Whether it is on, where `auto` is what suits the device.
    #[must_use]
    pub fn is_on(self, auto: bool) -> bool {
        match self {
            Self::Auto => auto,
            Self::On => true,
            Self::Off => false,
        }
    }
}

impl TryFrom<String> for Switch {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("\"{word}\" is not one of auto, on, off")),
        }
    }
}

impl TryFrom<String> for OnNan {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "abort" => Ok(Self::Abort),
            "skip" => Ok(Self::Skip),
            "rollback" => Ok(Self::Rollback),
            _ => Err(format!("\"{word}\" is not one of abort, skip, rollback")),
        }
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            name: "procedural".into(),
            dir: None,
            train_limit: None,
            validation: None,
            label_noise: 0.0,
            augment: true,
            flip: Flip::Random,
            shift: 4,
            padding: Padding::Zeros,
            mean: None,
            deviation: None,
            workers: 1,
            params: BTreeMap::new(),
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self { name: "simple-cnn".into(), weights: None, params: BTreeMap::new() }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { name: "adam".into(), params: BTreeMap::new() }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { name: "ast".into(), warmup: 0.0, params: BTreeMap::new() }
    }
}

impl Default for ControlConfig {
    fn default() -> Self {
        let PiConfig { kp, ki, ema } = PiConfig::default();
        Self { target: None, kp, ki, ema }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 40,
            batch_size: 128,
            lr: 1e-3,
            schedule: Fall::Linear,
            warm_up: 0.1,
            lr_start: 0.0,
            lr_end: 0.0,
            label_smoothing: 0.0,
            clip_norm: None,
            lookahead: false,
            seed: 0,
            on_nan: OnNan::Abort,
            sizes: None,
            size_shares: None,
            resize: Resize::Scale,
        }
    }
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { every_epochs: 8, tta: false }
    }
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every_steps: 0, every_minutes: 10.0, keep: 2 }
    }
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self { name: "auto".into(), threads: 0, phase_times: Switch::Auto, hold_data: Switch::Auto }
    }
}

/// An error in a configuration.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A number is out of range.
    #[error("`{key}` = {} is not {allowed}", short(*.value))]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The given value.
        value: f64,
        /// The allowed values.
        allowed: String,
    },
    /// A budget is combined with another key that sets how much is trained.
    #[error(
        "give `budget.fraction` (--budget) alone: `control.target` (--activation) and `budget.seconds` (--budget-seconds) \
         decide how much is trained as well"
    )]
    Both,
    /// A value does not fit the data or another key.
    #[error("`{key}`: {reason}")]
    Unfit {
        /// The key.
        key: &'static str,
        /// Why it does not fit.
        reason: String,
    },
    /// The gains of the controller are out of range.
    #[error("control: {0}")]
    Control(#[from] ControlError),
}
