//! How exact an accuracy is, from the number of test samples alone.

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Half the width of the 95 % interval of an accuracy, `share` of `samples` in 0..=1, from the number of samples alone. It
/// is Wilson's interval (1927), which does not shrink to nothing at 0 and 1. It says nothing about other seeds.
pub(crate) fn half_width(share: f64, samples: usize) -> f64 {
    let n = samples.max(1) as f64;
    Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt()
}

/// An accuracy in percent with its error: `76.0 +- 3.7 %`.
pub(crate) fn with_error(accuracy: f64, samples: usize) -> String {
    let error = 100.0 * half_width(accuracy / 100.0, samples);
    // As many decimals as mean something.
    let decimals = if error < 0.95 { 2 } else { 1 };
    format!("{accuracy:.decimals$} +- {error:.decimals$} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against SciPy 1.17, `binomtest(count, n).proportion_ci(method="wilson")`.
    #[test]
    fn half_widths_are_those_of_wilson() {
        for (count, n, low, high) in [
            (380, 500, 0.720_673_2, 0.795_362_1),
            (0, 500, 0.0, 0.007_624_3),
            (500, 500, 0.992_375_7, 1.0),
            (7_395, 10_000, 0.730_806_8, 0.748_009_3),
        ] {
            let half = half_width(f64::from(count) / f64::from(n), n as usize);
            assert!((half - (high - low) / 2.0).abs() < 1e-6, "{count} of {n}: {half}");
        }
        assert_eq!(with_error(76.0, 500), "76.0 +- 3.7 %");
        assert_eq!(with_error(73.95, 10_000), "73.95 +- 0.86 %");
    }
}
