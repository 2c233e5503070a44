//! Selects by comparing raw scores with a constant: a baseline for a controller.
//!
//! Every sample is forwarded (without dropout) and trained on if its score reaches the constant. By default this is the
//! `1 - target` quantile of the first 1,024 scores (while there are fewer, of those so far). It is right at the start,
//! and wrong as soon as the scores drift. At least one sample of a chunk, that with the highest score, is trained on,
//! so that training never stops.

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamKind, ParamSpec};
use crate::select::goal::Goal;
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::probe::ScoredBy;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;
use crate::select::window::Window;

/// Number of scores of which the constant is a quantile.
const CALIBRATION: usize = 1024;

crate::register_policy! {
    name: "fixed-threshold",
    family: Baseline,
    summary: "a forward pass over every sample, its raw score against a constant: a baseline for a controller; costs 1/3 + its rate",
    params: &[ParamSpec {
        name: "threshold",
        summary: "the constant, in the scorer's own scale; default: the 1 - target quantile of the first 1,024 scores",
        kind: ParamKind::Number { default: f64::NAN, min: f64::MIN, max: f64::MAX },
    }],
    keeps_target: false,
    build: |params, goal| {
        let given = params.optional("threshold")?;
        Ok(Box::new(FixedThreshold { goal, given, first: Window::new(CALIBRATION), seen: 0 }))
    },
}

struct FixedThreshold {
    goal: Goal,
    given: Option<f64>,
    first: Window,
    seen: usize,
}

impl FixedThreshold {
    fn threshold(&self) -> Option<f64> {
        let quantile = || self.first.quantile(1.0 - self.goal.target).map(|quantile| f64::from(quantile.value));
        self.given.or_else(quantile)
    }
}

impl Policy for FixedThreshold {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let scores = context.probe.score(&offer.visits(), ScoredBy::Network)?.score;
        if self.seen < CALIBRATION {
            self.first.extend(scores.iter().take(CALIBRATION - self.seen).copied());
            self.seen += scores.len();
        }
        let threshold = self.threshold().unwrap_or(f64::INFINITY);
        let before = accepted.len();
        let scored = || scores.iter().zip(offer.candidates);
        accepted.extend(scored().filter(|(score, _)| f64::from(**score) >= threshold).map(|(_, id)| *id));
        if accepted.len() == before {
            accepted.extend(scored().max_by(|a, b| a.0.total_cmp(b.0)).map(|(_, id)| *id));
        }
        Ok(())
    }

    fn probes(&self) -> bool {
        true
    }

    fn stats(&self, goal: &Goal) -> SelectionStats {
        SelectionStats { threshold: self.threshold(), ..SelectionStats::of(goal.target) }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        encode("policy", &(&self.first, &self.seen))
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        (self.first, self.seen) = decode("policy", saved)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    fn select(policy: &mut FixedThreshold, losses: &[f32]) -> Vec<SampleId> {
        Stage::new(losses).offer(policy).0
    }

    fn policy(given: Option<f64>) -> FixedThreshold {
        let goal = goal(0.1);
        FixedThreshold { goal, given, first: Window::new(CALIBRATION), seen: 0 }
    }

    #[test]
    fn a_given_constant_is_used_as_it_is() {
        assert_eq!(select(&mut policy(Some(2.5)), &[1.0, 3.0, 2.5, 2.4]), [1, 2]);
    }

    /// The 0.9 quantile of 0..1024 is 921, so 10 % pass at first. With all scores halved, only the highest sample is
    /// trained.
    #[test]
    fn the_calibrated_constant_fits_at_first_and_fails_after_a_drift() {
        let mut policy = policy(None);
        let scores: Vec<f32> = (0..1024).map(|i| ((i * 37) % 1024) as f32).collect();
        let accepted = select(&mut policy, &scores);
        assert_eq!(policy.threshold(), Some(921.0));
        assert_eq!(accepted.len(), 1024 - 921);
        let halved: Vec<f32> = scores.iter().map(|score| score / 2.0).collect();
        assert_eq!(select(&mut policy, &halved).len(), 1);
        assert_eq!(policy.threshold(), Some(921.0));
    }
}
