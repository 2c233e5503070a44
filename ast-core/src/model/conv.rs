use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::model::network::Weights;
use crate::ops::{self, Block};

/// A 2D convolution with square kernels and without bias, for use before a normalisation.
///
/// Its parameter has PyTorch's name and shape: `weight` `[channels out, channels in, kernel, kernel]`.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[channels out, channels in, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    stride: usize,
    padding: usize,
}

impl Conv {
    /// From `[channels in, channels out]`, the kernel's side, the stride and the zeros on each side.
    pub fn new(channels: [usize; 2], kernel: usize, stride: usize, padding: usize, weights: &mut Weights<'_>) -> Self {
        let weight = weights.draw([channels[1], channels[0], kernel, kernel], channels[0] * kernel * kernel);
        Self { weight, stride, padding }
    }

    /// Like [`new`](Self::new), with initial weights for a ReLU after it: normal with the variance `2 / (channels out
    /// kernel^2)` (He et al. 2015, "fan out"), as torchvision's residual networks have.
    pub fn before_relu(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: usize,
        weights: &mut Weights<'_>,
    ) -> Self {
        let deviation = (2.0 / (channels[1] * kernel * kernel) as f64).sqrt();
        let weight = weights.normal([channels[1], channels[0], kernel, kernel], deviation);
        Self { weight, stride, padding }
    }

    /// `[channels in, channels out]`.
    #[must_use]
    pub fn channels(&self) -> [usize; 2] {
        let [outputs, inputs, ..] = self.weight.dims();
        [inputs, outputs]
    }

    /// Side of the square kernel.
    #[must_use]
    pub fn kernel(&self) -> usize {
        self.weight.dims()[3]
    }

    /// Side of the output for an input of this side; 0 if the kernel does not fit.
    #[must_use]
    pub fn side(&self, input: usize) -> usize {
        (input + 2 * self.padding).checked_sub(self.kernel()).map_or(0, |room| room / self.stride + 1)
    }

    /// Shapes: `[batch, channels in, height, width]` to `[batch, channels out, ..]`, sides by [`side`](Self::side).
    #[must_use]
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.pooled(x, 1)
    }

    /// The convolution, then the maximum of windows of `pool` x `pool`.
    #[must_use]
    pub fn pooled(&self, x: Tensor<4>, pool: usize) -> Tensor<4> {
        let bias = Tensor::zeros([self.channels()[1]], &x.device());
        ops::conv(x, self.weight.val(), bias, self.block(pool))
    }

    pub(crate) fn block(&self, pool: usize) -> Block {
        Block { stride: [self.stride; 2], padding: [self.padding; 2], relu: false, pool }
    }
}
