//! A small network goes first, and the run's own is trained on what that one finds hard.
//!
//! Keller Jordan, *airbench96_faster*, in <https://github.com/KellerJordan/cifar10-airbench>, 2024. A proxy of about 4 % of
//! the work is trained on every chunk that is offered; of each, the share `target` with the highest score under it is
//! trained on by the run's own network. Augmentation is keyed by epoch and sample, so both see the same images without
//! anything being stored. The proxy never depends on the other network, so running both in lockstep, as here, selects what
//! training the proxy first and replaying its choices would. A nominal epoch costs the target + about 0.04.
//!
//! In seconds it is dearer than in floating-point operations: narrow convolutions make less of a processor, and the small
//! network's images are put together on the training thread.
//!
//! Deviations: the original records the top half of each batch; here the share is the target. Its learning rate is the run's,
//! scheduled to the same budget.

use crate::codec::{SnapshotError, decode, encode};
use crate::select::goal::Goal;
use crate::select::policies::{Quota, top_k};
use crate::select::policy::{Policy, PolicyError, ScorerRule, SelectionContext, SelectionStats};
use crate::select::probe::ScoredBy;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "proxy",
    summary: "what a small network, trained on everything, finds hardest in each chunk (airbench96_faster, 2024); costs the target + 0.04",
    params: &[],
    build: |_, goal| Ok(Box::new(Proxy { goal, quota: Quota::default() })),
}

struct Proxy {
    goal: Goal,
    quota: Quota,
}

impl Policy for Proxy {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let probed = context.probe.score(&offer.visits(), ScoredBy::ProxyStep(context.spent))?;
        let scores: Vec<f64> = probed.score.into_iter().map(f64::from).collect();
        let due = self.quota.due(self.goal.target, offer.len());
        accepted.extend(top_k(&scores, due).into_iter().map(|i| offer.candidates[i]));
        Ok(())
    }

    fn probes(&self) -> bool {
        true
    }

    fn scorer_rule(&self) -> ScorerRule {
        ScorerRule::Prefer("loss")
    }

    fn stats(&self) -> SelectionStats {
        SelectionStats { target: self.goal.target, rate: None, threshold: None }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        encode("policy", &self.quota)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        self.quota = decode("policy", saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    /// Two of five, by the small network, which has the losses in reverse: 0.3 0.4 0.2 0.5 0.1. One that is no number is
    /// never among them.
    #[test]
    fn takes_what_the_small_network_finds_hardest() {
        let policy = || Proxy { goal: goal(0.4), quota: Quota::default() };
        assert_eq!(Stage::new(&[0.1, 0.5, 0.2, 0.4, 0.3]).offer(&mut policy()).0, [3, 1]);
        assert_eq!(Stage::new(&[0.1, f32::NAN, 0.2, 0.4, 0.3]).offer(&mut policy()).0, [1, 0]);
    }
}
