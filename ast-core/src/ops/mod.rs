//! Operations that Burn leaves to be made faster: the CPU backend gets its own, all others keep Burn's.
//!
//! Burn's flex backend computes a convolution's gradients through general routes that take several times what the
//! arithmetic needs. [`conv_relu_pool`] joins what follows a convolution to it, so that an image stays in the cache from
//! the padding to the pooled output. It is Burn's own extension mechanism: the same call runs on every backend.

#[cfg(feature = "flex")]
mod flex;

use burn::backend::tensor::FloatTensor;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::backend::{Autodiff, Cube, autodiff::checkpoint::strategy::CheckpointStrategy};
use burn::backend::{Backend, Dispatch, backend_extension};
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
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl Ops for Cube {}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl<C: CheckpointStrategy> Ops for Autodiff<Cube, C> {}
