//! Adaptive Sparse Training: train on the most significant samples, at the cost of those samples.
//!
//! A forward pass costs 1, a backward pass 2. Whoever forwards every sample to find out which matter has spent a third
//! of full training before anything is saved. So significance comes from passes that are paid for anyway: each training
//! step's [`Observation`] is scored by a [`Scorer`] and remembered in the [`Ledger`]; a [`Policy`] decides from the
//! ledger which of the offered samples are trained on next; only those are loaded, gathered into full batches and
//! computed; and a [`Meter`] counts what was executed.
//!
//! ```text
//!            +--------------- Ledger (per sample: rank, age, visits) <---------------+
//!            |                                                                       |
//! Dataset -> Sampler -> Offer -> Policy (gate, controller) -> Queue -> full batch    |
//!                                                                        |           |
//!                                                            Trainer step + -> Observation -> Scorer
//!                                                                        |
//!                                                                      Meter -> Summary
//! ```
//!
//! Scorers and policies register themselves by being linked ([`register_scorer!`], [`register_policy!`]); a crate with
//! scorers of your own depends on this crate only.
//!
//! A run is described by a [`RunConfig`]. [`RunConfig::resolve`] looks up what it names and checks every number; a
//! [`Trainer`] is made of that, data and a network ([`Parts`]). What a person should know of the run comes as
//! [`Event::Warning`].
//!
//! ```
//! use ast_core::RunConfig;
//!
//! let mut config = RunConfig::default();
//! config.policy.name = "random".into();
//! config.control.target = Some(0.2);
//! let run = config.clone().resolve(&["simple-cnn"]).unwrap();
//! assert_eq!(run.policy.trace().target, 0.2);
//!
//! // What nobody can build or keep is refused, never ignored.
//! config.model.name = "my-mlp".into();
//! assert!(config.resolve(&["simple-cnn"]).is_err());
//! ```
#![forbid(unsafe_code)]

mod adam;
mod budget;
mod checked;
mod checkpoint;
mod codec;
mod config;
mod data;
mod energy;
mod evaluation;
mod event;
mod fresh;
/// Which of a chunk of keys pass a threshold.
pub mod gate;
mod guard;
mod layer_cost;
mod ledger;
mod meter;
mod model;
pub mod models;
mod not_finite;
mod numbers;
mod observation;
pub mod ops;
mod params;
mod passes;
mod policies;
mod policy;
mod queue;
mod random;
mod registry;
mod resolve;
mod sampler;
mod schedule;
mod scorer;
mod small;
mod snapshot;
mod source;
mod summary;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod train_error;
mod trainer;
mod window;

pub use burn;
pub use inventory;

pub use adam::optimizer;
pub use budget::{Budget, Cost};
pub use checked::Checked;
pub use checkpoint::{
    CheckpointError, Checkpoints, Fingerprint, Found, Manifest, Refused, RunIdentity, RunningFingerprint,
};
pub use codec::{SnapshotError, decode, encode};
pub use config::{
    BudgetConfig, CheckpointConfig, ConfigError, ControlConfig, DataConfig, DeviceConfig, EvalConfig, ModelConfig,
    OnNan, PolicyConfig, RunConfig, ScorerConfig, TrainConfig,
};
pub use data::{Dataset, HostBatch, LoadError, Loader, Request, SampleId, Visit};
pub use energy::EnergyCounter;
pub use evaluation::Evaluation;
pub use event::{Event, Observer, SCHEMA, StepEvent, Wish};
pub use fresh::{Fresh, FreshPass};
pub use guard::{Alignment, Decision, Evidence};
pub use layer_cost::LayerCost;
pub use ledger::{Ledger, Seen};
pub use meter::{Meter, Phase};
pub use model::{Forward, Input, Mode, Model, Weights, dropout};
pub use not_finite::NotFinite;
pub use numbers::{NUMBERS, NumberRange, NumberSpec};
pub use observation::{History, Needs, Observation, cross_entropy};
pub use params::{ParamError, ParamKind, ParamSpec, ParamValue, Params};
pub use passes::PassError;
pub use policy::{BuildPolicy, Extent, Policy, PolicyEntry, PolicyError, Scores, Task, Trace, View};
pub use queue::{Accepted, Queue};
pub use random::{Purpose, Random, Stream};
pub use registry::{Entry, Registry, RegistryError};
pub use resolve::{DEFAULT_SCORER, ResolveError, Resolved};
pub use sampler::{Offer, Plan, Sampler};
pub use schedule::learning_rate;
pub use scorer::{BuildScorer, Context, ScoreError, Scorer, ScorerEntry};
pub use small::Small;
pub use snapshot::{Snapshot, safetensors};
pub use summary::{
    Accuracy, Activation, Flops, Group, Joules, Loss, Origin, Ran, Samples, Savings, Seconds, Summary, TestSet,
};
pub use train_error::TrainError;
pub use trainer::{Parts, Trainer};
pub use window::{Quantile, Window};
