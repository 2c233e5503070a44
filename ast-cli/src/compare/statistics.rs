//! Statistics of a few paired runs. Checked against SciPy 1.17.1.

use ast_core::random::{Purpose, Random};
use statrs::distribution::{ContinuousCDF, Normal};

/// Number of bootstrap resamples. The ends of an interval are then accurate to about 1 % of its width.
const RESAMPLES: u64 = 20_000;
/// Minimum number of pairs for a verdict. With five, p is at least 2/2^5 = 6 %; and a bootstrap of so few values says
/// nothing about the tails.
pub(super) const LEAST_PAIRS: usize = 6;
/// Maximum number of pairs for which all sign patterns are enumerated.
pub(super) const MOST_PAIRS: usize = 20;

/// An estimate with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Estimate {
    pub(super) mean: f64,
    /// `None` for fewer than six values, or if all are equal.
    pub(super) interval: Option<[f64; 2]>,
}

/// The mean and its 95 % BCa bootstrap interval (Efron, *Better Bootstrap Confidence Intervals*, 1987). Every call uses
/// the same resamples.
pub(super) fn estimate(values: &[f64]) -> Estimate {
    let mean = mean_of(values.iter().copied(), values.len());
    Estimate { mean, interval: bca(values, mean) }
}

fn mean_of(values: impl Iterator<Item = f64>, n: usize) -> f64 {
    values.sum::<f64>() / n as f64
}

fn bca(values: &[f64], mean: f64) -> Option<[f64; 2]> {
    let n = values.len();
    if n < LEAST_PAIRS || values.iter().all(|value| *value == values[0]) {
        return None;
    }
    let random = Random::new(0);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|k| {
            let mut stream = random.stream(Purpose::Bootstrap, k, 0);
            mean_of((0..n).map(|_| values[stream.below(n)]), n)
        })
        .collect();
    means.sort_unstable_by(f64::total_cmp);
    let normal = Normal::standard();
    // Equal means count half, as in a percentile. Differences within rounding count as equal.
    let hair = 1e-12 * mean.abs().max(1e-300);
    let below = means.iter().filter(|x| **x < mean - hair).count();
    let up_to = means.iter().filter(|x| **x <= mean + hair).count();
    let bias = normal.inverse_cdf((below + up_to) as f64 / (2.0 * means.len() as f64));
    // Jackknife: leaving a value out moves the mean by (mean - value)/(n - 1).
    let moved: Vec<f64> = values.iter().map(|value| (value - mean) / (n - 1) as f64).collect();
    let squares: f64 = moved.iter().map(|x| x * x).sum();
    let acceleration = moved.iter().map(|x| x.powi(3)).sum::<f64>() / (6.0 * squares.powf(1.5));
    let end = |share: f64| {
        let z = bias + normal.inverse_cdf(share);
        let place = normal.cdf(bias + z / (1.0 - acceleration * z)) * means.len() as f64;
        means[(place as usize).min(means.len() - 1)]
    };
    Some([end(0.025), end(0.975)])
}

/// The exact two-sided sign-flip p of paired differences: the share of the 2^n sign patterns whose mean is at least as
/// far from 0 as the observed one. Its minimum with n pairs is 2/2^n. `None` for no pairs, and for more than 20.
pub(super) fn sign_flip(differences: &[f64]) -> Option<f64> {
    let n = differences.len();
    if n == 0 || n > MOST_PAIRS {
        return None;
    }
    let observed = differences.iter().sum::<f64>().abs();
    let hair = 1e-9 * differences.iter().map(|x| x.abs()).sum::<f64>();
    let patterns = 1u32 << n;
    let as_far = (0..patterns).filter(|pattern| {
        let signed = |(i, x): (usize, &f64)| if pattern >> i & 1 == 1 { -x } else { *x };
        differences.iter().enumerate().map(signed).sum::<f64>().abs() >= observed - hair
    });
    Some(as_far.count() as f64 / f64::from(patterns))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: Option<[f64; 2]>, expected: [f64; 2], by: f64) {
        let got = got.unwrap();
        assert!((got[0] - expected[0]).abs() < by && (got[1] - expected[1]).abs() < by, "{got:?} {expected:?}");
    }

    /// Values from `docs/results/statistics_in_scipy.py`: `scipy.stats.bootstrap(.., method="BCa")` with 1,000,000
    /// resamples.
    #[test]
    fn intervals_are_those_of_scipy() {
        close(estimate(&SIX).interval, SIX_BCA, 0.02);
        close(estimate(&SKEWED).interval, SKEWED_BCA, 0.1);
        assert!((estimate(&SIX).mean - 0.75).abs() < 1e-12);
    }

    /// Values from `scipy.stats.permutation_test(.., permutation_type="samples", n_resamples=inf)`.
    #[test]
    fn sign_flips_are_those_of_scipy() {
        for (differences, expected) in [(&SIX[..], SIX_P), (&SKEWED[..], SKEWED_P), (&MIXED[..], MIXED_P)] {
            assert!((sign_flip(differences).unwrap() - expected).abs() < 1e-12, "{differences:?}");
        }
    }

    const SIX_BCA: [f64; 2] = [0.4833, 1.0000];
    const SKEWED_BCA: [f64; 2] = [0.2375, 1.8062];
    const SIX_P: f64 = 0.03125;
    const SKEWED_P: f64 = 0.007_812_5;
    const MIXED_P: f64 = 0.328_125;
    const SIX: [f64; 6] = [0.7, 1.2, 0.3, 0.9, 0.4, 1.0];
    const SKEWED: [f64; 8] = [0.1, 0.2, 0.15, 3.0, 0.4, 0.05, 0.3, 1.1];
    const MIXED: [f64; 7] = [0.5, -0.2, 0.3, 0.1, -0.4, 0.6, 0.2];

    #[test]
    fn too_few_values_give_no_interval_and_no_p() {
        assert_eq!(estimate(&[3.0]), Estimate { mean: 3.0, interval: None });
        assert_eq!(estimate(&[3.0; 7]).interval, None);
        assert_eq!(estimate(&SIX[..5]).interval, None);
        assert_eq!((sign_flip(&[]), sign_flip(&[1.0; 21])), (None, None));
        // All differences have the same sign: 2/2^n.
        assert_eq!(sign_flip(&[1.0; 5]), Some(2.0 / 32.0));
        assert_eq!(sign_flip(&[0.0; 3]), Some(1.0));
    }

    /// BCa intervals are too narrow for few values. The expected coverage comes from 3,000 samples with another
    /// implementation.
    #[test]
    fn intervals_have_the_documented_coverage() {
        for (n, times) in [(6, 343), (10, 360)] {
            let held = (0..400).filter(|k| {
                let mut stream = Random::new(7).stream(Purpose::Data, *k, n);
                let values: Vec<f64> = (0..n).map(|_| stream.normal()).collect();
                estimate(&values).interval.is_some_and(|[low, high]| low <= 0.0 && 0.0 <= high)
            });
            let held = held.count();
            assert!(held.abs_diff(times) <= 21, "{n}: {held}"); // three standard deviations
        }
    }
}
