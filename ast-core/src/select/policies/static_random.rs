//! One fixed random subset for the whole run: the baseline of every choice of a subset.

use crate::random::Purpose;
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::policy::{Policy, PolicyError, SelectionContext};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "static-random",
    family: Baseline,
    summary: "one fixed random subset for the whole run: the baseline of every choice of a subset; costs the target",
    params: &[],
    scorer: ScorerRule::Unused,
    build: |_, goal| Ok(Box::new(StaticRandom { goal, member: Vec::new() })),
}

struct StaticRandom {
    goal: Goal,
    /// Whether each sample is in the subset; a function of the seed, so it is not saved.
    member: Vec<bool>,
}

impl Policy for StaticRandom {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        if self.member.is_empty() {
            let samples = context.ledger.samples();
            self.member = vec![false; samples];
            let order = context.random.stream(Purpose::Subset, 0, 0).permutation(samples);
            let size = (self.goal.target * samples as f64).round() as usize;
            order.into_iter().take(size.max(1)).for_each(|id| self.member[id as usize] = true);
        }
        accepted.extend(offer.candidates.iter().filter(|id| self.member[**id as usize]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    #[test]
    fn the_subset_is_the_same_in_every_epoch() {
        let goal = goal(0.3);
        let mut stage = Stage::new(&[1.0; 100]);
        let first = stage.offer(&mut StaticRandom { goal, member: Vec::new() }).0;
        assert_eq!(first.len(), 30);
        assert_eq!(stage.offer(&mut StaticRandom { goal, member: Vec::new() }).0, first);
        assert!(first.windows(2).any(|pair| pair[1] - pair[0] > 1), "not the first thirty");
    }
}
