/// Share of the budget in which the learning rate rises.
const WARM_UP: f64 = 0.1;

/// Learning rate after a share `spent` (0..=1) of the budget, the same for every policy.
///
/// Rises linearly to `peak` at a tenth of the budget, then falls linearly to 0 at its end. As a function of the share
/// *spent*, it gives every policy a complete schedule over its own budget. Comparisons are often unfair because one
/// side stops early under the schedule of a ten times longer run.
#[must_use]
pub fn learning_rate(peak: f64, spent: f64) -> f64 {
    peak * (spent / WARM_UP).min((1.0 - spent) / (1.0 - WARM_UP)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_to_the_peak_and_falls_to_zero() {
        let points = [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (1.0, 0.0), (1.1, 0.0)];
        for (spent, expected) in points {
            assert!((learning_rate(2e-3, spent) - expected * 2e-3).abs() < 1e-12, "{spent}");
        }
    }
}
