//! One fixed subset for the whole run: the highest EL2N scores of one early pass over the dataset.
//!
//! Paul, Ganguli & Dziugaite, *Deep Learning on a Data Diet*, NeurIPS 2021: the norm of the error vector early in
//! training shows which samples matter, and the top of them is kept. Deviations: the scores are from one network
//! instead of the mean over ten, and it is the run's own network, after a start on random samples. The pass is
//! charged.

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamKind, ParamSpec};
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::policies::top_k;
use crate::select::policy::{Policy, PolicyError, SelectionContext};
use crate::select::probe::ScoredBy;
use crate::select::sample::{SampleId, Visit};
use crate::select::sampler::Offer;

/// Number of samples per forward pass.
const BATCH: usize = 250;

crate::register_policy! {
    name: "static-el2n",
    family: Literature,
    summary: "one fixed subset for the whole run, the highest EL2N scores after a start on random samples (Paul et al. 2021); costs the target + one forward pass over the dataset",
    params: &[ParamSpec {
        name: "score_after",
        summary: "share of the budget before the scoring pass, with random samples",
        kind: ParamKind::Number { default: 0.1, min: 0.0, max: 0.9 },
    }],
    scorer: ScorerRule::Prefer("el2n"),
    build: |params, goal| Ok(Box::new(StaticEl2n { goal, score_after: params.number("score_after")?, due: false, member: Vec::new() })),
}

struct StaticEl2n {
    goal: Goal,
    score_after: f64,
    /// Whether that share is spent.
    due: bool,
    /// Whether each sample is in the subset; empty before the scoring pass.
    member: Vec<bool>,
}

impl Policy for StaticEl2n {
    fn begin(&mut self, spent: f64) -> f64 {
        self.due = spent >= self.score_after;
        if self.due { 0.0 } else { self.goal.target }
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        if !self.due {
            return Ok(());
        }
        if self.member.is_empty() {
            let samples = context.ledger.samples();
            let visits: Vec<_> =
                (0..samples as SampleId).map(|id| Visit { id, epoch: offer.epoch, earlier: 0 }).collect();
            let mut scores = Vec::with_capacity(samples);
            for batch in visits.chunks(BATCH) {
                let probed = context.probe.score(batch, ScoredBy::Network)?;
                scores.extend(probed.score.into_iter().map(f64::from));
            }
            self.member = vec![false; samples];
            let size = (self.goal.target * samples as f64).round() as usize;
            top_k(&scores, size.max(1)).into_iter().for_each(|id| self.member[id] = true);
        }
        accepted.extend(offer.candidates.iter().filter(|id| self.member[**id as usize]));
        Ok(())
    }

    fn probes(&self) -> bool {
        true
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        encode("policy", &(&self.due, &self.member))
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        (self.due, self.member) = decode("policy", saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    /// Random during the warm-up. Then the two highest of five, even when the scores change later.
    #[test]
    fn the_highest_of_the_scoring_pass_are_kept() {
        let goal = goal(0.4);
        let mut policy = StaticEl2n { goal, score_after: 0.1, due: false, member: Vec::new() };
        let mut stage = Stage::new(&[0.1, 0.5, 0.2, 0.4, 0.3]);
        assert_eq!(policy.begin(0.05), 0.4);
        assert!(stage.offer(&mut policy).0.is_empty());
        assert_eq!(policy.begin(0.1), 0.0);
        assert_eq!(stage.offer(&mut policy).0, [1, 3]);
        stage.losses.0.reverse();
        assert_eq!(stage.offer(&mut policy).0, [1, 3]);
    }
}
