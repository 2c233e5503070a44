//! A forward pass over every sample, and a backward pass with a probability that grows with the rank of its loss.
//!
//! Jiang et al., *Accelerating Deep Learning by Focusing on the Biggest Losers*, 2019. A sample is trained on with
//! probability `max(p_min, CDF(loss)^beta)`. The CDF is that of recent losses, with ties randomised. `beta` is chosen
//! so that the mean probability over a uniform CDF is the target. With `stale = n` only every n-th epoch scores, and
//! the epochs between reuse its scores (StaleSB in the paper). At activation rho a nominal epoch costs
//! `(1/n + 3 rho)/3` of a dense one, or `(0.3/n + 3 rho)/3` if it scores at half the resolution.

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamError, ParamKind, ParamSpec, ParamValue};
use crate::random::Purpose;
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;
use crate::select::source::{RESOLUTION, Source};
use crate::select::window::Window;

/// Number of recent scores that define the CDF.
const RECENT: usize = 1024;

crate::register_policy! {
    name: "selective-backprop",
    family: Literature,
    summary: "a forward pass over every sample, a backward pass with a probability that grows with the rank of its loss (Jiang et al. 2019); costs 1/(3 stale) + the target",
    params: &[
        ParamSpec {
            name: "rate",
            summary: "share of the offered samples to train; default: the target. With --budget, a low rate spends most of the budget on scoring",
            kind: ParamKind::Number { default: f64::NAN, min: 0.001, max: 1.0 },
        },
        ParamSpec {
            name: "p_min",
            summary: "smallest probability of being trained on; at most the rate",
            kind: ParamKind::Number { default: 0.0, min: 0.0, max: 1.0 },
        },
        ParamSpec {
            name: "stale",
            summary: "number of epochs that use the scores of one pass, 1: a pass in every epoch",
            kind: ParamKind::Integer { default: 1, min: 1, max: 1000 },
        },
        RESOLUTION,
    ],
    scorer: ScorerRule::Prefer("loss"),
    build: |params, goal| {
        let (stale, half) = (params.integer("stale")?, params.word("resolution")? == "half");
        let target = params.optional("rate")?.unwrap_or(goal.target);
        let goal = Goal { target, ..goal };
        let p_min = params.number("p_min")?;
        if p_min > target {
            let allowed = format!("at most the rate, {target}");
            return Err(ParamError::OutOfRange { key: "p_min", value: ParamValue::Number(p_min), allowed }.into());
        }
        Ok(Box::new(SelectiveBackprop::new(goal, p_min, Source::fresh(stale, half))))
    },
}

struct SelectiveBackprop {
    goal: Goal,
    p_min: f64,
    beta: f64,
    source: Source,
    recent: Window,
}

impl SelectiveBackprop {
    fn new(goal: Goal, p_min: f64, source: Source) -> Self {
        Self { goal, p_min, beta: beta(goal.target, p_min), source, recent: Window::new(RECENT) }
    }

    /// The exponent for a chunk in which some scores are NaN: the other samples make up for them.
    fn beta_for(&self, scores: &[f32]) -> f64 {
        let ranked = scores.iter().filter(|score| !score.is_nan()).count();
        if ranked == scores.len() {
            return self.beta;
        }
        beta((self.goal.target * scores.len() as f64 / ranked.max(1) as f64).min(1.0), self.p_min)
    }
}

impl Policy for SelectiveBackprop {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        let scores = self.source.scores(offer, context)?.unwrap_or_default();
        self.recent.extend(scores.iter().copied());
        let mut stream = context.random.stream(Purpose::Gate, u64::from(offer.epoch), u64::from(offer.chunk));
        let beta = self.beta_for(&scores);
        let passes = |(score, _): &(&f32, &SampleId)| {
            let drawn = stream.uniform();
            // NaN has no rank.
            !score.is_nan() && {
                let rank = self.recent.random_rank(**score, &mut || stream.uniform());
                drawn < probability(rank.into(), beta, self.p_min)
            }
        };
        accepted.extend(scores.iter().zip(offer.candidates).filter(passes).map(|(_, id)| *id));
        Ok(())
    }

    fn probes(&self) -> bool {
        true
    }

    fn stats(&self, _: &Goal) -> SelectionStats {
        SelectionStats::of(self.goal.target)
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        self.source.save(encode("policy", &self.recent)?)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        self.recent = decode("policy", &self.source.restore(saved)?)?;
        Ok(())
    }
}

/// Probability of being trained on, at a rank 0..=1.
fn probability(rank: f64, beta: f64, p_min: f64) -> f64 {
    rank.powf(beta).max(p_min)
}

/// The exponent for which the mean probability over uniform ranks is `target`, by bisection.
///
/// The mean is `p_min x + (1 - x^(beta + 1))/(beta + 1)` with `x = p_min^(1/beta)`; it falls as `beta` grows.
fn beta(target: f64, p_min: f64) -> f64 {
    let mean = |beta: f64| {
        let x = p_min.powf(1.0 / beta);
        p_min * x + (1.0 - x.powf(beta + 1.0)) / (beta + 1.0)
    };
    let (mut low, mut high) = (1e-9, 1e6);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if mean(middle) > target { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    fn policy(target: f64) -> SelectiveBackprop {
        SelectiveBackprop::new(goal(target), 0.0, Source::fresh(1, false))
    }

    /// Without `p_min` the mean is 1/(1 + beta): the paper's beta of 1 and 2 give a half and a third.
    #[test]
    fn the_exponent_follows_from_the_target() {
        for (target, expected) in [(0.5, 1.0), (1.0 / 3.0, 2.0), (0.1, 9.0)] {
            assert!((beta(target, 0.0) - expected).abs() < 1e-6);
        }
        // With 0.05 and beta 9: x = 0.05^(1/9) = 0.71687, mean 0.035844 + (1 - 0.035844)/10 = 0.132259.
        assert!((beta(0.132_259, 0.05) - 9.0).abs() < 1e-3);
    }

    /// 1,000 distinct losses: at a target of a half, the probability of a sample is its rank.
    #[test]
    fn high_losses_pass_in_proportion_to_their_rank() {
        let losses: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let (mut stage, mut policy) = (Stage::new(&losses), policy(0.5));
        let mut counts = [0.0_f64; 4];
        for _ in 0..40 {
            let (accepted, weights) = stage.offer(&mut policy);
            assert!(weights.is_empty());
            accepted.iter().for_each(|id| counts[*id as usize / 250] += 1.0 / 40.0);
        }
        // Quarters of ranks 0..1/4..: 250 x 1/8, 3/8, 5/8, 7/8.
        for (count, expected) in counts.into_iter().zip([31.25, 93.75, 156.25, 218.75]) {
            assert!((count - expected).abs() < 6.0, "{counts:?}");
        }
    }
}
