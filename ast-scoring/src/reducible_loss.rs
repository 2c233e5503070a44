//! What of the loss can still be learned: `max(0, loss - reference)`, the reference being the loss under a small network
//! that has not seen the sample.
//!
//! RHO-LOSS (Mindermann et al., *Prioritized Training on Points that are Learnable, Worth Learning, and Not Yet Learnt*, ICML
//! 2022). A sample with a wrong label or none that could be told is hard for the reference as well, and counts for little.
//! The paper's score may be negative; here it is 0 then: nothing is left to be learned. The reference is trained by the run,
//! at its start, and charged to it.

use std::iter::zip;

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "reducible-loss",
    summary: "max(0, loss - loss under a small network that has not seen the sample) (RHO-LOSS, 2022)",
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
        // A NaN is not below 0 and stays what it is; a maximum would make it 0.
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
    fn a_loss_that_is_no_number_is_no_zero() {
        let seen = Observation::new(vec![1, 2, 3], vec![f32::NAN, 2.5, 0.5])
            .with(Statistic::ReferenceLoss, vec![1.0, f32::NAN, 1.5]);
        let got = ReducibleLoss.score(&seen, &context()).unwrap();
        assert!(got[0].is_nan() && got[1].is_nan(), "{got:?}");
        assert_eq!(got[2], 0.0);
    }
}
