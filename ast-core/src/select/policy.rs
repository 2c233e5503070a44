use serde::{Deserialize, Serialize};

use super::alignment::Alignment;
use super::goal::{Goal, RunLength};
use super::guard::Decision;
use super::ledger::{Ledger, Seen};
use super::probe::{ChargedProbe, ProbeError};
use super::queue::Queue;
use super::sample::{Level, SampleId};
use super::sampler::Offer;
use crate::codec::SnapshotError;
use crate::plugin::{Entry, ParamError, ParamValue, Params, Registry, RegistryError};
use crate::random::Random;
use ast_control::ControlError;

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
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError>;

    /// Loss weights of the samples of `offer` that are trained, coverage first, then `accepted` as
    /// [`select`](Self::select) gave them; nothing for equal weights. A step divides them by their mean in its batch.
    fn loss_weights(&self, _offer: Offer<'_>, _accepted: &[SampleId], _context: &SelectionContext<'_>) -> Vec<f32> {
        Vec::new()
    }

    /// Levels of the samples of `offer` that are trained, coverage first, then `accepted` as [`select`](Self::select) gave
    /// them; nothing for level 0.
    fn levels(&self, _offer: Offer<'_>, _accepted: &[SampleId], _context: &SelectionContext<'_>) -> Vec<Level> {
        Vec::new()
    }

    /// Told what each step showed of its samples.
    fn observe(&mut self, _seen: &[Seen]) {}

    /// Whether it wants to [`watch`](Self::watch): that costs a product of matrices a step, which is charged.
    fn watches(&self) -> bool {
        false
    }

    /// Told after each step the inner products of its per-sample gradients, at a share `spent` of the budget. What it
    /// decides about itself is an event of the run.
    fn watch(&mut self, _alignment: &Alignment, _spent: f64) -> Option<Decision> {
        None
    }

    /// Whether it may ask for extra forward passes: with a loop that makes none it is refused before the first step.
    fn probes(&self) -> bool {
        false
    }

    /// What it does with scores.
    fn scorer_rule(&self) -> ScorerRule {
        ScorerRule::Any
    }

    /// How much of the run it is for.
    fn run_length(&self) -> RunLength {
        RunLength::Budget
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
    fn warning(&self) -> Option<String> {
        None
    }

    /// What the controller, if there is one, did last.
    fn stats(&self) -> SelectionStats;

    /// What it has learned so far, by [`encode`](crate::codec::encode): parameters, which are in the configuration, left out;
    /// nothing if it learns nothing.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        Ok(Vec::new())
    }

    /// Takes back what [`save`](Self::save) gave: from here on it decides as the policy that was saved would have.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        match saved {
            [] => Ok(()),
            _ => Err(SnapshotError::Decode("policy", "this policy learns nothing, and something was saved".into())),
        }
    }
}

/// What a policy does with the scores of the run's scorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScorerRule {
    /// Nothing: it decides by something else.
    Unused,
    /// It takes any.
    Any,
    /// It takes any; this scorer is used where none is named.
    Prefer(&'static str),
    /// It is about this scorer and refuses others.
    Only(&'static str),
}

/// What a policy knows when it selects.
pub struct SelectionContext<'a> {
    /// The share of the budget that is spent, 0..=1.
    pub spent: f64,
    /// What is known of each sample.
    pub ledger: &'a Ledger,
    /// What is accepted and not yet trained.
    pub queue: &'a Queue,
    /// The run's randomness.
    pub random: Random,
    /// Extra forward passes over candidates. Every pass is charged to the budget.
    pub probe: ChargedProbe<'a>,
}

/// The state of selection, for logs and plots.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SelectionStats {
    /// The share to be trained, 0..=1.
    pub target: f64,
    /// Smoothed activation rate, where a controller measures one.
    pub rate: Option<f64>,
    /// Threshold in force, where there is one.
    pub threshold: Option<f64>,
}

/// Why a policy refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A parameter was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// There is no policy of that name.
    #[error("policy {0}")]
    Unknown(#[from] RegistryError),
    /// What it decided is none of what may be decided: a fault of the policy.
    #[error("the policy's `{method}` gave {given}, where {allowed} is allowed")]
    Contract {
        /// Of [`Policy`].
        method: &'static str,
        /// What it gave.
        given: String,
        /// What it may give.
        allowed: String,
    },
    /// An extra pass failed, or is not offered.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The controller refused.
    #[error(transparent)]
    Control(#[from] ControlError),
}

/// A registered policy.
pub type PolicyEntry = Entry<BuildPolicy>;
/// Its constructor.
pub type BuildPolicy = fn(&Params, Goal) -> Result<Box<dyn Policy>, PolicyError>;
inventory::collect!(PolicyEntry);

/// A registered policy and its parameters, before it knows the goal.
#[derive(Debug, Clone)]
pub struct PolicyChoice {
    entry: &'static PolicyEntry,
    params: Params,
}

/// The registered policy of that name, with these parameters instead of its defaults.
///
/// What there is, with its parameters, is in the registry; a crate of one's own may add to it by
/// [`register_policy!`](crate::register_policy).
///
/// ```
/// use ast_core::plugin::Registry;
/// use ast_core::select::BuildPolicy;
///
/// let policies = Registry::<BuildPolicy>::linked()?;
/// let names: Vec<&str> = policies.iter().map(|policy| policy.name).collect();
/// assert_eq!(names, [
///     "ast", "curriculum", "dense", "dense-stopped", "fixed-threshold", "importance", "infobatch", "original",
///     "original-package", "pool-top", "proxy", "random", "reducible", "selective-backprop", "static-el2n",
///     "static-random",
/// ]);
/// for policy in policies.iter() {
///     println!("{}: {}", policy.name, policy.summary);
///     policy.params.iter().for_each(|param| println!("    {}: {}", param.name, param.summary));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PolicyError::Unknown`] with the names that there are, or [`PolicyError::Param`].
pub fn policy(name: &str, params: &[(&str, ParamValue)]) -> Result<PolicyChoice, PolicyError> {
    let entry = Registry::linked()?.get(name)?;
    let given = params.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    Ok(PolicyChoice { entry, params: Params::resolve(entry.params, &given)? })
}

impl PolicyChoice {
    /// Its name and parameters, for messages and snapshots.
    pub(crate) fn title(&self) -> String {
        let given = self.params.given().into_iter().map(|(key, value)| format!("{key} = {value}"));
        format!("{} ({})", self.entry.name, given.collect::<Vec<_>>().join(", "))
    }

    pub(crate) fn build(self, goal: Goal) -> Result<Box<dyn Policy>, PolicyError> {
        (self.entry.build)(&self.params, goal)
    }
}

/// Registers a policy under a name; `aliases: &["old-name"],` after it keeps names that it had.
#[macro_export]
macro_rules! register_policy {
    (name: $name:expr, summary: $summary:expr, params: $params:expr, build: $build:expr $(,)?) => {
        $crate::register_policy! { name: $name, aliases: &[], summary: $summary, params: $params, build: $build }
    };
    (name: $name:expr, aliases: $aliases:expr, summary: $summary:expr, params: $params:expr, build: $build:expr $(,)?) => {
        $crate::inventory::submit! {
            $crate::select::PolicyEntry {
                name: $name,
                aliases: $aliases,
                summary: $summary,
                origin: env!("CARGO_PKG_NAME"),
                params: $params,
                build: $build,
            }
        }
    };
}
