//! A small network with batch normalisation.

use ast_core::burn;
use ast_core::burn::module::{Module, Param};
use ast_core::burn::nn::conv::{Conv2d, Conv2dConfig};
use ast_core::burn::tensor::Tensor;
use ast_core::burn::tensor::activation::relu;
use ast_core::data::Shape;
use ast_core::model::{BatchNorm, Forward, Input, LayerCost, Mode, Model, Network, NetworkError, Weights};
use ast_core::plugin::Params;

/// A convolution, batch normalisation, and a linear layer over the mean of each channel.
#[derive(Module, Debug)]
pub(crate) struct Normalised {
    conv: Conv2d,
    norm: BatchNorm,
    weight: Param<Tensor<2>>,
}

impl Normalised {
    /// The input of the normalisation.
    pub(crate) fn before_norm(&self, images: Tensor<4>) -> Tensor<4> {
        self.conv.forward(images)
    }

    /// The network with these running statistics, `[channels]` each.
    pub(crate) fn with_statistics(mut self, mean: Tensor<1>, variance: Tensor<1>) -> Self {
        self.norm = self.norm.with_statistics(mean, variance);
        self
    }
}

impl Model for Normalised {
    fn forward(&self, input: Input, mode: &mut Mode) -> Forward {
        let Input::Image(x) = input else { unreachable!() };
        let x = relu(self.norm.forward(self.conv.forward(x), mode));
        let features: Tensor<2> = x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2);
        Forward { logits: features.clone().matmul(self.weight.val()), features: Some(features) }
    }

    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        match shape {
            Shape::Image([3, height, width]) if height > 2 && width > 2 => Ok(vec![
                LayerCost::convolution("conv", [3, 4], 3, (height - 2) * (width - 2)).first(),
                LayerCost::linear("linear", self.weight.dims()),
            ]),
            _ => Err(NetworkError::Shape { shape, needs: "it takes images with 3 channels, larger than 2 x 2" }),
        }
    }
}

impl Network for Normalised {
    const NAME: &'static str = "normalised";
    const SUMMARY: &'static str = "a convolution with batch normalisation";

    fn build(_: &Params, shape: Shape, classes: usize, mut weights: Weights<'_>) -> Result<Self, NetworkError> {
        let mut conv = Conv2dConfig::new([3, 4], [3, 3]).with_bias(false).init(weights.device());
        conv.weight = weights.draw([4, 3, 3, 3], 27);
        let norm = BatchNorm::new(4, weights.device());
        let network = Self { conv, norm, weight: weights.draw([4, classes], 4) };
        network.layers(shape).map(|_| network)
    }
}
