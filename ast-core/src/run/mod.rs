//! Configuration, events, summary and checkpoints of a run.

mod checked;
mod checkpoint;
mod config;
mod energy;
mod evaluation;
mod event;
mod file;
mod not_finite;
mod numbers;
mod snapshot;
mod summary;

pub use checked::Checked;
pub use checkpoint::{
    CheckpointError, Checkpoints, Fingerprint, LatestCheckpoint, Manifest, Refused, RunIdentity, RunningFingerprint,
};
pub use config::{
    BudgetConfig, CheckpointConfig, ConfigError, ControlConfig, DataConfig, DeviceConfig, EvalConfig, ModelConfig,
    OnNan, OptimizerConfig, PolicyConfig, RunConfig, ScorerConfig, Switch, TrainConfig,
};
pub use energy::EnergyCounter;
pub use evaluation::{Answer, Evaluation};
pub use event::{Event, SCHEMA, StepEvent};
pub use file::read_file;
pub use not_finite::NotFinite;
pub use numbers::{NUMBERS, NumberRange, NumberSpec};
pub use snapshot::Snapshot;
pub use summary::{
    Accuracy, Activation, Flops, Group, Joules, LeftOut, Loss, Origin, Ran, ReadsBy, Samples, Savings, Seconds,
    Summary, TestSet, TextResult,
};
