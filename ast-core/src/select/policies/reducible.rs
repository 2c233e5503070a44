//! The top of a random pool by how much of its loss can still be learned.
//!
//! RHO-LOSS (Mindermann et al., *Prioritized Training on Points that are Learnable, Worth Learning, and Not Yet Learnt*, ICML
//! 2022): of every chunk a random pool of `pool` times what is due is forwarded (dropout off), and the due number with the
//! highest score is trained on. The score is that of the scorer `reducible-loss`: the loss minus that under a small network
//! which has not seen the sample, trained at the start of the run. A nominal epoch costs the target, times 1 + pool/3; the
//! small networks add about 0.16 of one dense epoch, once.
//!
//! Deviations: the paper takes the top tenth of a large batch, which is a pool of 10; its reference is as large as the
//! network or smaller, ours has 4 % of the work. It is paid for before the first step, and the learning rate follows what is
//! spent: at a budget of 10 % of twenty epochs the network begins at four fifths of the peak, with little of the warm-up.

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamKind, ParamSpec};
use crate::select::goal::Goal;
use crate::select::policies::{Quota, top_k};
use crate::select::policy::{Policy, PolicyError, ScorerRule, SelectionContext, SelectionStats};
use crate::select::probe::ScoredBy;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "reducible",
    summary: "the top of a random pool by the loss that can still be learned (RHO-LOSS, ICML 2022); costs the target times 1 + pool/3, and small networks at the start",
    params: &[ParamSpec {
        name: "pool",
        summary: "size of the pool over what is trained",
        kind: ParamKind::Number { default: 3.0, min: 1.0, max: 100.0 },
    }],
    build: |params, goal| Ok(Box::new(Reducible { goal, pool: params.number("pool")?, quota: Quota::default() })),
}

struct Reducible {
    goal: Goal,
    pool: f64,
    quota: Quota,
}

impl Policy for Reducible {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let due = self.quota.due(self.goal.target, offer.len());
        // The order in which candidates are offered is random.
        let pool = offer.candidates.len().min((self.pool * due as f64).ceil() as usize);
        let probed = context.probe.score(&offer.visits()[..pool], ScoredBy::Network)?;
        let scores: Vec<f64> = probed.score.into_iter().map(f64::from).collect();
        accepted.extend(top_k(&scores, due).into_iter().map(|i| offer.candidates[i]));
        Ok(())
    }

    fn probes(&self) -> bool {
        true
    }

    fn scorer_rule(&self) -> ScorerRule {
        ScorerRule::Only("reducible-loss")
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

    /// One of five is due: a pool of two is the first two, of three the first three, of ten everything.
    #[test]
    fn takes_the_top_of_the_pool() {
        let goal = goal(0.2);
        for (pool, expected) in [(1.0, 0), (2.0, 1), (2.5, 2), (3.0, 2), (10.0, 4)] {
            let mut policy = Reducible { goal, pool, quota: Quota::default() };
            assert_eq!(Stage::new(&[0.1, 0.3, 0.5, 0.2, 0.9]).offer(&mut policy).0, [expected], "{pool}");
        }
    }
}
