//! `1 - max p`: what the network would not bet on.
//!
//! No [`Statistic`](ast_core::score::Statistic) holds `max p`, so this scorer takes it from the tensors, on the device.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{OnDevice, ScoreContext, ScoreError, TensorScorer, Tensors};

ast_core::register_scorer! {
    name: "least-confident",
    summary: "1 - max p: how little the network would bet on its answer",
    params: &[],
    build: |_| Ok(Box::new(OnDevice(LeastConfident))),
}

struct LeastConfident;

impl TensorScorer for LeastConfident {
    fn score(&self, tensors: &Tensors, _: &ScoreContext) -> Result<Tensor<1>, ScoreError> {
        let most_likely = tensors.probabilities().max_dim(1).squeeze_dim::<1>(1);
        Ok(1.0 - most_likely)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::burn::tensor::{Device, Int};
    use ast_core::testing::{check_tensor_scorer, context};

    /// Logits 0 and ln 3 are probabilities 1/4 and 3/4; equal logits are 1/2 and 1/2.
    #[test]
    fn is_what_the_most_likely_class_leaves() {
        let device = Device::flex();
        let tensors = Tensors {
            logits: Tensor::from_data([[0.0_f32, 3_f32.ln()], [2.0, 2.0]], &device),
            targets: Tensor::<1, Int>::from_data([0, 1], &device),
            features: Tensor::zeros([2, 1], &device),
        };
        let got: Vec<f32> = LeastConfident.score(&tensors, &context()).unwrap().into_data().try_into_vec().unwrap();
        assert!((got[0] - 0.25).abs() < 1e-6 && (got[1] - 0.5).abs() < 1e-6, "{got:?}");
    }

    #[test]
    fn keeps_the_contract() {
        check_tensor_scorer(&LeastConfident, &Device::flex());
    }
}
