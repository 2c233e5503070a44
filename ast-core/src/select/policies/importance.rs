//! Importance sampling by the gradient's norm, switched on only while it pays.
//!
//! Katharopoulos & Fleuret, *Not All Samples Are Created Equal: Deep Learning with Importance Sampling*, ICML 2018. Of a
//! uniform pool of `pool` times what is to be trained, that many are drawn with replacement in proportion to `g`, the bound
//! on the norm of their gradient, with loss weights `1/(B p)`, `B` the size of the pool and `p = g / sum g`. The reduction of
//! variance is that of a batch larger by the factor
//!
//! `tau = 1 / sqrt(1 - |p - 1/B|^2 / |p|^2)`
//!
//! and pays once it exceeds `(B + 3 b)/(3 b)`, `b` the samples trained: a forward pass costs a third of a step. Until then
//! samples are uniform and `tau` is measured, smoothed, on the batches that are trained anyway.
//!
//! Deviations: `g` is the run's scorer, `grad-norm` if none is named; the paper's, the gradient by the logits, is `el2n`. A
//! step divides by the mean of its weights, which is 1 on average, so that the learning rate means the same for every
//! policy; a mean that is weighted like this is biased by the order of one over the batch size.

use ast_control::Ema;

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamKind, ParamSpec};
use crate::random::Purpose;
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::ledger::Seen;
use crate::select::policies::Quota;
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::probe::ScoredBy;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

/// Weight of the newest tau in its average.
const TAU_EMA: f64 = 0.1;

crate::register_policy! {
    name: "importance",
    summary: "samples in proportion to the gradient's norm from a pool, while that pays (Katharopoulos & Fleuret 2018); costs the target, times 1 + pool/3 while on",
    params: &[
        ParamSpec {
            name: "pool",
            summary: "size of the pool over what is trained",
            kind: ParamKind::Number { default: 3.0, min: 1.0, max: 100.0 },
        },
        ParamSpec {
            name: "tau",
            summary: "gain at which it switches on; if none, the one at which it pays, 1 + pool/3",
            kind: ParamKind::Number { default: f64::NAN, min: 1.0, max: f64::INFINITY },
        },
    ],
    scorer: ScorerRule::Prefer("grad-norm"),
    build: |params, goal| {
        let pool = params.number("pool")?;
        let threshold = params.optional("tau")?.unwrap_or(1.0 + pool / 3.0);
        Ok(Box::new(Importance::new(goal, pool, threshold)))
    },
}

struct Importance {
    goal: Goal,
    pool: f64,
    threshold: f64,
    tau: Ema,
    quota: Quota,
    /// Weight of each sample accepted of the last chunk; empty if they are uniform.
    weights: Vec<f32>,
}

impl Importance {
    fn new(goal: Goal, pool: f64, threshold: f64) -> Self {
        Self { goal, pool, threshold, tau: Ema::new(TAU_EMA), quota: Quota::default(), weights: Vec::new() }
    }

    fn is_on(&self) -> bool {
        self.tau.value().is_some_and(|tau| tau > self.threshold)
    }

    fn measure(&mut self, norms: &[f64]) {
        if let Some(tau) = tau(norms) {
            self.tau.update(tau);
        }
    }
}

impl Policy for Importance {
    fn begin(&mut self, _: f64) -> f64 {
        0.0
    }

    fn select(
        &mut self,
        offer: Offer<'_>,
        context: &mut SelectionContext<'_>,
        accepted: &mut Vec<SampleId>,
    ) -> Result<(), PolicyError> {
        self.weights.clear();
        let due = self.quota.due(self.goal.target, offer.len());
        let pool = offer.candidates.len().min((self.pool * due as f64).ceil() as usize);
        if !self.is_on() || pool == 0 {
            // The order in which candidates are offered is random.
            accepted.extend(&offer.candidates[..due.min(offer.candidates.len())]);
            return Ok(());
        }
        let probed = context.probe.score(&offer.visits()[..pool], ScoredBy::Network)?;
        let norms: Vec<f64> = probed.score.into_iter().map(norm).collect();
        self.measure(&norms);
        let mut stream = context.random.stream(Purpose::Gate, u64::from(offer.epoch), u64::from(offer.chunk));
        let sum: f64 = norms.iter().sum();
        if sum == 0.0 {
            // Not one score is a number: nothing to draw in proportion to.
            accepted.extend(&offer.candidates[..due.min(offer.candidates.len())]);
            return Ok(());
        }
        for _ in 0..due {
            let i = draw(&norms, sum * stream.uniform());
            accepted.push(offer.candidates[i]);
            self.weights.push((sum / (pool as f64 * norms[i])) as f32);
        }
        Ok(())
    }

