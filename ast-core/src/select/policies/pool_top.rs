//! The top of a random pool: of every chunk of candidates, the share with the highest scores. The rate is exact without
//! a threshold.
//!
//! * `pool-top`: Ordered SGD (Kawaguchi & Lu, *Ordered SGD: A New Stochastic Optimization Framework for Empirical Risk
//!   Minimization*, AISTATS 2020) takes the top q of a random mini-batch, by losses from a forward pass over it. Here
//!   the scores come from the ledger and cost nothing. A sample without a score gets the rank 0.5; ties are broken at
//!   random. `source = "fresh"` does what the paper does, at the cost of a forward pass over every candidate.
//! * `proxy`: Keller Jordan, *airbench96_faster*, in <https://github.com/KellerJordan/cifar10-airbench>, 2024. The
//!   proxy, an auxiliary network with about 4 % of the work, is trained on every chunk. The run's network is trained on
//!   the samples with the highest loss under the proxy. The proxy does not depend on the run's network, so training
//!   both in lockstep, as here, selects the same samples as training the proxy first and replaying its choices.
//!   Augmentation is keyed by epoch and sample, so both see the same images. Deviations: the original takes the top
//!   half of each batch, here the share is the target; the proxy's learning rate is the run's. The proxy costs a larger
//!   share of the seconds than of the FLOPs, because narrow convolutions use a processor less well and its images are
//!   assembled on the training thread. `pool-top` with `source = "proxy"` is the same, and can reuse scores.
//! * `reducible`: RHO-LOSS (Mindermann et al., *Prioritized Training on Points that are Learnable, Worth Learning, and
//!   Not Yet Learnt*, ICML 2022). A pool of `pool` times the samples due is forwarded without dropout, and the top of
//!   it by the scorer `reducible-loss` is trained on. This score is the loss minus that under an auxiliary network
//!   which has not seen the sample. The auxiliary networks are trained at the start of the run, which adds about 0.16
//!   of one dense epoch, once. Deviations: the paper takes the top tenth of a large batch, which is a pool of 10; its
//!   reference network is as large as the network or smaller, ours has 4 % of the work. That cost is spent before the
//!   first step, and the learning rate is a function of the budget spent: at a budget of 10 % of twenty epochs the
//!   network starts at four fifths of the peak learning rate, with little of the warm-up.

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamKind, ParamSpec};
use crate::random::Purpose;
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::policies::top_k;
use crate::select::policy::{Policy, PolicyError, SelectionContext};
use crate::select::quota::Quota;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;
use crate::select::source::{EVERY, RESOLUTION, SOURCE, Source};

crate::register_policy! {
    name: "pool-top",
    family: Literature,
    summary: "the highest scores of every chunk, from the ledger (Ordered SGD, 2020), without a threshold; costs the target",
    params: &[
        ParamSpec {
            name: "horizon",
            summary: "age, in dataset sizes trained, at which a score has lost 63 % of its influence",
            kind: ParamKind::Number { default: 3.0, min: 0.01, max: 1000.0 },
        },
        SOURCE,
        EVERY,
        RESOLUTION,
    ],
    build: |params, goal| {
        let horizon = params.number("horizon")?;
        Ok(Box::new(PoolTop { horizon, ..PoolTop::new(goal, Source::new(params)?) }))
    },
}

crate::register_policy! {
    name: "proxy",
    family: Literature,
    summary: "the highest losses of every chunk under a proxy, an auxiliary network trained on everything (airbench96_faster, 2024); costs the target + 0.04",
    params: &[],
    scorer: ScorerRule::Prefer("loss"),
    build: |_, goal| Ok(Box::new(PoolTop::new(goal, Source::proxy(1)))),
}

crate::register_policy! {
    name: "reducible",
    family: Literature,
    summary: "the top of a random pool by reducible loss (RHO-LOSS, ICML 2022); costs the target times 1 + pool/3, plus auxiliary networks at the start",
    params: &[ParamSpec {
        name: "pool",
        summary: "size of the pool, as a multiple of the samples trained",
        kind: ParamKind::Number { default: 3.0, min: 1.0, max: 100.0 },
    }],
    scorer: ScorerRule::Only("reducible-loss"),
    build: |params, goal| {
        let pool = Some(params.number("pool")?);
        Ok(Box::new(PoolTop { pool, ..PoolTop::new(goal, Source::fresh(1, false)) }))
    },
}

struct PoolTop {
    goal: Goal,
    source: Source,
    /// Horizon of scores from the ledger.
    horizon: f64,
    /// Size of the pool as a multiple of the samples due; `None` if the whole chunk is the pool.
    pool: Option<f64>,
    quota: Quota,
}

