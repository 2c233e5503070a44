//! Operations that Burn leaves to be made faster: the CPU backend gets its own, all others keep Burn's.
//!
//! Burn's flex backend computes a convolution's gradients through general routes that take several times what the
//! arithmetic needs. [`conv_relu_pool`] joins what follows a convolution to it, so that an image stays in the cache from
//! the padding to the pooled output. It is Burn's own extension mechanism: the same call runs on every backend.

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

/// How a convolution walks over its input, and how its output is pooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Step between windows, `[down, right]`, 1 or more.
    pub stride: [usize; 2],
    /// Zeros on each side, `[above and below, left and right]`.
    pub padding: [usize; 2],
    /// Side of the square windows whose maximum is kept, without overlap, 1..=15; 1 keeps everything.
    pub pool: usize,
}

/// `max_pool(relu(convolution(x, weight) + bias))`.
///
/// Shapes: `x` `[batch, channels in, height, width]`, `weight` `[channels out, channels in, kernel height, kernel width]`,
/// `bias` `[channels out]`; the result `[batch, channels out, ..]`, whose sides are
/// `((side + 2 padding - kernel) / stride + 1) / pool`, rounded down twice.
#[must_use]
pub fn conv_relu_pool(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, block: Block) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Ops>::conv_relu_pool(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        block,
    ))
}

/// The numbers of one step of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Decay of the first and of the second moment, 0..1.
    pub beta: [f32; 2],
    /// What the first moment is multiplied with to undo its start at zero, that of the second moment included.
    pub correction: f32,
    /// What is added to the root of the second moment.
    pub epsilon: f32,
    /// Learning rate.
    pub lr: f32,
}

/// A parameter, and the first and second moment of its gradient, after one step of Adam (Kingma & Ba 2015): three
/// tensors of the same shape as the four given.
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

/// What a backend may do in its own way.
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
