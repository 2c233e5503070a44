use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::model::conv::Conv;
use crate::model::mode::{Mode, Training};
use crate::ops::{self, Activation, Normalised};

/// Batch normalisation (Ioffe & Szegedy 2015) over all dimensions but the second, equal to PyTorch's `BatchNorm2d`.
///
/// In training it normalises by the mean and the biased variance of the batch. The running statistics move towards the
/// batch's mean and *unbiased* variance by the factor `momentum`. The unbiased variance is `n/(n-1)` times the biased
/// one, `n` the number of values per channel. The new running statistics are stored in the [`Mode`] and take effect
/// with the optimizer's step. (Burn's own layer changes them in the forward pass, behind a lock that copies of the
/// network share.) In evaluation it normalises by the running statistics.
///
/// Names and shapes of its parameters are PyTorch's, `[channels]` each.
#[derive(Module, Debug)]
pub struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
    momentum: f64,
    epsilon: f64,
}

impl BatchNorm {
    /// For `channels` channels: weight 1, bias 0, running mean 0, running variance 1, and PyTorch's momentum 0.1 and
    /// epsilon 1e-5.
    #[must_use]
    pub fn new(channels: usize, device: &Device) -> Self {
        let fixed = |value: Tensor<1>| Param::from_tensor(value).set_require_grad(false);
        Self {
            weight: Param::from_tensor(Tensor::ones([channels], device)),
            bias: Param::from_tensor(Tensor::zeros([channels], device)),
            running_mean: fixed(Tensor::zeros([channels], device)),
            running_var: fixed(Tensor::ones([channels], device)),
            momentum: 0.1,
            epsilon: 1e-5,
        }
    }

    /// Sets the factor, 0..=1, by which the running statistics move towards those of a batch.
    #[must_use]
    pub fn with_momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Sets the constant added to the variance, above 0.
    #[must_use]
    pub fn with_epsilon(self, epsilon: f64) -> Self {
        Self { epsilon, ..self }
    }

    /// Keeps the weight at 1.
    #[must_use]
    pub fn without_weight(self) -> Self {
        Self { weight: self.weight.set_require_grad(false), ..self }
    }

    /// Weight and bias.
    #[cfg(test)]
    pub(crate) fn parameters(&self) -> [Tensor<1>; 2] {
        [self.weight.val(), self.bias.val()]
    }

    /// Normalises `x`, `[batch, channels, ...]`, into the same shape.
    #[must_use]
    pub fn forward<const D: usize>(&self, x: Tensor<D>, mode: &mut Mode) -> Tensor<D> {
        let shape = x.dims();
        let others = shape[2..].iter().product();
        let x = self.activate(x.reshape([shape[0], shape[1], others, 1]), None, Activation::None, mode);
        x.reshape(shape)
    }

    /// Sets the running mean and variance, `[channels]` each.
    #[must_use]
    pub fn with_statistics(self, mean: Tensor<1>, variance: Tensor<1>) -> Self {
        let fixed = |value: Tensor<1>| Param::from_tensor(value).set_require_grad(false);
        Self { running_mean: fixed(mean), running_var: fixed(variance), ..self }
    }

    /// Normalises, adds `shortcut` if there is one, and applies the activation: `activation(norm(x) + shortcut)`. All
    /// shapes are `[batch, channels, height, width]`.
    #[must_use]
    pub fn activate(
        &self,
        x: Tensor<4>,
        shortcut: Option<Tensor<4>>,
        activation: Activation,
        mode: &mut Mode,
    ) -> Tensor<4> {
        let Mode::Train(training) = mode else {
            return ops::affine(x, self.scale_and_shift(), shortcut, activation);
        };
        let values = x.shape().num_elements() / x.dims()[1].max(1);
        let parameters = [self.weight.val(), self.bias.val()];
        self.learned(values, ops::batch_norm(x, parameters, shortcut, activation, self.epsilon), training)
    }

    /// The convolution, the maximum of windows of `pool` x `pool`, and [`activate`](Self::activate) of that. It is faster
    /// than the three after each other.
    #[must_use]
    pub fn after(
        &self,
        conv: &Conv,
        pool: usize,
        x: Tensor<4>,
        shortcut: Option<Tensor<4>>,
        activation: Activation,
        mode: &mut Mode,
    ) -> Tensor<4> {
        let (inputs, block) = ([x, conv.weight.val()], conv.block(pool));
        let Mode::Train(training) = mode else {
            return ops::conv_affine(inputs, block, self.scale_and_shift(), shortcut, activation);
        };
        let parameters = [self.weight.val(), self.bias.val()];
        let normalised = ops::conv_batch_norm(inputs, block, parameters, shortcut, activation, self.epsilon);
        let [images, _, height, width] = normalised.output.dims();
        self.learned(images * height * width, normalised, training)
    }

    /// What normalisation by the running statistics is.
    fn scale_and_shift(&self) -> [Tensor<1>; 2] {
        let scale = self.weight.val() / (self.running_var.val() + self.epsilon).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        [scale, shift]
    }