impl PoolTop {
    fn new(goal: Goal, source: Source) -> Self {
        Self { goal, source, horizon: f64::INFINITY, pool: None, quota: Quota::default() }
    }
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
        let due = self.quota.due(self.goal.target, offer.len());
        let all = offer.candidates.len();
        let size = self.pool.map_or(all, |pool| all.min((pool * due as f64).ceil() as usize));
        // Candidates are offered in random order, so the first ones are a random pool.
        let pool = Offer { candidates: &offer.candidates[..size], ..offer };
        let scores = self.source.scores(pool, context)?;
        let mut ties = context.random.stream(Purpose::Gate, u64::from(offer.epoch), u64::from(offer.chunk));
        // Adds far less than the step between ranks, 1/65534, to break ties at random.
        let key = |id: &SampleId| context.ledger.score(*id, self.horizon).unwrap_or(0.5) + 1e-9 * ties.uniform();
        let keys: Vec<f64> = match scores {
            None => pool.candidates.iter().map(key).collect(),
            // Ties keep the order in which candidates are offered, which is random.
            Some(scores) => scores.into_iter().map(f64::from).collect(),
        };
        accepted.extend(top_k(&keys, due).into_iter().map(|i| pool.candidates[i]));
        Ok(())
    }

    fn probes(&self) -> bool {
        self.source.probes()
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
        PoolTop { horizon: 1000.0, ..PoolTop::new(goal(target), Source::ledger()) }
    }

    /// With a fresh pass the ledger's scores are not used. A NaN is not selected.
    #[test]
    fn takes_the_top_of_a_fresh_pass() {
        let mut stage = Stage::seen(&[0.1, 0.9, 0.3, 0.8, f32::NAN]);
        stage.losses.0 = vec![5.0, 1.0, 4.0, f32::NAN, 9.0];
        let mut policy = PoolTop { source: Source::fresh(1, false), ..policy(0.4) };
        assert_eq!(stage.offer(&mut policy).0, [4, 0]);
    }

    /// Four of ten, the highest first.
    #[test]
    fn takes_the_top_of_a_chunk() {
        let mut stage = Stage::seen(&[0.1, 0.9, 0.3, 0.8, 0.2, 0.4, 0.7, 0.0, 0.5, 0.6]);
        assert_eq!(stage.offer(&mut policy(0.4)).0, [1, 3, 6, 9]);
    }

    /// A quarter of ten is two or three per chunk, and twenty of eighty in total.
    #[test]
    fn the_rate_is_exact() {
        let (mut stage, mut policy) = (Stage::new(&[1.0; 10]), policy(0.25));
        let taken: Vec<usize> = (0..8).map(|_| stage.offer(&mut policy).0.len()).collect();
        assert_eq!(taken, [2, 3, 2, 3, 2, 3, 2, 3]);
    }

    /// Samples without a score rank between the upper and the lower half.
    #[test]
    fn unseen_samples_rank_in_the_middle() {
        let mut stage = Stage::new(&[0.0; 6]);
        let seen = |id, score| crate::select::ledger::SampleOutcome {
            id,
            score,
            loss: 1.0,
            correct: true,
            coverage: true,
            worth: None,
        };
        stage.ledger.record(&[seen(0, 0.0), seen(1, 1.0)]);
        let mut taken = stage.offer(&mut policy(5.0 / 6.0)).0;
        assert_eq!(taken.remove(0), 1, "the highest first");
        taken.sort_unstable();
        assert_eq!(taken, [2, 3, 4, 5], "and the lowest not at all");
    }

    /// Two of five by the proxy, whose losses are in reverse order: 0.3 0.4 0.2 0.5 0.1. A NaN is not selected.
    #[test]
    fn takes_the_highest_losses_under_the_proxy() {
        let policy = || PoolTop::new(goal(0.4), Source::proxy(1));
        assert_eq!(Stage::new(&[0.1, 0.5, 0.2, 0.4, 0.3]).offer(&mut policy()).0, [3, 1]);
        assert_eq!(Stage::new(&[0.1, f32::NAN, 0.2, 0.4, 0.3]).offer(&mut policy()).0, [1, 0]);
    }

    /// One of five is due. A pool of two is the first two candidates, of three the first three, of ten all.
    #[test]
    fn takes_the_top_of_the_pool() {
        for (pool, expected) in [(1.0, 0), (2.0, 1), (2.5, 2), (3.0, 2), (10.0, 4)] {
            let mut policy = PoolTop { pool: Some(pool), ..PoolTop::new(goal(0.2), Source::fresh(1, false)) };
            assert_eq!(Stage::new(&[0.1, 0.3, 0.5, 0.2, 0.9]).offer(&mut policy).0, [expected], "{pool}");
        }
    }
}
