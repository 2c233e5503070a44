//! What a pass on a sample is worth to the other samples, by the rank of its score, measured while a run trains.
//!
//! To first order a pass on sample `i` reduces the mean loss of the others by the inner product of its gradient with their
//! mean gradient. With respect to the last linear layer the gradient is `g = (p - onehot(y)) [h, 1]`, which follows from
//! the forward pass (its norm is the scorer `grad-norm`), and the coverage samples of a batch are a uniform sample of the
//! data. So the worth of a coverage sample is `<g_i, mean of g_j>` over the other coverage samples `j` of its batch.
//!
//! Where high scores mean wrong labels, passes on the highest make the others worse. Where they mean hard samples, they are
//! worth about as much as others, or at least something (docs/architecture.md, "The guard"). The worth is first order, of
//! the last layer, and of the training loss: it tells contradicted samples from others, and is no measure of how much a
//! sample still has to teach.
//!
//! Weighting samples by their inner product with a reference gradient is from Ren et al., *Learning to Reweight Examples*,
//! ICML 2018, and Wang et al., *Optimizing Data Usage via Differentiable Rewards*, ICML 2020. Both need a trusted set and a
//! pass per sample; here the reference is the coverage samples, and only the mean of an eighth decides.

use serde::{Deserialize, Serialize};

/// Parts of the ranks.
const PARTS: usize = 8;
/// Weight that a coverage sample loses with each that follows.
const FADES: f64 = 1.0 / 4096.0;
/// Fewest samples of a part with which it counts.
const LEAST: f64 = 30.0;
/// Number of standard errors by which the mean worth of all samples must be above 0.
const SURE: f64 = 2.5;
/// The gate of a part is 1/2 where its worth is 0. It falls from 1 to 0 around that, the more steeply the better the worth
/// is known.
const STEEPNESS: f64 = 6.0;

/// The worth of a pass by eighths of the rank of the score, lowest scores first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Worth {
    /// Mean worth of each eighth divided by that of all: 1 is average, below 0 a pass makes the others worse.
    pub worth: [f64; PARTS],
    /// Standard errors of these.
    pub error: [f64; PARTS],
    /// Factor of the weight with which samples of each eighth are selected, 0..=1.
    pub gate: [f64; PARTS],
}

/// Measures [`Worth`]. Older samples fade.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct WorthMeter {
    /// Of each part: number, sum and sum of squares.
    parts: [[f64; 3]; PARTS],
}

impl WorthMeter {
    /// Adds a coverage sample with the rank of its score in 0..=1. NaN is ignored.
    pub(crate) fn observe(&mut self, rank: f64, worth: f64) {
        if !worth.is_finite() {
            return;
        }
        self.parts.iter_mut().flatten().for_each(|sum| *sum *= 1.0 - FADES);
        let part = &mut self.parts[part(rank)];
        part.iter_mut().zip([1.0, worth, worth * worth]).for_each(|(sum, value)| *sum += value);
    }

    /// What it measured; `None` while a part has too few samples, or while it is not sure that a pass on a sample helps
    /// others at all.
    pub(crate) fn worth(&self) -> Option<Worth> {
        let all = [0, 1, 2].map(|k| self.parts.iter().map(|part| part[k]).sum::<f64>());
        let (mean, error) = mean_and_error(all);
        if self.parts.iter().any(|[n, ..]| *n < LEAST) || mean <= SURE * error {
            return None;
        }
        let parts = self.parts.map(mean_and_error).map(|(of_part, error)| (of_part / mean, error / mean));
        let gate = |(worth, error): (f64, f64)| 1.0 / (1.0 + (-STEEPNESS * worth / (1.0 + error)).exp());
        Some(Worth {
            worth: parts.map(|(worth, _)| worth),
            error: parts.map(|(_, error)| error),
            gate: parts.map(gate),
        })
    }
}

impl Worth {
    /// The factor of the weight of a sample of this rank, 0..=1.
    #[must_use]
    pub fn gate(&self, rank: f64) -> f64 {
        self.gate[part(rank)]
    }
}

fn part(rank: f64) -> usize {
    ((rank * PARTS as f64) as usize).min(PARTS - 1)
}

fn mean_and_error([n, sum, squares]: [f64; 3]) -> (f64, f64) {
    let mean = sum / n;
    (mean, ((squares / n - mean * mean).max(0.0) / n).sqrt())
}

