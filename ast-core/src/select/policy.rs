use serde::{Deserialize, Serialize};

use super::goal::Goal;
use super::ledger::{Ledger, SampleOutcome};
use super::probe::{ChargedProbe, ProbeError};
use super::queue::Queue;
use super::sample::{Level, SampleId};
use super::sampler::Offer;
use super::worth::Worth;
use crate::codec::SnapshotError;
use crate::plugin::{ParamError, RegistryError};
use crate::random::Random;
use ast_control::ControlError;

/// Decides which of the offered samples are trained on. Each policy is a file of its own; the loop has no branches for
/// policies.
///
/// A plain policy implements only [`begin`](Self::begin) and [`select`](Self::select). The constant properties of a
/// policy are in its [`PolicyKind`](super::PolicyKind).
pub trait Policy: Send {
    /// Starts a nominal epoch at a share `spent` (0..=1) of the budget. Returns the coverage: the share of the epoch's
    /// samples (0..=1) that is trained unconditionally.
    fn begin(&mut self, spent: f64) -> f64;

    /// Appends the candidates of `offer` that are to be trained to `accepted`, in order. Coverage is trained in any
    /// case.
    ///
    /// # Errors
    /// [`PolicyError`].
    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError>;

    /// Loss weights of the trained samples of `offer`, coverage first, then `accepted` as returned by
    /// [`select`](Self::select). Empty for equal weights. A step divides the weights by their mean in its batch.
    fn loss_weights(&self, _offer: Offer<'_>, _accepted: &[SampleId], _context: &SelectionContext<'_>) -> Vec<f32> {
        Vec::new()
    }

    /// Levels of the trained samples of `offer`, coverage first, then `accepted` as returned by
    /// [`select`](Self::select). Empty for the level of the run's stage, which is
    /// 0 in a run without stages. A level that a policy names stays, whatever the stage.
    fn levels(&self, _offer: Offer<'_>, _accepted: &[SampleId], _context: &SelectionContext<'_>) -> Vec<Level> {
        Vec::new()
    }

    /// Receives the results of each step, per sample. The ledger has them already.
    fn observe(&mut self, _seen: &[SampleOutcome], _ledger: &Ledger) {}

    /// Whether it uses [`SampleOutcome::worth`]. That costs one matrix product per step, which is charged.
    fn watches(&self) -> bool {
        false
    }

    /// What a pass is worth by the rank of the score, if it measures that and knows it. Logged once a nominal epoch.
    fn worth(&self) -> Option<Worth> {
        None
    }

    /// Whether it may ask for extra forward passes. If so, a loop without a probe is refused before the first step.
    fn probes(&self) -> bool {
        false
    }

    /// Name of another policy that this run equals, sample for sample, if there is one.
    fn acts_as(&self) -> Option<&'static str> {
        None
    }

    /// A warning to show before the run starts.
    fn warning(&self) -> Option<String> {
        None
    }

    /// The state of selection. By default: the goal's target, no measured rate, no threshold.
    fn stats(&self, goal: &Goal) -> SelectionStats {
        SelectionStats::of(goal.target)
    }

    /// Encodes the learned state with [`encode`](crate::codec::encode), without the parameters, which are in the
    /// configuration. Empty for a policy without state.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        Ok(Vec::new())
    }

    /// Restores the state from [`save`](Self::save). Afterwards the policy decides as the saved one would have.
    ///
    /// # Errors
    /// [`SnapshotError`].
    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        match saved {
            [] => Ok(()),
            _ => Err(SnapshotError::Decode(
                "policy",
                "this policy has no state, but the saved state is not empty".into(),
            )),
        }
    }
}

/// The information a policy selects with.
pub struct SelectionContext<'a> {
    /// The share of the budget spent, 0..=1.
    pub spent: f64,
    /// Per-sample memory of earlier steps.
    pub ledger: &'a Ledger,
    /// Samples that are accepted and not trained yet.
    pub queue: &'a Queue,
    /// The randomness of the run.
    pub random: Random,
    /// Extra forward passes over candidates. Every pass is charged to the budget.
    pub probe: ChargedProbe<'a>,
}

/// The state of selection, for logs and plots.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SelectionStats {
    /// The target activation rate, 0..=1.
    pub target: f64,
    /// Measured activation rate, smoothed, if a controller measures it.
    pub rate: Option<f64>,
    /// Current threshold, if there is one.
    pub threshold: Option<f64>,
}

impl SelectionStats {
    /// A target activation rate, without a controller.
    #[must_use]
    pub fn of(target: f64) -> Self {
        Self { target, rate: None, threshold: None }
    }
}

/// An error of a policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// A parameter is invalid.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// There is no policy of that name.
    #[error("policy {0}")]
    Unknown(#[from] RegistryError),
    /// A return value that violates the contract of [`Policy`].
    #[error("the policy's `{method}` returned {given}; allowed: {allowed}")]
    Contract {
        /// The method of [`Policy`].
        method: &'static str,
        /// The returned value.
        given: String,
        /// The allowed values.
        allowed: String,
    },
    /// An extra pass failed, or the loop does not provide it.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// An error of the controller.
    #[error(transparent)]
    Control(#[from] ControlError),
}
