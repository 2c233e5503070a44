//! From easy to hard, or from hard to easy: a window of difficulty that moves across the ranks as the budget is spent.
//!
//! Curriculum learning (Bengio et al., ICML 2009) and its reverse, as compared under a budget by Wu, Dyer & Neyshabur,
//! *When Do Curricula Work?*, ICLR 2021. The difficulty of a sample is the rank of its score, which is in the ledger
//! unless another `source` is set. At a share `u` of the budget and a target `t` the middle of the window is at
//! `t/2 + u (1 - t)`, or 1 minus that for `hard-first`. Of every chunk, the share `t` closest to the middle is trained
//! on. A sample without a score gets a random rank.

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
    name: "curriculum",
    family: Literature,
    summary: "a window of difficulty that moves from easy to hard, or from hard to easy, as the budget is spent (Wu et al. 2021); costs the target",
    params: &[
        ParamSpec {
            name: "order",
            summary: "which end of the ranks comes first",
            kind: ParamKind::Choice(&["easy-first", "hard-first"]),
        },
        ParamSpec {
            name: "horizon",
            summary: "age, in dataset sizes trained, at which a score has lost 63 % of its influence",
            kind: ParamKind::Number { default: 3.0, min: 0.01, max: 1000.0 },
        },
        SOURCE,
        EVERY,
        RESOLUTION,
    ],
    scorer: ScorerRule::Prefer("loss"),
    build: |params, goal| {
        let (hard_first, horizon) = (params.word("order")? == "hard-first", params.number("horizon")?);
        Ok(Box::new(Curriculum { goal, hard_first, horizon, source: Source::new(params)?, quota: Quota::default() }))
    },
}

struct Curriculum {
    goal: Goal,
    hard_first: bool,
    horizon: f64,
    source: Source,
    quota: Quota,
}

impl Curriculum {
    /// The middle of the window, 0..=1.
    fn middle(&self, spent: f64) -> f64 {
        let from_easy = self.goal.target / 2.0 + spent.clamp(0.0, 1.0) * (1.0 - self.goal.target);
        if self.hard_first { 1.0 - from_easy } else { from_easy }
    }
}

impl Policy for Curriculum {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let ranks = self.source.ranks(offer, context, self.horizon)?;
        let mut unknown = context.random.stream(Purpose::Gate, u64::from(offer.epoch), u64::from(offer.chunk));
        let middle = self.middle(context.spent);
        let closeness = |rank: Option<f64>| {
            let drawn = unknown.uniform();
            -(rank.unwrap_or(drawn) - middle).abs()
        };
        let keys: Vec<f64> = ranks.into_iter().map(closeness).collect();
        let due = self.quota.due(self.goal.target, offer.len());
        accepted.extend(top_k(&keys, due).into_iter().map(|i| offer.candidates[i]));
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

    fn policy(hard_first: bool) -> Curriculum {
        let goal = goal(0.2);
        Curriculum { goal, hard_first, horizon: 1000.0, source: Source::ledger(), quota: Quota::default() }
    }

    /// A fresh pass gives losses 9, 8, .. 0, whatever the ledger holds. The two easiest samples are the last two.
    #[test]
    fn a_fresh_pass_ranks_candidates() {
        let mut stage = Stage::seen(&[1.0; 10]);
        (stage.losses.0, stage.spent) = ((0..10).rev().map(|i| i as f32).collect(), 0.0);
        let mut taken = stage.offer(&mut Curriculum { source: Source::fresh(1, false), ..policy(false) }).0;
        taken.sort_unstable();
        assert_eq!(taken, [8, 9]);
    }

    /// Ten samples with losses 0, 1, .. 9: the window takes the two easiest at the start, two in the middle, and the
    /// two hardest at the end; in reverse order for `hard-first`.
    #[test]
    fn the_window_moves_across_the_ranks() {
        let losses: Vec<f32> = (0..10).map(|i| i as f32).collect();
        for (hard_first, expected) in [(false, [[0, 1], [4, 5], [8, 9]]), (true, [[8, 9], [4, 5], [0, 1]])] {
            for (spent, expected) in [0.0, 0.5, 1.0].into_iter().zip(expected) {
                let mut stage = Stage::seen(&losses);
                stage.spent = spent;
                let mut taken = stage.offer(&mut policy(hard_first)).0;
                taken.sort_unstable();
                assert_eq!(taken, expected, "{hard_first} {spent}");
            }
        }
    }

    /// Samples without a rank are selected at random, at the target rate.
    #[test]
    fn unseen_samples_are_drawn_at_random() {
        let (mut stage, mut policy) = (Stage::new(&[0.0; 1000]), policy(false));
        let (first, second) = (stage.offer(&mut policy).0, stage.offer(&mut policy).0);
        assert_eq!((first.len(), second.len()), (200, 200));
        let common = first.iter().filter(|id| second.contains(id)).count();
        assert!((20..60).contains(&common), "{common}, of 40 expected");
    }
}
