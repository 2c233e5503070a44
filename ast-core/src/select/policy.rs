use ast_control::{ControlError, PiConfig};
use serde::{Deserialize, Serialize};

use crate::codec::SnapshotError;
use crate::data::dataset::Dataset;
use crate::plugin::params::{ParamError, Params};
use crate::plugin::registry::Entry;
use crate::random::Random;
use crate::select::guard::{Alignment, Decision};
use crate::select::ledger::{Ledger, Seen};
use crate::select::queue::Queue;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;
use crate::train::passes::PassError;
use crate::train::probe::FreshPass;

/// Decides which of the offered samples are trained on. Each policy is one small file, never a branch in the loop.
pub trait Policy: Send {
    /// Opens a nominal epoch at a share `spent` (0..=1) of the budget; returns the share of its samples (0..=1) that is
    /// trained unconditionally.
    fn begin(&mut self, spent: f64) -> f64;

    /// Appends to `accepted` those candidates of `offer` that are to be trained, in order. Coverage is trained anyway.
    ///
    /// # Errors
    /// [`PolicyError`].
    fn select(
        &mut self,
        offer: Offer<'_>,
        view: &mut View<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError>;

    /// Loss weights of the samples of `offer` that are trained, coverage first, then `accepted` as
    /// [`select`](Self::select) gave them; nothing for equal weights. A step divides them by their mean in its batch.
    fn weigh(&self, _offer: Offer<'_>, _accepted: &[SampleId], _view: &View<'_>) -> Vec<f32> {
        Vec::new()
    }

    /// Told what each step showed of its samples.
    fn learn(&mut self, _seen: &[Seen]) {}

    /// Whether it wants to [`watch`](Self::watch): that costs a product of matrices a step, which is charged.
    fn watches(&self) -> bool {
        false
    }

    /// Told after each step how the gradients of its samples lie to each other, at a share `spent` of the budget. What it
    /// decides about itself is an event of the run.
    fn watch(&mut self, _alignment: &Alignment, _spent: f64) -> Option<Decision> {
        None
    }

    /// What it does with scores.
    fn scores(&self) -> Scores {
        Scores::Any
    }

    /// How much of the run it is for.
    fn extent(&self) -> Extent {
        Extent::Budget
    }

    /// Whether it trains the target's share of what is offered, to within rounding, for any scores. One that does not
    /// decides by itself how much it trains: such a run says so at its start, in its report and in its summary.
    fn keeps_target(&self) -> bool {
        true
    }

    /// The policy that this one is in this run, sample for sample, if that is another one.
    fn acts_as(&self) -> Option<&'static str> {
        None
    }

    /// A warning to show before the run starts.
    fn remark(&self) -> Option<String> {
        None
    }

    /// What the controller, if there is one, did last.
    fn trace(&self) -> Trace;

    /// What it has learned so far, by [`encode`](crate::codec::encode): parameters, which are in the configuration, left out;
    /// nothing if it learns nothing.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn save(&self) -> Result<Vec<u8>, SnapshotError>;

    /// Takes back what [`save`](Self::save) gave: from here on it decides as the policy that was saved would have.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError>;
}

/// What a policy does with the scores of the run's scorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scores {
    /// Nothing: it decides by something else.
    Unused,
    /// It takes any.
    Any,
    /// It takes any; this scorer is used where none is named.
    Prefer(&'static str),
    /// It is about this scorer and refuses others.
    Only(&'static str),
}

/// How much of the run a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The budget, on which every schedule depends.
    Budget,
    /// All nominal epochs, whatever the budget: the reference run.
    Whole,
    /// The schedule of all nominal epochs, broken off at the share that is the budget.
    Cut,
}

/// What a policy may look at.
pub struct View<'a> {
    /// The share of the budget that is spent, 0..=1.
    pub spent: f64,
    /// The samples.
    pub dataset: &'a dyn Dataset,
    /// What is known of each sample.
    pub ledger: &'a Ledger,
    /// What is accepted and not yet trained.
    pub queue: &'a Queue,
    /// The run's randomness.
    pub random: Random,
    /// A look at samples that may then not be trained on, and the small networks: all of it is charged.
    pub fresh: &'a mut dyn FreshPass,
}

/// The state of selection, for logs and plots.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The share to be trained, 0..=1.
    pub target: f64,
    /// Smoothed activation rate, where a controller measures one.
    pub rate: Option<f64>,
    /// Threshold in force, where there is one.
    pub threshold: Option<f64>,
}

/// What a policy is built for.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// The share of offered samples to be trained, in (0, 1].
    pub target: f64,
    /// How often each sample is trained on average over the whole run, at most: the target times the nominal epochs; `None`
    /// where seconds are the limit.
    pub visits: Option<f64>,
    /// Gains of the controller.
    pub control: PiConfig,
}

/// Why a policy refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A parameter was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// A fresh look, or a small network, failed.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The controller refused.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// A registered policy.
pub type PolicyEntry = Entry<BuildPolicy>;
/// Its constructor.
pub type BuildPolicy = fn(&Params, Task) -> Result<Box<dyn Policy>, PolicyError>;
inventory::collect!(PolicyEntry);

/// Registers a policy under a name.
#[macro_export]
macro_rules! register_policy {
    (name: $name:expr, summary: $summary:expr, params: $params:expr, build: $build:expr $(,)?) => {
        $crate::inventory::submit! {
            $crate::select::PolicyEntry {
                name: $name,
                summary: $summary,
                origin: env!("CARGO_PKG_NAME"),
                params: $params,
                build: $build,
            }
        }
    };
}
