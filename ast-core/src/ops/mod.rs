//! Tensor operations with a faster implementation on the CPU backend. All other backends use Burn's own operations.
//!
//! Burn's flex backend computes a convolution's gradients through general code that takes several times as long as the
//! arithmetic needs. [`conv_relu_pool`] fuses a convolution with the ReLU and pooling after it, so that an image stays
//! in the cache from padding to pooled output. It uses Burn's own extension mechanism: the same call runs on every
//! backend.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
pub use flex::instruction_set;

use burn::backend::tensor::FloatTensor;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::backend::{Autodiff, Cube, autodiff::checkpoint::strategy::CheckpointStrategy};
use burn::backend::{Backend, Dispatch, Scalar, backend_extension};
use burn::tensor::Tensor;
use burn::tensor::ops::ConvOptions;

/// The function after a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None: the identity.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x Phi(x)`, `Phi` the standard normal distribution function (Hendrycks & Gimpel 2016), in its exact form, as in
    /// PyTorch's default.
    Gelu,
}

/// Stride and padding of a convolution, and the pooling after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Step between windows, `[down, right]`, 1 or more.
    pub stride: [usize; 2],
    /// Zeros on each side, `[above and below, left and right]`.
    pub padding: [usize; 2],
    /// Side of the square, non-overlapping max-pooling windows, 1..=15; 1 means no pooling.
    pub pool: usize,
}

/// A fused convolution, ReLU and max-pooling: `max_pool(relu(convolution(x, weight) + bias))`.
///
/// Shapes: `x` `[batch, channels in, height, width]`, `weight` `[channels out, channels in, kernel height, kernel
/// width]`, `bias` `[channels out]`. The result is `[batch, channels out, ..]`; its sides are `((side + 2 padding -
/// kernel) / stride + 1) / pool`, both divisions rounded down.
#[must_use]
pub fn conv_relu_pool(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, block: Block) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Ops>::conv_relu_pool(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        block,
    ))
}

/// Coefficients of one Adam step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Decay of the first and of the second moment, 0..1.
    pub beta: [f32; 2],
    /// Factor of the first moment that corrects the bias of both moments' start at zero.
    pub correction: f32,
    /// Added to the square root of the second moment.
    pub epsilon: f32,
    /// Learning rate.
    pub lr: f32,
}

/// One step of Adam (Kingma & Ba 2015). Returns the parameter and the first and second moment of its gradient; all
/// tensors have the same shape.
///
/// `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g^2`,
/// `x = x - lr (correction m / (sqrt(v) + epsilon))`.
#[must_use]
pub fn adam<const D: usize>(
    x: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Tensor<D>; 2],
    step: AdamStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let [first, second] = moments.map(Tensor::into_dispatch);
    let (x, first, second) = <Dispatch as Ops>::adam(x.into_dispatch(), gradient.into_dispatch(), first, second, step);
    (Tensor::from_dispatch(x), [first, second].map(Tensor::from_dispatch))
}

/// Operations that a backend may implement itself.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
trait Ops: Backend {
    /// See [`conv_relu_pool`].
    fn conv_relu_pool(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let Block { stride, padding, pool } = block;
        let sums = Self::conv2d(x, weight, Some(bias), ConvOptions::new(stride, padding, [1, 1], 1));
        let output = Self::relu(sums);
        if pool == 1 {
            return output;
        }
        Self::max_pool2d(output, [pool, pool], [pool, pool], [0, 0], [1, 1], false)
    }

    /// See [`adam`].
    fn adam(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let times = |x, factor: f32| Self::float_mul_scalar(x, Scalar::from(factor));
        let decay = |moment, beta: f32, new| Self::float_add(times(moment, beta), times(new, 1.0 - beta));
        let first = decay(first, step.beta[0], gradient.clone());
        let second = decay(second, step.beta[1], Self::float_mul(gradient.clone(), gradient));
        let root = Self::float_add_scalar(Self::float_sqrt(second.clone()), Scalar::from(step.epsilon));
        let delta = times(Self::float_div(times(first.clone(), step.correction), root), step.lr);
        (Self::float_sub(x, delta), first, second)
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl Ops for Cube {}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl<C: CheckpointStrategy> Ops for Autodiff<Cube, C> {}
