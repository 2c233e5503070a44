//! How much a sample's loss is changing: high while it is being learned or forgotten, low once it is learned or cannot
//! be.
//!
//! Exponential moving average of the absolute difference between the losses of successive visits, as in evolved
//! sampling and instance-dependent early stopping. The newest difference has weight 0.3. At the first visit the
//! previous loss is taken to be `ln classes`, the loss of a uniform guess.

use std::iter::zip;

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

/// Weight of the newest difference; the ledger uses the same.
const NEWEST: f32 = 0.3;

ast_core::register_scorer! {
    name: "loss-change",
    summary: "smoothed |loss - previous loss|: high while a sample is being learned or forgotten",
    params: &[],
    build: |_| Ok(Box::new(LossChange)),
}

struct LossChange;

impl Scorer for LossChange {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::LastLoss, Statistic::LossChange]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        let losses = zip(seen.loss(), seen.get(Statistic::LastLoss)?);
        let smoothed = |((loss, last), change): ((&f32, &f32), &f32)| {
            let now = (loss - last).abs();
            // The first difference starts the average.
            let weight = if *change == 0.0 { 1.0 } else { NEWEST };
            change + (now - change) * weight
        };
        Ok(zip(losses, seen.get(Statistic::LossChange)?).map(smoothed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    /// No average yet; a rise of 2 and a fall of 2, each with an average of 1; no change with an average of 1.
    #[test]
    fn is_the_smoothed_change() {
        let seen = Observation::new(vec![1, 2, 3, 4], vec![2.0, 3.0, 1.0, 2.0])
            .with(Statistic::LastLoss, vec![2.5, 1.0, 3.0, 2.0])
            .with(Statistic::LossChange, vec![0.0, 1.0, 1.0, 1.0]);
        let got = LossChange.score(&seen, &context()).unwrap();
        for (got, expected) in zip(got, [0.5, 1.3, 1.3, 0.7]) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
    }
}
