//! Reducible loss, `max(0, loss - reference)`: the part of the loss that can still be learned. The reference is the
//! sample's loss under an auxiliary network that has not seen it.
//!
//! RHO-LOSS (Mindermann et al., *Prioritized Training on Points that are Learnable, Worth Learning, and Not Yet
//! Learnt*, ICML 2022). A sample that is mislabelled or ambiguous has a high reference loss too, so its score is low.
//! The paper's score may be negative; here it is then 0, because nothing is left to learn. The run trains the auxiliary
//! networks at its start and charges them to its budget.

use std::iter::zip;

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "reducible-loss",
    family: Literature,
    summary: "max(0, loss - loss under an auxiliary network that has not seen the sample) (RHO-LOSS, 2022)",
    params: &[],
    build: |_| Ok(Box::new(ReducibleLoss)),
}

struct ReducibleLoss;

impl Scorer for ReducibleLoss {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::ReferenceLoss]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        let losses = zip(seen.loss(), seen.get(Statistic::ReferenceLoss)?);
        let excess = losses.map(|(loss, reference)| loss - reference);
        // `max` would turn NaN into 0; this comparison keeps NaN.
        Ok(excess.map(|excess| if excess < 0.0 { 0.0 } else { excess }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    #[test]
    fn is_the_excess_over_the_reference_and_never_below_zero() {
        let seen =
            Observation::new(vec![1, 2, 3], vec![2.5, 0.5, 1.0]).with(Statistic::ReferenceLoss, vec![1.0, 1.5, 1.0]);
        assert_eq!(ReducibleLoss.score(&seen, &context()).unwrap(), [1.5, 0.0, 0.0]);
    }

    #[test]
    fn nan_stays_nan() {
        let seen = Observation::new(vec![1, 2, 3], vec![f32::NAN, 2.5, 0.5])
            .with(Statistic::ReferenceLoss, vec![1.0, f32::NAN, 1.5]);
        let got = ReducibleLoss.score(&seen, &context()).unwrap();
        assert!(got[0].is_nan() && got[1].is_nan(), "{got:?}");
        assert_eq!(got[2], 0.0);
    }
}
