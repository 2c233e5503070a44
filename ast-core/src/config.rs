use std::collections::BTreeMap;
use std::path::PathBuf;

use ast_control::{ControlError, PiConfig};
use serde::{Deserialize, Serialize};

use crate::numbers::{NUMBERS, short};
use crate::params::ParamValue;

/// The share that is trained where nothing is said.
const DEFAULT_TARGET: f64 = 0.1;

/// Everything that decides a run, unchecked. The keys are those of `config.toml` and of `--set`; the range of every number
/// is in [`NUMBERS`].
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// What is trained on.
    pub data: DataConfig,
    /// What is trained.
    pub model: ModelConfig,
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

/// `data.*`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
}

/// `model.*`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Name of the network.
    pub name: String,
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
    /// Peak learning rate of Adam, in (0, 1e30].
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
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self { name: "simple-cnn".into() }
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

/// The numbers of a run that the trainer works with, checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Checked {
    pub(crate) target: f64,
    /// Whether it was asked for, rather than being the default.
    pub(crate) target_is_given: bool,
    pub(crate) limit: Option<Limit>,
    pub(crate) charges_scoring: bool,
    pub(crate) control: PiConfig,
    pub(crate) epochs: u32,
    pub(crate) batch_size: usize,
    pub(crate) lr: f64,
    pub(crate) seed: u64,
    pub(crate) on_nan: OnNan,
    pub(crate) augment: bool,
    pub(crate) eval_every: u32,
}

/// What ends a run other than its nominal epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Limit {
    /// A share of the floating-point operations of a dense run.
    Fraction(f64),
    /// Seconds of training.
    Seconds(f64),
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

impl RunConfig {
    /// Checks every number, the stability of the control loop included.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn check(&self) -> Result<Checked, ConfigError> {
        let ControlConfig { target, kp, ki, ema } = self.control;
        let TrainConfig { epochs, batch_size, lr, seed, on_nan } = self.train;
        let BudgetConfig { fraction, seconds, free_scoring } = self.budget;
        if fraction.is_some() && (target.is_some() || seconds.is_some()) {
            return Err(ConfigError::Both);
        }
        for number in NUMBERS {
            number.check(self)?;
        }
        let limit = fraction.map(Limit::Fraction).or(seconds.map(Limit::Seconds));
        let target_is_given = target.is_some();
        let target = target.or(fraction).unwrap_or(DEFAULT_TARGET);
        let control = PiConfig { kp, ki, ema };
        control.check(1.0)?;
        let (augment, eval_every) = (self.data.augment, self.eval.every_epochs);
        let charges_scoring = !free_scoring;
        Ok(Checked {
            target,
            target_is_given,
            limit,
            charges_scoring,
            control,
            epochs,
            batch_size,
            lr,
            seed,
            on_nan,
            augment,
            eval_every,
        })
    }
}

impl Checked {
    /// What a policy is built for.
    #[must_use]
    pub fn task(&self) -> crate::policy::Task {
        let known = !matches!(self.limit, Some(Limit::Seconds(_)));
        let visits = known.then_some(self.target * f64::from(self.epochs));
        crate::policy::Task { target: self.target, visits, control: self.control }
    }

    /// The run's randomness.
    #[must_use]
    pub fn random(&self) -> crate::random::Random {
        crate::random::Random::new(self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_passes_and_every_bad_number_is_named() {
        assert!(RunConfig::default().check().is_ok());
        type Break = fn(&mut RunConfig);
        let cases: [(&str, Break); 24] = [
            ("control.target", |c| c.control.target = Some(0.0)),
            ("control.target", |c| c.control.target = Some(1.5)),
            ("control.target", |c| c.control.target = Some(f64::NAN)),
            ("budget.fraction", |c| c.budget.fraction = Some(0.0)),
            ("--budget) alone", |c| (c.control.target, c.budget.fraction) = (Some(0.1), Some(0.1))),
            ("--budget) alone", |c| (c.budget.seconds, c.budget.fraction) = (Some(9.0), Some(0.1))),
            ("budget.seconds", |c| c.budget.seconds = Some(0.0)),
            ("data.label_noise", |c| c.data.label_noise = 1.1),
            ("data.validation", |c| c.data.validation = Some(0)),
            ("checkpoint.keep", |c| c.checkpoint.keep = 0),
            ("checkpoint.every_minutes", |c| c.checkpoint.every_minutes = f64::INFINITY),
            ("train.epochs", |c| c.train.epochs = 0),
            ("train.batch_size", |c| c.train.batch_size = 0),
            ("train.lr", |c| c.train.lr = f64::INFINITY),
            ("checkpoint.every_minutes", |c| c.checkpoint.every_minutes = 1e18),
            ("checkpoint.every_steps", |c| c.checkpoint.every_steps = u64::MAX),
            ("checkpoint.keep", |c| c.checkpoint.keep = usize::MAX),
            ("budget.seconds", |c| c.budget.seconds = Some(1e18)),
            ("train.epochs", |c| c.train.epochs = u32::MAX),
            ("train.lr", |c| c.train.lr = 1e308),
            ("eval.every_epochs", |c| c.eval.every_epochs = u32::MAX),
            ("control.ema", |c| c.control.ema = f64::NAN),
            ("control.kp", |c| c.control.kp = -1.0),
            ("unstable", |c| c.control.ki = 50.0),
        ];
        for (named, broken) in cases {
            let mut config = RunConfig::default();
            broken(&mut config);
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
