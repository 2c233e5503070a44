//! The next slice of a random permutation each epoch, scores ignored: the baseline of every selection.
//!
//! RS2 without replacement (Okanovic et al., *Repeated Random Sampling for Minimizing the Time-to-Accuracy of
//! Learning*, ICLR 2024). With the learning rate scheduled to the budget this *is* dense training for `target x epochs`
//! epochs.

use crate::select::choice::ScorerRule;
use crate::select::policy::{Policy, PolicyError, SelectionContext};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "random",
    family: Baseline,
    summary: "the next slice of a random permutation, scores ignored (RS2): the baseline of every selection; costs the target",
    params: &[],
    scorer: ScorerRule::Unused,
    build: |_, goal| Ok(Box::new(Random { target: goal.target })),
}

struct Random {
    target: f64,
}

impl Policy for Random {
    fn begin(&mut self, _: f64) -> f64 {
        self.target
    }

    fn select(&mut self, _: Offer<'_>, _: &mut SelectionContext<'_>, _: &mut Vec<SampleId>) -> Result<(), PolicyError> {
        Ok(())
    }
}
