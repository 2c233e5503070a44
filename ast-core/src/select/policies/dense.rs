//! Every sample in every epoch, to the end of the run or to the end of the budget.
//!
//! * `dense` is the reference run. The target is ignored and reported as 1.
//! * `dense-stopped` is the same run stopped at the budget, while its learning rate follows the schedule of the whole run.
//!   Many published claims compare with such a run, against which nearly any method at a tenth of the cost looks good. The
//!   fair comparison is a tenth of the epochs with the learning rate scheduled to them (`random`).

use crate::select::choice::ScorerRule;
use crate::select::goal::{Goal, RunLength};
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "dense",
    family: Baseline,
    summary: "every sample, every epoch: the reference run; costs 1",
    params: &[],
    scorer: ScorerRule::Unused,
    run_length: RunLength::Whole,
    keeps_target: false,
    build: |_, _| Ok(Box::new(Dense)),
}

crate::register_policy! {
    name: "dense-stopped",
    family: Baseline,
    summary: "dense training stopped at the budget while its learning rate is still high: too weak a baseline, used by many claims; costs the target",
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