    fn loss_weights(&self, _: Offer<'_>, _: &[SampleId], _: &SelectionContext<'_>) -> Vec<f32> {
        self.weights.clone()
    }

    fn observe(&mut self, seen: &[Seen]) {
        if !self.is_on() {
            self.measure(&seen.iter().map(|seen| norm(seen.score)).collect::<Vec<_>>());
        }
    }

    fn probes(&self) -> bool {
        true
    }

    fn stats(&self, goal: &Goal) -> SelectionStats {
        SelectionStats { threshold: self.tau.value(), ..SelectionStats::of(goal.target) }
    }

    fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        encode("policy", &(&self.tau, &self.quota))
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), SnapshotError> {
        (self.tau, self.quota) = decode("policy", saved)?;
        Ok(())
    }
}

/// A score as the norm of a gradient: never quite 0, and 0 if it is no number.
fn norm(score: f32) -> f64 {
    if score.is_finite() { f64::from(score).max(1e-12) } else { 0.0 }
}

/// The first index at which the sum of what came so far exceeds `place`.
fn draw(norms: &[f64], place: f64) -> usize {
    let mut sum = 0.0;
    let passed = norms.iter().position(|norm| {
        sum += norm;
        sum > place
    });
    // Rounding may leave the sum a hair below: then the last that can be drawn.
    passed.or_else(|| norms.iter().rposition(|norm| *norm > 0.0)).unwrap_or(0)
}

/// By what factor a uniform batch would have to be larger for the same variance; `None` if all norms are 0.
fn tau(norms: &[f64]) -> Option<f64> {
    let sum: f64 = norms.iter().sum();
    let uniform = 1.0 / norms.len() as f64;
    let squares: f64 = norms.iter().map(|norm| (norm / sum).powi(2)).sum();
    let distance: f64 = norms.iter().map(|norm| (norm / sum - uniform).powi(2)).sum();
    let tau = 1.0 / (1.0 - distance / squares).sqrt();
    tau.is_finite().then_some(tau)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, goal};

    fn policy(target: f64, pool: f64, threshold: f64) -> Importance {
        Importance::new(goal(target), pool, threshold)
    }

    /// Equal norms: 1. Norms 1 and 3: p = 1/4, 3/4, |p|^2 = 5/8, |p - 1/2|^2 = 1/8, tau = 1/sqrt(4/5).
    #[test]
    fn tau_of_a_worked_example() {
        assert!((tau(&[2.0; 5]).unwrap() - 1.0).abs() < 1e-12);
        assert!((tau(&[1.0, 3.0]).unwrap() - 1.25_f64.sqrt()).abs() < 1e-12);
        assert_eq!(tau(&[0.0; 3]), None);
    }

    /// Uniform until tau, measured on trained batches, exceeds the threshold.
    #[test]
    fn it_switches_on_when_it_pays() {
        let seen = |score| Seen { id: 0, score, loss: 1.0, correct: true, coverage: true };
        let mut policy = policy(0.5, 2.0, 1.1);
        let mut stage = Stage::new(&[1.0, 3.0, 1.0, 3.0]);
        assert_eq!(stage.offer(&mut policy), (vec![0, 1], vec![]), "the first ones, unweighted");
        policy.observe(&[seen(1.0), seen(1.0)]);
        assert!(!policy.is_on());
        let mut policy = self::policy(0.5, 2.0, 1.1);
        policy.observe(&[seen(1.0), seen(3.0)]);
        assert!(policy.is_on());
        assert_eq!(stage.offer(&mut policy).0.len(), 2);
    }

    /// In proportion to the norm, with the weight that makes the weighted sum, before a step normalises it, that of the pool.
    #[test]
    fn weights_undo_the_choice() {
        let losses = [1.0, 2.0, 3.0, 10.0];
        let (mut stage, mut policy) = (Stage::new(&losses), policy(0.5, 2.0, 1.0));
        policy.measure(&[1.0, 3.0]);
        let (mut counts, mut total, rounds) = ([0; 4], 0.0, 4000);
        for _ in 0..rounds {
            let (accepted, weights) = stage.offer(&mut policy);
            for (id, weight) in accepted.into_iter().zip(weights) {
                counts[id as usize] += 1;
                total += f64::from(weight) * f64::from(losses[id as usize]).powi(2) / f64::from(2 * rounds);
                assert!((weight - 16.0 / (4.0 * losses[id as usize])).abs() < 1e-6);
            }
        }
        for (count, norm) in counts.into_iter().zip(losses) {
            let expected = 8000.0 * f64::from(norm) / 16.0;
            assert!((f64::from(count) - expected).abs() < 5.0 * expected.sqrt(), "{counts:?}");
        }
        // Mean of the squares: (1 + 4 + 9 + 100)/4.
        assert!((total - 28.5).abs() < 0.5, "{total}");
    }
}
