//! `|p - onehot(y)| sqrt(1 + |h|^2)`: the exact norm of the loss's gradient by the last linear layer, bias included.
//!
//! With logits `W h + b` the gradient by `b` is `p - onehot(y)` and the one by `W` is its outer product with `h`. GraNd of
//! the last layer in DeepCore (Guo, Zhao & Bai 2022). The bound of Katharopoulos & Fleuret, *Not All Samples Are Created
//! Equal*, ICML 2018, is the gradient by the logits, without `h`: that is `el2n`.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, Needs, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "grad-norm",
    summary: "|p - onehot(y)| sqrt(1 + |h|^2): exact gradient norm of the last layer (GraNd of the last layer, DeepCore 2022)",
    params: &[],
    build: |_| Ok(Box::new(GradNorm)),
}

struct GradNorm;

impl Scorer for GradNorm {
    fn needs(&self) -> Needs {
        Needs { features: true, ..Needs::default() }
    }

    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        let h = seen.features.clone().ok_or(ScoreError::Missing("features"))?;
        let error = (seen.probabilities() - seen.one_hot()).powi_scalar(2).sum_dim(1);
        let input = h.powi_scalar(2).sum_dim(1) + 1.0;
        Ok((error * input).sqrt().squeeze_dim(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::values;
    use ast_core::burn::tensor::{Device, Int, TensorData};
    use ast_core::model::{Mode, dropout};
    use ast_core::random::{Purpose, Random};
    use ast_core::score::cross_entropy;
    use ast_core::testing::context;

    const BATCH: usize = 6;
    const WIDTH: usize = 12;
    const CLASSES: usize = 5;

    /// Against what autodiff computes for the last layer, sample by sample, in a forward pass with dropout.
    #[test]
    fn is_the_gradient_of_the_last_layer() {
        let device = Device::flex().autodiff();
        let mut stream = Random::new(4).stream(Purpose::Data, 0, 0);
        let mut normal = |shape: [usize; 2]| {
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(|_| stream.normal() as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let (input, weight, bias) = (normal([BATCH, WIDTH]), normal([WIDTH, CLASSES]), normal([1, CLASSES]));
        let targets = Tensor::<1, Int>::from_data([0, 1, 2, 3, 4, 0], &device);
        let mut masks = Random::new(5).stream(Purpose::Dropout, 0, 0);
        let h = dropout(input, 0.5, Mode::Train(&mut masks));

        let logits = h.clone().matmul(weight.clone()) + bias.clone();
        let seen = Observation {
            ids: (0..BATCH as u32).collect(),
            loss: cross_entropy(logits.clone(), targets.clone()).inner(),
            logits: logits.inner(),
            targets: targets.clone().inner(),
            features: Some(h.clone().inner()),
            input_std: None,
            history: None,
            reference: None,
        };
        let got = values(GradNorm.score(&seen, &context()).unwrap());

        for (i, got) in got.into_iter().enumerate() {
            let (weight, bias) = (weight.clone().require_grad(), bias.clone().require_grad());
            let row = h.clone().slice([i..i + 1, 0..WIDTH]).matmul(weight.clone()) + bias.clone();
            let gradients = cross_entropy(row, targets.clone().slice(i..i + 1)).sum().backward();
            let squares = |gradient: Tensor<2>| gradient.powi_scalar(2).sum().into_scalar::<f32>();
            let expected = (squares(weight.grad(&gradients).unwrap()) + squares(bias.grad(&gradients).unwrap())).sqrt();
            assert!((got - expected).abs() < 1e-4 * expected, "{got} {expected}");
        }
    }
}
