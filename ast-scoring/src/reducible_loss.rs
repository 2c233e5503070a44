//! What of the loss can still be learned: `max(0, loss - reference)`, the reference being the loss under a small network
//! that has not seen the sample.
//!
//! RHO-LOSS (Mindermann et al., *Prioritized Training on Points that are Learnable, Worth Learning, and Not Yet Learnt*, ICML
//! 2022). A sample with a wrong label or none that could be told is hard for the reference as well, and counts for little.
//! The paper's score may be negative; here it is 0 then: nothing is left to be learned. The reference is trained by the run,
//! at its start, and charged to it.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, Needs, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "reducible-loss",
    summary: "max(0, loss - loss under a small network that has not seen the sample) (RHO-LOSS, 2022)",
    params: &[],
    build: |_| Ok(Box::new(ReducibleLoss)),
}

struct ReducibleLoss;

impl Scorer for ReducibleLoss {
    fn needs(&self) -> Needs {
        Needs { reference: true, ..Needs::default() }
    }

    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        let reference = seen.reference.clone().ok_or(ScoreError::Missing("reference"))?;
        let excess = seen.loss.clone() - reference;
        // A NaN is not below 0 and stays what it is; a maximum might make it 0.
        let nothing = excess.clone().lower_elem(0.0);
        Ok(excess.mask_fill(nothing, 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::values;
    use ast_core::burn::tensor::Device;
    use ast_core::testing::{context, observation};

    #[test]
    fn is_the_excess_over_the_reference_and_never_below_zero() {
        let mut seen = observation(40, 10, 5, &Device::flex());
        let got = values(ReducibleLoss.score(&seen, &context()).unwrap());
        let (loss, reference) = (values(seen.loss.clone()), values(seen.reference.clone().unwrap()));
        let mut zeros = 0;
        for i in 0..40 {
            assert_eq!(got[i], if loss[i] > reference[i] { loss[i] - reference[i] } else { 0.0 });
            zeros += usize::from(got[i] == 0.0);
        }
        assert!((5..35).contains(&zeros), "{zeros}");
        seen.reference = None;
        assert!(ReducibleLoss.score(&seen, &context()).unwrap_err().to_string().contains("reference"));
    }

    #[test]
    fn a_loss_that_is_no_number_is_no_zero() {
        let mut seen = observation(2, 10, 5, &Device::flex());
        seen.loss = seen.loss.full_like(f32::NAN);
        assert!(values(ReducibleLoss.score(&seen, &context()).unwrap()).iter().all(|score| score.is_nan()));
    }
}
