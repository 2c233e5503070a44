//! Everything, every epoch: to the end of the run, or broken off at the budget.
//!
//! * `dense` is the reference run. The target is ignored and reported as 1.
//! * `dense-stopped` is that run broken off at the budget, its learning rate still that of the whole run: the trap behind many
//!   claims. Compared with *this*, instead of with a tenth of the epochs under a learning rate that comes down in time
//!   (`random`), nearly any method at a tenth of the cost wins.

use crate::select::choice::ScorerRule;
use crate::select::goal::{Goal, RunLength};
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "dense",
    summary: "every sample, every epoch: the reference run; costs 1",
    params: &[],
    scorer: ScorerRule::Unused,
    run_length: RunLength::Whole,
    keeps_target: false,
    build: |_, _| Ok(Box::new(Dense)),
}

crate::register_policy! {
    name: "dense-stopped",
    summary: "dense training broken off at the budget with its learning rate still high: the trap behind many claims; costs the target",
    params: &[],
    scorer: ScorerRule::Unused,
    run_length: RunLength::Cut,
    build: |_, _| Ok(Box::new(Dense)),
}

struct Dense;

impl Policy for Dense {
    fn begin(&mut self, _: f64) -> f64 {
        1.0
    }

    fn select(&mut self, _: Offer<'_>, _: &mut SelectionContext<'_>, _: &mut Vec<SampleId>) -> Result<(), PolicyError> {
        Ok(())
    }

    fn stats(&self, _: &Goal) -> SelectionStats {
        SelectionStats::of(1.0)
    }
}