    /// Moves the running statistics towards those of `n` values per channel. Returns the output.
    fn learned(&self, n: usize, normalised: Normalised, training: &mut Training) -> Tensor<4> {
        // The variance cannot be estimated from one value.
        if n > 1 {
            let unbiased = normalised.variance * (n as f64 / (n - 1) as f64);
            let momentum = training.momentum(self.momentum);
            let towards = |old: Tensor<1>, new: Tensor<1>| old * (1.0 - momentum) + new.detach() * momentum;
            training.update(&self.running_mean, |old| towards(old, normalised.mean));
            training.update(&self.running_var, |old| towards(old, unbiased));
        }
        normalised.output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};
    use burn::tensor::Tolerance;

    fn mode() -> Mode {
        Mode::train(Random::new(1).stream(Purpose::Dropout, 0, 0))
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f64> {
        x.into_data().try_into_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
    }

    /// Two channels of four values each, compared with sums by hand: biased variances 1.25 and 125, unbiased 5/3 and
    /// 500/3.
    #[test]
    fn training_normalises_by_the_batch_and_leaves_the_layer_unchanged() {
        let device = Device::flex();
        let x = [[[[1.0, 2.0]], [[10.0, 20.0]]], [[[3.0, 4.0]], [[30.0, 40.0]]]];
        let norm = BatchNorm::new(2, &device);
        let mut mode = mode();
        let got = norm.forward(Tensor::<4>::from_data(x, &device), &mut mode);
        let by_hand = |value: f64, mean: f64, biased: f64| ((value - mean) / (biased + 1e-5_f64).sqrt()) as f32;
        let expected = x.map(|sample| {
            [sample[0][0].map(|v| by_hand(v, 2.5, 1.25)), sample[1][0].map(|v| by_hand(v, 25.0, 125.0))]
                .map(|row| [row])
        });
        got.into_data()
            .assert_approx_eq::<f32>(&Tensor::<4>::from_data(expected, &device).into_data(), Tolerance::absolute(1e-5));
        assert_eq!(values(norm.running_mean.val()), [0.0, 0.0], "until it is applied");
        let norm = mode.into_statistics().apply(norm);
        let close = |got: Vec<f64>, expected: [f64; 2]| {
            got.iter()
                .zip(expected)
                .for_each(|(got, expected)| assert!((got - expected).abs() < 1e-4, "{got} {expected}"));
        };
        close(values(norm.running_mean.val()), [0.25, 2.5]);
        close(values(norm.running_var.val()), [0.9 + 0.5 / 3.0, 0.9 + 50.0 / 3.0]);
    }

    #[test]
    fn evaluation_uses_the_running_statistics() {
        let device = Device::flex();
        let mut norm = BatchNorm::new(1, &device).with_epsilon(1e-12);
        norm.running_mean = Param::from_tensor(Tensor::from_data([3.0], &device));
        norm.running_var = Param::from_tensor(Tensor::from_data([4.0], &device));
        let x = Tensor::<2>::from_data([[5.0], [3.0], [-1.0]], &device);
        assert_eq!(values(norm.forward(x, &mut Mode::Eval)), [1.0, 0.0, -2.0]);
    }

    /// A layer that is used twice in a pass moves its statistics twice. A single value has no variance and moves
    /// nothing.
    #[test]
    fn statistics_accumulate_within_a_pass() {
        let device = Device::flex();
        let norm = BatchNorm::new(1, &device).with_momentum(0.5);
        let mut both = mode();
        for x in [[[2.0], [4.0]], [[6.0], [8.0]]] {
            let _ = norm.forward(Tensor::<2>::from_data(x, &device), &mut both);
        }
        let norm = both.into_statistics().apply(norm);
        assert_eq!(values(norm.running_mean.val()), [0.5 * (0.5 * 3.0) + 0.5 * 7.0]);
        let mut single = mode();
        let _ = norm.forward(Tensor::<2>::from_data([[9.0]], &device), &mut single);
        assert_eq!(values(single.into_statistics().apply(norm).running_var.val()), [0.5 * (0.5 * 1.0 + 1.0) + 1.0]);
    }

    /// Gradients with respect to input, weight and bias equal finite differences of the loss. Running statistics have
    /// none.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(2, &device);
        let x = [[0.3, -1.2], [0.8, 0.4], [-0.5, 2.0]];
        let weights = Tensor::<2>::from_data([[1.0, 2.0], [-1.0, 0.5], [0.7, -0.3]], &device);
        let loss = |x: Tensor<2>| (norm.forward(x, &mut mode()) * weights.clone()).sum();
        let input = Tensor::<2>::from_data(x, &device).require_grad();
        let gradients = loss(input.clone()).backward();
        let got = values(input.grad(&gradients).unwrap());
        for (i, got) in got.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut x = x;
                x[i / 2][i % 2] += by;
                f64::from(loss(Tensor::from_data(x, &device)).into_scalar::<f32>())
            };
            let expected = (moved(1e-2) - moved(-1e-2)) / 2e-2;
            assert!((got - expected).abs() < 2e-2, "{i}: {got} {expected}");
        }
        assert!(norm.weight.val().grad(&gradients).is_some() && norm.bias.val().grad(&gradients).is_some());
        assert!(norm.running_mean.val().grad(&gradients).is_none());
    }
}