/// The worth of each sample of a batch to its coverage samples, for [`Outcome::worth`](super::Outcome::worth) in your own
/// loop, from the error of each sample, `p - onehot(y)` (for a regression: prediction minus target), and the input of the
/// last layer, from before the update. Both are row-major with one row per sample; `coverage` has one entry per sample.
/// `None` if the number of values is not a multiple of the number of samples.
#[must_use]
pub fn worth(errors: &[f32], features: &[f32], coverage: &[bool]) -> Option<Vec<f32>> {
    let n = coverage.len();
    if n == 0 || errors.is_empty() || !errors.len().is_multiple_of(n) || !features.len().is_multiple_of(n) {
        return None;
    }
    let (classes, width) = (errors.len() / n, features.len() / n);
    let row = |i: usize| (&errors[classes * i..][..classes], &features[width * i..][..width]);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let product = |i: usize, j: usize| {
        let ((error, feature), (other_error, other_feature)) = (row(i), row(j));
        dot(error, other_error) * (dot(feature, other_feature) + 1.0)
    };
    let of = |i: usize| {
        let others = (0..n).filter(|j| *j != i && coverage[*j]);
        let (sum, number) = others.fold((0.0, 0.0_f64), |(sum, number), j| (sum + product(i, j), number + 1.0));
        (sum / number.max(1.0)) as f32
    };
    Some((0..n).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random, Stream};

    /// Worked by hand: with errors 1, -1, 2 and inputs 3, 0, 1 the gradients are [3, 1], [0, -1], [2, 2], with products
    /// -1 (1 and 2), 8 (1 and 3) and -2 (2 and 3).
    #[test]
    fn the_worth_of_a_worked_example() {
        let of = |coverage: &[bool]| worth(&[1.0, -1.0, 2.0], &[3.0, 0.0, 1.0], coverage);
        assert_eq!(of(&[true; 3]), Some(vec![3.5, -1.5, 3.0]));
        assert_eq!(of(&[true, false, true]), Some(vec![8.0, -1.5, 8.0]));
        assert_eq!(of(&[false, true, false]), Some(vec![-1.0, 0.0, -2.0]));
        assert_eq!((of(&[true; 2]), of(&[])), (None, None));
    }

    /// A meter of `samples` samples of uniform rank whose worth is `mean(rank)` plus noise.
    fn meter(samples: usize, stream: &mut Stream, mean: impl Fn(f64) -> f64) -> WorthMeter {
        let mut meter = WorthMeter::default();
        for _ in 0..samples {
            let rank = stream.uniform();
            meter.observe(rank, mean(rank) + 2.0 * stream.normal());
        }
        meter
    }

    /// The highest fifth of the scores is worth -1 and the others 1: a mean of 0.6. The seventh eighth has two fifths of
    /// the one and three of the other.
    #[test]
    fn contradicted_samples_are_held_back() {
        let mut stream = Random::new(1).stream(Purpose::Data, 0, 0);
        let Worth { worth, error, gate } =
            meter(20_000, &mut stream, |rank| if rank < 0.8 { 1.0 } else { -1.0 }).worth().unwrap();
        let expected = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, -1.0].map(|mean| mean / 0.6);
        for ((worth, expected), error) in worth.into_iter().zip(expected).zip(error) {
            assert!((worth - expected).abs() < 4.0 * error, "{worth} {expected} +- {error}");
            // 4,096 samples in effect; a fading weight of w has the effect of half as many in the error of a mean.
            assert!((error - 2.0 / 512.0_f64.sqrt() / 0.6).abs() < 0.03, "{error}");
        }
        assert!(gate[..6].iter().all(|gate| *gate > 0.9) && gate[7] < 0.01, "{gate:?}");
        assert_eq!(Worth { worth, error, gate }.gate(1.0), gate[7]);
    }

    /// Where a pass helps no other sample, as with random labels, nothing is known, whatever the seed.
    #[test]
    fn nothing_is_known_of_samples_that_do_not_help_each_other() {
        for seed in 0..20 {
            let mut stream = Random::new(seed).stream(Purpose::Data, 0, 0);
            assert_eq!(meter(5_000, &mut stream, |_| -0.1).worth(), None);
            assert_eq!(meter(200, &mut stream, |_| 5.0).worth(), None, "too few");
        }
        assert_eq!(WorthMeter::default().worth(), None);
    }

    /// What was measured long ago has faded.
    #[test]
    fn the_worth_follows_the_run() {
        let mut stream = Random::new(2).stream(Purpose::Data, 0, 0);
        let mut meter = meter(10_000, &mut stream, |rank| 1.0 - rank);
        (0..40_000).for_each(|_| meter.observe(stream.uniform(), 1.0 + stream.normal()));
        meter.observe(0.5, f64::NAN);
        let worth = meter.worth().unwrap().worth;
        assert!(worth.iter().all(|worth| (worth - 1.0).abs() < 0.2), "{worth:?}");
    }
}
