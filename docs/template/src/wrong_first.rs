//! Samples that the network got wrong come first.
//!
//! A part of the target, `coverage`, is a random share of the data, so that every sample is seen again. The rest goes to
//! candidates in this order: those that were wrong, or not yet trained on, then the others.

use ast_core::codec::{SnapshotError, decode, encode};
use ast_core::plugin::{ParamKind, ParamSpec};
use ast_core::select::{Offer, Policy, PolicyError, Quota, SampleId, ScorerRule, SelectionContext};

ast_core::register_policy! {
    name: "wrong-first",
    summary: "samples that were wrong when they were last trained on come first; costs the target",
    params: &[ParamSpec {
        name: "coverage",
        summary: "the part of the target that is a random share of the data",
        kind: ParamKind::Number { default: 0.5, min: 0.0, max: 0.9 },
    }],
    // It reads no scores, so a run needs no scorer.
    scorer: ScorerRule::Unused,
    build: |params, goal| Ok(Box::new(WrongFirst::new(goal.target, params.number("coverage")?))),
}

struct WrongFirst {
    target: f64,
    /// Share of the samples that is trained unconditionally.
    covered: f64,
    /// Whole samples that make up the rest of the target.
    quota: Quota,
}

impl WrongFirst {
    fn new(target: f64, coverage: f64) -> Self {
        Self { target, covered: coverage * target, quota: Quota::default() }
    }
}

impl Policy for WrongFirst {
    fn begin(&mut self, _: f64) -> f64 {
        self.covered
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let rate = (self.target - self.covered) / (1.0 - self.covered);
        let due = self.quota.due(rate, offer.candidates.len());
        let mut candidates = offer.candidates.to_vec();
        candidates.sort_by_key(|id| context.ledger.was_correct(*id)); // stable, and false comes first
        accepted.extend(candidates.into_iter().take(due));
        Ok(())
    }

    // Its state. A policy without any leaves these two out.
    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        encode("policy", &self.quota)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        self.quota = decode("policy", saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::select::SampleOutcome;
    use ast_core::testing::{Stage, check_policy};

    /// Four of ten samples: 7 and 8, which were wrong, then the first of the others. A target of a half is four tenths of the
    /// candidates, if coverage takes a sixth of all.
    #[test]
    fn wrong_samples_are_taken_before_others() {
        let mut stage = Stage::seen(&[1.0; 10]);
        let wrong = |id| SampleOutcome { id, score: 1.0, loss: 1.0, correct: false, coverage: true, worth: None };
        stage.ledger.record(&[wrong(7), wrong(8)]);
        let (accepted, _) = stage.offer(&mut WrongFirst::new(0.5, 1.0 / 3.0));
        assert_eq!(accepted, [7, 8, 0, 1]);
    }

    #[test]
    fn keeps_the_contract() {
        for coverage in [0.0, 0.5, 0.9] {
            check_policy(|goal| WrongFirst::new(goal.target, coverage));
        }
    }
}
