//! Near chance: when a network's accuracy is hardly better than guessing.

use ast_core::run::TestSet;

/// The accuracy, percent, below which a network counts as near chance: twice that of guessing or, if that is lower, an
/// eighth of the way from guessing to 100 %; but at least what guessing reaches by luck on few test images, three
/// binomial standard errors above its mean.
pub(super) fn bound(test: TestSet) -> f64 {
    let guess = guess(test) / 100.0;
    let learned = (2.0 * guess).min(guess + (1.0 - guess) / 8.0);
    let luck = guess + 3.0 * (guess * (1.0 - guess) / test.samples.max(1) as f64).sqrt();
    100.0 * learned.max(luck)
}

/// Accuracy of guessing, percent.
pub(super) fn guess(test: TestSet) -> f64 {
    100.0 / test.classes.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_above_guessing_and_below_what_a_trained_network_reaches() {
        let of = |classes, samples| bound(TestSet { samples, classes });
        assert!((of(10, 10_000) - 20.0).abs() < 1e-9);
        assert!((of(100, 10_000) - 2.0).abs() < 1e-9);
        assert!((of(2, 10_000) - 56.25).abs() < 1e-9);
        // Guessing ten classes on 32 images: 10 % and three times 5.3 %.
        assert!((of(10, 32) - 25.91).abs() < 0.01);
    }
}
