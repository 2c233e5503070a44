use serde::{Deserialize, Serialize};

use super::alignment::Alignment;
use super::goal::Goal;
use super::guard::Decision;
use super::ledger::{Ledger, Seen};
use super::probe::{ChargedProbe, ProbeError};
use super::queue::Queue;
use super::sample::{Level, SampleId};
use super::sampler::Offer;
use crate::codec::SnapshotError;
use crate::plugin::{ParamError, RegistryError};
use crate::random::Random;
use ast_control::ControlError;

/// Decides which of the offered samples are trained on. Each policy is one small file, never a branch in the loop.
///
/// [`begin`](Self::begin) and [`select`](Self::select) are all that a plain policy has. What is the same in every run of it
/// stands in its [`PolicyKind`](super::PolicyKind).
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

    /// The policy that this one is in this run, sample for sample, if that is another one.
    fn acts_as(&self) -> Option<&'static str> {
        None
    }

    /// A warning to show before the run starts.
    fn warning(&self) -> Option<String> {
        None
    }

    /// The state of selection: by default the goal's target, no measured rate and no threshold.
    fn stats(&self, goal: &Goal) -> SelectionStats {
        SelectionStats::of(goal.target)
    }

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

impl SelectionStats {
    /// A share to be trained, without a controller.
    #[must_use]
    pub fn of(target: f64) -> Self {
        Self { target, rate: None, threshold: None }
    }
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
