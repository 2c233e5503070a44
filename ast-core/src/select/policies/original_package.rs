//! The PyPI package `adaptive-sparse-training` 1.0.1, with selected samples gathered into batches and all its work
//! charged.
//!
//! Every batch is forwarded in training mode to be scored by the raw `0.7 loss + 0.3 entropy`. Samples above the
//! threshold are trained on, but at least the highest tenth of the batch and at least two. The threshold is set by the
//! package's controller ([`PackageController`]). At activation rho a nominal epoch costs `(1 + 3 rho)/3` of a dense
//! one.
//!
//! Deviations from the package: selected samples are gathered into full batches (the package forwards the whole batch a
//! second time and backpropagates under a mask); the learning rate is scheduled to the budget; mixed precision and the
//! package's energy estimate, which measures nothing, are left out.

use ast_control::{Controller, Output, PackageController, Setpoint};

use crate::codec::{SnapshotError, decode, encode};
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::policies::top_k;
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::probe::ScoredBy;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

/// The smallest share of a batch that is trained on.
const LEAST: f64 = 0.1;

crate::register_policy! {
    name: "original-package",
    aliases: &["seed-package"],
    family: Literature,
    summary: "the original's PyPI package 1.0.1: a forward pass over every sample, loss-entropy against a raw threshold; costs 1/3 + the target",
    params: &[],
    scorer: ScorerRule::Only("loss-entropy"),
    keeps_target: false,
    build: |_, goal| Ok(Box::new(OriginalPackage { goal, controller: PackageController::default(), last: None })),
}

struct OriginalPackage {
    goal: Goal,
    controller: PackageController,
    last: Option<Output>,
}

impl OriginalPackage {
    fn setpoint(&self) -> Setpoint {
        Setpoint { target: self.goal.target, bias: 0.0 }
    }
}

impl Policy for OriginalPackage {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let scores = context.probe.score(&offer.visits(), ScoredBy::NetworkInTraining)?.score;
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        let threshold = self.controller.threshold(self.setpoint());
        let above = scores.iter().filter(|score| **score > threshold).count();
        let least = ((LEAST * scores.len() as f64) as usize).max(2);
        let mut chosen = top_k(&scores, above.max(least));
        chosen.sort_unstable();
        accepted.extend(chosen.iter().map(|i| offer.candidates[*i]));
        self.last = Some(self.controller.update(chosen.len() as f64 / offer.len() as f64, self.setpoint())?);
        Ok(())
    }

    fn probes(&self) -> bool {
        true
    }

    fn stats(&self, goal: &Goal) -> SelectionStats {
        SelectionStats {
            target: goal.target,
            rate: self.last.map(|last| last.rate),
            threshold: Some(self.controller.threshold(self.setpoint())),
        }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        encode("policy", &(&self.controller, &self.last))
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        (self.controller, self.last) = decode("policy", saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    fn policy() -> OriginalPackage {
        let goal = goal(0.1);
        OriginalPackage { goal, controller: PackageController::default(), last: None }
    }

    /// Three of ten are above the first threshold of 3. The smoothed rate is then 0.12 and the threshold 3 + 0.005 x
    /// 0.02 + ..
    #[test]
    fn samples_above_the_threshold_pass() {
        let mut policy = policy();
        let losses = [1.0, 3.5, 2.0, 3.0, 9.0, 0.0, 3.1, 0.1, 0.2, 0.3];
        assert_eq!(Stage::new(&losses).offer(&mut policy).0, [1, 4, 6]);
        assert!((policy.stats(&goal(0.1)).threshold.unwrap() - 3.000_102).abs() < 1e-9);
    }

    /// If none of forty is above the threshold, the highest four are trained.
    #[test]
    fn at_least_a_tenth_passes() {
        let losses: Vec<f32> = (0..40).map(|i| ((i * 17) % 40) as f32 / 40.0).collect();
        let chosen = Stage::new(&losses).offer(&mut policy()).0;
        assert_eq!(chosen.len(), 4);
        assert!(chosen.iter().all(|id| losses[*id as usize] >= 0.9));
        assert_eq!(Stage::new(&losses[..5]).offer(&mut policy()).0.len(), 2);
    }
}
