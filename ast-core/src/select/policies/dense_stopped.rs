//! Dense training broken off at the budget, its learning rate still that of the whole run: the trap behind many claims.
//!
//! Whoever compares a method at a tenth of the cost with *this*, instead of with a tenth of the epochs under a learning
//! rate that comes down in time (`random`), will find that nearly anything wins.

use crate::select::goal::RunLength;
use crate::select::policy::{Policy, PolicyError, ScorerRule, SelectionContext, SelectionStats};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "dense-stopped",
    summary: "dense training broken off at the budget with its learning rate still high: the trap behind many claims; costs the target",
    params: &[],
    build: |_, _| Ok(Box::new(DenseStopped)),
}

struct DenseStopped;

impl Policy for DenseStopped {
    fn begin(&mut self, _: f64) -> f64 {
        1.0
    }

    fn select(&mut self, _: Offer<'_>, _: &mut SelectionContext<'_>, _: &mut Vec<SampleId>) -> Result<(), PolicyError> {
        Ok(())
    }

    fn scorer_rule(&self) -> ScorerRule {
        ScorerRule::Unused
    }

    fn run_length(&self) -> RunLength {
        RunLength::Cut
    }

    fn stats(&self) -> SelectionStats {
        SelectionStats { target: 1.0, rate: None, threshold: None }
    }
}
