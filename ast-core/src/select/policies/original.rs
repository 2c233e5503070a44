//! The original Adaptive Sparse Training script, with selected samples gathered into batches and all its work charged.
//!
//! Every batch is forwarded in training mode to be scored. Significance is `0.7 f(l / mean l) + 0.3 f(s / mean s)` over
//! the batch, with `f(x) = clamp(x, 0, 2) / 2`, `l` the loss and `s` the standard deviation of the image. Samples above
//! the threshold are trained on, or two random ones if there are none. The threshold is set by the original's
//! controller ([`OriginalController`]). At activation rho a nominal epoch costs `(1 + 3 rho)/3` of a dense one.
//!
//! Deviations from the script: selected samples are gathered into full batches (the script backpropagates through the
//! whole batch under a mask, one step per batch); the learning rate is scheduled to the budget, as for every policy
//! here; the standard deviation of an image is computed from its bytes before augmentation; the script's sigmoid gate,
//! which has no effect, and its energy estimate, which measures nothing, are left out.

use ast_control::{Controller, OriginalController, Output, Setpoint};

use crate::codec::{SnapshotError, decode, encode};
use crate::random::{Purpose, Stream};
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::probe::ScoredBy;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

crate::register_policy! {
    name: "original",
    aliases: &["seed"],
    family: Literature,
    summary: "the original script: a forward pass over every sample, its significance, its controller; costs 1/3 + the target",
    params: &[],
    scorer: ScorerRule::Unused,
    keeps_target: false,
    build: |_, goal| Ok(Box::new(Original { goal, controller: OriginalController::default(), last: None })),
}

struct Original {
    goal: Goal,
    controller: OriginalController,
    last: Option<Output>,
}

impl Original {
    fn setpoint(&self) -> Setpoint {
        Setpoint { target: self.goal.target, bias: 0.0 }
    }
}

impl Policy for Original {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let losses = context.probe.score(&offer.visits(), ScoredBy::NetworkInTraining)?.loss;
        let deviations = context.probe.input_deviation(offer.candidates)?;
        let threshold = self.controller.threshold(self.setpoint()) as f32;
        let passed = significance(&losses, &deviations).into_iter().zip(offer.candidates);
        let before = accepted.len();
        accepted.extend(passed.filter(|(significance, _)| *significance > threshold).map(|(_, id)| *id));
        if accepted.len() == before {
            let mut stream = context.random.stream(Purpose::Fallback, u64::from(offer.epoch), u64::from(offer.chunk));
            accepted.extend(any_two(offer.candidates, &mut stream));
        }
        let rate = (accepted.len() - before) as f64 / offer.len() as f64;
        self.last = Some(self.controller.update(rate, self.setpoint())?);
        Ok(())
    }

    fn probes(&self) -> bool {
        true
    }

    fn stats(&self, goal: &Goal) -> SelectionStats {
        SelectionStats {
            target: goal.target,
            rate: self.last.map(|last| last.rate),
            threshold: Some(self.controller.threshold(self.setpoint())),
        }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        encode("policy", &(&self.controller, &self.last))
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        (self.controller, self.last) = decode("policy", saved)?;
        Ok(())
    }
}

/// `0.7 f(l / mean l) + 0.3 f(s / mean s)`, 0..=1, over a batch.
fn significance(losses: &[f32], deviations: &[f32]) -> Vec<f32> {
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let (mean_loss, mean_deviation) = (mean(losses), mean(deviations));
    let part = |value: f32, mean: f32| if mean > 0.0 { (value / mean).clamp(0.0, 2.0) / 2.0 } else { 0.0 };
    losses.iter().zip(deviations).map(|(l, s)| 0.7 * part(*l, mean_loss) + 0.3 * part(*s, mean_deviation)).collect()
}

/// Two different candidates at random; fewer if there are fewer.
fn any_two(candidates: &[SampleId], stream: &mut Stream) -> Vec<SampleId> {
    stream.permutation(candidates.len()).into_iter().take(2).map(|i| candidates[i as usize]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    fn select(losses: &[f32], threshold: Option<f64>) -> (Vec<SampleId>, SelectionStats) {
        let mut policy = Original { goal: goal(0.1), controller: OriginalController::default(), last: None };
        // The controller has no setter: feed it rates until its threshold is where the test wants it.
        while threshold.is_some_and(|threshold| policy.controller.threshold(policy.setpoint()) < threshold) {
            policy.controller.update(1.0, policy.setpoint()).unwrap();
        }
        (Stage::new(losses).offer(&mut policy).0, policy.stats(&goal(0.1)))
    }

    /// Losses 1, 1, 1, 5 (mean 2), equal deviations: significance 0.7 x 1/4 + 0.15 = 0.325 and, clamped, 0.7 + 0.15.
    #[test]
    fn a_worked_example() {
        let got = significance(&[1.0, 1.0, 1.0, 5.0], &[0.25; 4]);
        for (got, expected) in got.into_iter().zip([0.325, 0.325, 0.325, 0.85]) {
            assert!((got - expected).abs() < 1e-6);
        }
        let (accepted, trace) = select(&[1.0, 1.0, 1.0, 5.0], None);
        assert_eq!(accepted, [3]);
        // Rate 1/4, error 0.15: 0.5 + 0.0015 x 0.15.
        assert!((trace.threshold.unwrap() - 0.500_225).abs() < 1e-12);
    }

    #[test]
    fn two_random_samples_are_trained_if_none_passes() {
        let (accepted, _) = select(&[1.0; 50], Some(0.9));
        assert_eq!(accepted.len(), 2);
        assert_ne!(accepted[0], accepted[1]);
    }
}
