//! Everything, every epoch: the reference run. The target is ignored and reported as 1.

use crate::select::goal::RunLength;
use crate::select::policy::{Policy, PolicyError, ScorerRule, SelectionContext, SelectionStats};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "dense",
    summary: "every sample, every epoch: the reference run; costs 1",
    params: &[],
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

    fn scorer_rule(&self) -> ScorerRule {
        ScorerRule::Unused
    }

    fn run_length(&self) -> RunLength {
        RunLength::Whole
    }

    fn keeps_target(&self) -> bool {
        false
    }

    fn stats(&self) -> SelectionStats {
        SelectionStats { target: 1.0, rate: None, threshold: None }
    }
}
