//! A run as a whole: its configuration, what happens in it, its result and its checkpoints.

pub(crate) mod checked;
pub(crate) mod checkpoint;
pub(crate) mod config;
pub(crate) mod energy;
pub(crate) mod evaluation;
pub(crate) mod event;
pub(crate) mod not_finite;
pub(crate) mod numbers;
pub(crate) mod resolve;
pub(crate) mod snapshot;
pub(crate) mod summary;

pub use checked::Checked;
pub use checkpoint::{
    CheckpointError, Checkpoints, Fingerprint, Found, Manifest, Refused, RunIdentity, RunningFingerprint,
};
pub use config::{
    BudgetConfig, CheckpointConfig, ConfigError, ControlConfig, DataConfig, DeviceConfig, EvalConfig, ModelConfig,
    OnNan, PolicyConfig, RunConfig, ScorerConfig, TrainConfig,
};
pub use energy::EnergyCounter;
pub use evaluation::Evaluation;
pub use event::{Event, Observer, SCHEMA, StepEvent, Wish};
pub use not_finite::NotFinite;
pub use numbers::{NUMBERS, NumberRange, NumberSpec};
pub use resolve::{DEFAULT_SCORER, ResolveError, Resolved};
pub use snapshot::Snapshot;
pub use summary::{
    Accuracy, Activation, Flops, Group, Joules, Loss, Origin, Ran, Samples, Savings, Seconds, Summary, TestSet,
};
