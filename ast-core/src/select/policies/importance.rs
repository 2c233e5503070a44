//! Importance sampling by gradient norm, used only while it pays.
//!
//! Katharopoulos & Fleuret, *Not All Samples Are Created Equal: Deep Learning with Importance Sampling*, ICML 2018. `b`
//! samples are drawn with replacement from a uniform pool of `B = pool x b`, in proportion to `g`, a bound on the norm
//! of their gradient. Their loss weights are `1/(B p)` with `p = g / sum g`. This reduces the variance as much as a
//! uniform batch larger by the factor
//!
//! `tau = 1 / sqrt(1 - |p - 1/B|^2 / |p|^2)`
//!
//! and pays if `tau` exceeds `(B + 3 b)/(3 b)`, because a forward pass costs a third of a step. Until then samples are
//! uniform, and `tau` is measured on the batches that are trained, as a moving average.
//!
//! Deviations: `g` is the run's scorer, by default `grad-norm`; the paper's `g`, the gradient with respect to the
//! logits, is the scorer `el2n`. A step divides by the mean of its weights, which is 1 on average, so that the learning
//! rate means the same for every policy. Such a weighted mean has a bias of the order of one over the batch size.

use ast_control::Ema;

use crate::codec::{SnapshotError, decode, encode};
use crate::plugin::{ParamKind, ParamSpec};
use crate::random::Purpose;
use crate::select::choice::ScorerRule;
use crate::select::goal::Goal;
use crate::select::ledger::{Ledger, SampleOutcome};
use crate::select::policy::{Policy, PolicyError, SelectionContext, SelectionStats};
use crate::select::probe::ScoredBy;
use crate::select::quota::Quota;
use crate::select::sample::SampleId;
use crate::select::sampler::Offer;

/// Weight of the newest tau in its moving average.
const TAU_EMA: f64 = 0.1;

crate::register_policy! {
    name: "importance",
    family: Literature,
    summary: "samples from a pool in proportion to their gradient norm, while that pays (Katharopoulos & Fleuret 2018); costs the target, times 1 + pool/3 while on",
    params: &[
        ParamSpec {
            name: "pool",
            summary: "size of the pool, as a multiple of the samples trained",
            kind: ParamKind::Number { default: 3.0, min: 1.0, max: 100.0 },
        },
        ParamSpec {
            name: "tau",
            summary: "gain tau above which it is on; default: 1 + pool/3, from where it pays",
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
    /// Loss weight of each accepted sample of the last chunk; empty if the chunk was uniform.
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
            // Candidates are offered in random order, so the first ones are a uniform sample.
            accepted.extend(&offer.candidates[..due.min(offer.candidates.len())]);
            return Ok(());
        }
        let probed = context.probe.score(&offer.visits()[..pool], ScoredBy::Network)?;
        let norms: Vec<f64> = probed.score.into_iter().map(norm).collect();
        self.measure(&norms);
        let mut stream = context.random.stream(Purpose::Gate, u64::from(offer.epoch), u64::from(offer.chunk));
        let sum: f64 = norms.iter().sum();
        if sum == 0.0 {
            // All scores are NaN or infinite, so there is nothing to sample in proportion to.
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

    fn observe(&mut self, seen: &[SampleOutcome], _: &Ledger) {
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

/// A score as a gradient norm: at least 1e-12, or 0 if it is NaN or infinite.
fn norm(score: f32) -> f64 {
    if score.is_finite() { f64::from(score).max(1e-12) } else { 0.0 }
}

/// The first index at which the running sum exceeds `place`.
fn draw(norms: &[f64], place: f64) -> usize {
    let mut sum = 0.0;
    let passed = norms.iter().position(|norm| {
        sum += norm;
        sum > place
    });
    // Rounding can leave the whole sum just below `place`: then the last sample with a norm above 0.
    passed.or_else(|| norms.iter().rposition(|norm| *norm > 0.0)).unwrap_or(0)
}

/// The factor by which a uniform batch would have to be larger for the same variance; `None` if all norms are 0.
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
        let seen = |score| SampleOutcome { id: 0, score, loss: 1.0, correct: true, coverage: true, worth: None };
        let mut policy = policy(0.5, 2.0, 1.1);
        let mut stage = Stage::new(&[1.0, 3.0, 1.0, 3.0]);
        assert_eq!(stage.offer(&mut policy), (vec![0, 1], vec![]), "the first ones, unweighted");
        policy.observe(&[seen(1.0), seen(1.0)], &stage.ledger);
        assert!(!policy.is_on());
        let mut policy = self::policy(0.5, 2.0, 1.1);
        policy.observe(&[seen(1.0), seen(3.0)], &stage.ledger);
        assert!(policy.is_on());
        assert_eq!(stage.offer(&mut policy).0.len(), 2);
    }

    /// Samples are drawn in proportion to their norm. Their weights make the weighted sum equal that of the pool on
    /// average, before a step normalises it.
    #[test]
    fn weights_compensate_for_selection() {
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
