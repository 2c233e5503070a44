//! The top of a random pool: of every chunk of candidates, the share with the highest scores in the ledger.
//!
//! Ordered SGD (Kawaguchi & Lu, *Ordered SGD: A New Stochastic Optimization Framework for Empirical Risk Minimization*,
//! AISTATS 2020) takes the top q of a random mini-batch by a loss it computes; here the ledger is asked, so scoring costs
//! nothing, and the rate is exact without a threshold. A sample without a score counts as one in the middle; ties are
//! broken at random.
//!
//! With `source = "fresh"` it is what the paper does, at the price of a forward pass over every candidate; with
//! `source = "proxy"` it is the policy `proxy`, in which scores may be remembered.

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamKind, ParamSpec};
use crate::random::Purpose;
use crate::select::goal::Goal;
use crate::select::policies::{Quota, top_k};
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;
use crate::select::source::{EVERY, RESOLUTION, SOURCE, Source};

crate::register_policy! {
    name: "pool-top",
    summary: "of every chunk the share with the highest scores in the ledger (Ordered SGD, 2020), no threshold; costs the target",
    params: &[
        ParamSpec {
            name: "horizon",
            summary: "age, in dataset sizes trained, at which a score has lost 63 % of its say",
            kind: ParamKind::Number { default: 3.0, min: 0.01, max: 1000.0 },
        },
        SOURCE,
        EVERY,
        RESOLUTION,
    ],
    build: |params, goal| {
        let (horizon, source) = (params.number("horizon")?, Source::new(params)?);
        Ok(Box::new(PoolTop { goal, horizon, source, quota: Quota::default() }))
    },
}

struct PoolTop {
    goal: Goal,
    horizon: f64,
    source: Source,
    quota: Quota,
}

impl Policy for PoolTop {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let scores = self.source.scores(offer, context)?;
        let mut ties = context.random.stream(Purpose::Gate, u64::from(offer.epoch), u64::from(offer.chunk));
        // Ranks are steps of 1/65534: far less than that decides between equal ones.
        let key = |id: &SampleId| context.ledger.score(*id, self.horizon).unwrap_or(0.5) + 1e-9 * ties.uniform();
        let keys: Vec<f64> = match scores {
            None => offer.candidates.iter().map(key).collect(),
            // Equal ones in the order in which they are offered, which is random.
            Some(scores) => scores.into_iter().map(f64::from).collect(),
        };
        let due = self.quota.due(self.goal.target, offer.len());
        accepted.extend(top_k(&keys, due).into_iter().map(|i| offer.candidates[i]));
        Ok(())
    }

    fn probes(&self) -> bool {
        self.source.probes()
    }

    fn stats(&self) -> SelectionStats {
        SelectionStats { target: self.goal.target, rate: None, threshold: None }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        self.source.save(encode("policy", &self.quota)?)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        self.quota = decode("policy", &self.source.restore(saved)?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    fn policy(target: f64) -> PoolTop {
        let goal = goal(target);
        PoolTop { goal, horizon: 1000.0, source: Source::ledger(), quota: Quota::default() }
    }

    /// What the ledger says is not asked for where there is a look, and ranks of others do not matter.
    #[test]
    fn takes_the_top_of_a_look() {
        let mut stage = Stage::seen(&[0.1, 0.9, 0.3, 0.8, f32::NAN]);
        stage.losses.0 = vec![5.0, 1.0, 4.0, f32::NAN, 9.0];
        let mut policy = PoolTop { source: Source::fresh(1, false), ..policy(0.4) };
        assert_eq!(stage.offer(&mut policy).0, [4, 0]);
    }

    /// Four of ten, the highest first, whatever they are called.
    #[test]
    fn takes_the_top_of_a_chunk() {
        let mut stage = Stage::seen(&[0.1, 0.9, 0.3, 0.8, 0.2, 0.4, 0.7, 0.0, 0.5, 0.6]);
        assert_eq!(stage.offer(&mut policy(0.4)).0, [1, 3, 6, 9]);
    }

    /// A quarter of ten is two or three, and twenty of eighty in the end.
    #[test]
    fn the_rate_is_exact() {
        let (mut stage, mut policy) = (Stage::new(&[1.0; 10]), policy(0.25));
        let taken: Vec<usize> = (0..8).map(|_| stage.offer(&mut policy).0.len()).collect();
        assert_eq!(taken, [2, 3, 2, 3, 2, 3, 2, 3]);
    }

    /// Samples without a score count as the middle: they come after the upper half and before the lower.
    #[test]
    fn the_unseen_are_in_the_middle() {
        let mut stage = Stage::new(&[0.0; 6]);
        let seen = |id, score| crate::select::ledger::Seen { id, score, loss: 1.0, correct: true, coverage: true };
        stage.ledger.record(&[seen(0, 0.0), seen(1, 1.0)]);
        let mut taken = stage.offer(&mut policy(5.0 / 6.0)).0;
        assert_eq!(taken.remove(0), 1, "the highest first");
        taken.sort_unstable();
        assert_eq!(taken, [2, 3, 4, 5], "and the lowest not at all");
    }
}
