use std::collections::BTreeMap;
use std::path::PathBuf;

use ast_control::{ControlError, PiConfig};
use serde::{Deserialize, Serialize};

use crate::plugin::{ParamValue, short};

/// Everything that decides a run, unchecked. The keys are those of `config.toml` and of `--set`; the range of every number
/// is in [`NUMBERS`](crate::run::NUMBERS).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// What is trained on.
    pub data: DataConfig,
    /// What is trained.
    pub model: ModelConfig,
    /// What turns gradients into a step.
    pub optimizer: OptimizerConfig,
    /// What selects.
    pub policy: PolicyConfig,
    /// What significance is.
    pub scorer: ScorerConfig,
    /// How much is trained, and how that is held.
    pub control: ControlConfig,
    /// Another way to say how much.
    pub budget: BudgetConfig,
    /// How it is trained.
    pub train: TrainConfig,
    /// When it is evaluated.
    pub eval: EvalConfig,
    /// When it is saved.
    pub checkpoint: CheckpointConfig,
    /// What it runs on.
    pub device: DeviceConfig,
}

/// `data.*`: a name, the parameters that the dataset declares, and what holds for every dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataConfig {
    /// Name of the dataset.
    pub name: String,
    /// Where its files are, for datasets that have files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Train on the first so many samples only, 1..=100,000,000 and no more than there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// Evaluate on so many samples taken from the end of the training data instead of on the test set: what settings are to
    /// be chosen by. 1..=100,000,000, and fewer than there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<usize>,
    /// Share of the training labels that are flipped at random, 0..=1: a stress test.
    pub label_noise: f64,
    /// Random flips and shifts in training.
    pub augment: bool,
    /// Threads that put batches together beside the training thread, 0..=256; 0 uses that thread itself.
    pub workers: usize,
    /// Parameters of the dataset.
    #[serde(flatten)]
    pub params: BTreeMap<String, ParamValue>,
}

/// `model.*`: a name, and the parameters that the network declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelConfig {
    /// Name of the network.
    pub name: String,
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

/// `policy.*`: a name, and the parameters that the policy declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyConfig {
    /// Name of the policy.
    pub name: String,
    /// Its parameters.
    #[serde(flatten)]
    pub params: BTreeMap<String, ParamValue>,
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
    /// Share of offered samples to be trained on, in (0, 1]. If absent: 0.1, or that of the budget.
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
    /// Share of the floating-point operations of a dense run that may be spent, scoring included, in (0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Or: seconds of training, scoring included, evaluation and checkpoints not, in (0, 1e9].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Do not charge scoring to the budget: an ablation, to see what a policy would be worth if scores were free.
    pub free_scoring: bool,
}

/// `train.*`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Nominal epochs: how often every sample is offered, 1..=1,000,000.
    pub epochs: u32,
    /// Samples a step, 1..=65,536.
    pub batch_size: usize,
    /// Peak learning rate, in (0, 1e30].
    pub lr: f64,
    /// Decides everything random, 0..=9,223,372,036,854,775,807.
    pub seed: u64,
    /// What is done about a NaN or an infinity.
    pub on_nan: OnNan,
}

/// What is done where a loss, a score or a gradient is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum OnNan {
    /// The run stops before the step, and says where.
    #[default]
    Abort,
    /// The step is not made; its samples count as offered and not as trained.
    Skip,
    /// The run goes back to its last snapshot and on from there at half the learning rate.
    Rollback,
}

/// `eval.*`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// Evaluate after every so many nominal epochs, 0..=1,000,000 (0: only at the end).
    pub every_epochs: u32,
}

/// `checkpoint.*`
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Save after every so many steps, 0..=1e12 (0: not by steps).
    pub every_steps: u64,
    /// Save after every so many minutes, 0..=1e6 (0: not by time).
    pub every_minutes: f64,
    /// How many are kept, 1..=1,000,000.
    pub keep: usize,
}

/// `device.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceConfig {
    /// `auto`, `flex`, `wgpu` or `cuda`.
    pub name: String,
    /// Threads of the CPU backend, 0..=4096; 0: one a physical core.
    pub threads: usize,
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
            workers: 1,
            params: BTreeMap::new(),
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self { name: "simple-cnn".into(), params: BTreeMap::new() }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { name: "adam".into(), params: BTreeMap::new() }
    }
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { name: "ast".into(), params: BTreeMap::new() }
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
        Self { epochs: 40, batch_size: 128, lr: 1e-3, seed: 0, on_nan: OnNan::Abort }
    }
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { every_epochs: 8 }
    }
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every_steps: 0, every_minutes: 10.0, keep: 2 }
    }
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self { name: "auto".into(), threads: 0 }
    }
}

/// Why a configuration was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A value outside its range.
    #[error("`{key}` = {} is not {allowed}", short(*.value))]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// The value given.
        value: f64,
        /// What it may be.
        allowed: String,
    },
    /// Two ways to say how much at once.
    #[error(
        "give `budget.fraction` (--budget) alone: `control.target` (--activation) and `budget.seconds` (--budget-seconds) \
         decide how much is trained as well"
    )]
    Both,
    /// The gains were refused.
    #[error("control: {0}")]
    Control(#[from] ControlError),
}
