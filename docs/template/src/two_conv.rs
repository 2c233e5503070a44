//! Two 3x3 convolutions with batch normalisation, the mean over all places, and a linear layer. Takes images of any size.

use ast_core::burn; // what `derive(Module)` writes names the crate `burn`
use ast_core::burn::module::{Module, Param};
use ast_core::burn::tensor::Tensor;
use ast_core::burn::tensor::activation::relu;
use ast_core::burn::tensor::module::conv2d;
use ast_core::burn::tensor::ops::ConvOptions;
use ast_core::data::Shape;
use ast_core::model::{BatchNorm, Forward, Input, LayerCost, Mode, Model, Network, NetworkError, Weights};
use ast_core::plugin::{ParamKind, ParamSpec, Params};

ast_core::register_network!(TwoConv);

/// Its parameters, with their shapes.
#[derive(Module, Debug)]
pub struct TwoConv {
    /// `[width, channels, 3, 3]`, at every place.
    conv1: Param<Tensor<4>>,
    norm1: BatchNorm,
    /// `[2 width, width, 3, 3]`, at every other row and column.
    conv2: Param<Tensor<4>>,
    norm2: BatchNorm,
    /// `[2 width, classes]`.
    linear: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Network for TwoConv {
    const NAME: &'static str = "two-conv";
    const SUMMARY: &'static str = "two convolutions with batch normalisation, the mean over all places, a linear layer";
    const PARAMS: &'static [ParamSpec] = &[ParamSpec {
        name: "width",
        summary: "channels of the first convolution; the second has twice as many",
        kind: ParamKind::Integer { default: 16, min: 1, max: 512 },
    }];

    fn build(params: &Params, shape: Shape, classes: usize, mut weights: Weights<'_>) -> Result<Self, NetworkError> {
        let Shape::Image([channels, ..]) = shape else { return Err(refusal(shape)) };
        let width = params.integer("width")? as usize;
        // Weights are drawn here and nowhere else: a layer of Burn's own would be different in every run.
        let network = Self {
            conv1: weights.draw([width, channels, 3, 3], 9 * channels),
            norm1: BatchNorm::new(width, weights.device()),
            conv2: weights.draw([2 * width, width, 3, 3], 9 * width),
            norm2: BatchNorm::new(2 * width, weights.device()),
            linear: weights.draw([2 * width, classes], 2 * width),
            bias: weights.draw([classes], 2 * width),
        };
        network.layers(shape).map(|_| network)
    }
}

impl Model for TwoConv {
    fn forward(&self, input: Input, mode: &mut Mode) -> Forward {
        let Input::Image(x) = input else { unreachable!("`layers` refuses text") };
        let x = relu(self.norm1.forward(convolution(x, &self.conv1, 1), mode));
        let x = relu(self.norm2.forward(convolution(x, &self.conv2, 2), mode));
        let features: Tensor<2> = x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2);
        let logits = features.clone().matmul(self.linear.val()) + self.bias.val().unsqueeze();
        Forward { logits, features: Some(features) }
    }

    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        let [width, channels, ..] = self.conv1.dims();
        match shape {
            Shape::Image([given, height, columns]) if given == channels && height > 0 && columns > 0 => Ok(vec![
                LayerCost::convolution("conv1", [channels, width], 3, height * columns).first(),
                LayerCost::convolution("conv2", [width, 2 * width], 3, height.div_ceil(2) * columns.div_ceil(2)),
                LayerCost::linear("linear", self.linear.dims()),
            ]),
            _ => Err(refusal(shape)),
        }
    }
}

fn refusal(shape: Shape) -> NetworkError {
    NetworkError::Shape { shape, needs: "it takes images, with the number of channels that it was built for" }
}

/// 3x3 with a border of zeros.
fn convolution(x: Tensor<4>, kernel: &Param<Tensor<4>>, stride: usize) -> Tensor<4> {
    conv2d(x, kernel.val(), None, ConvOptions::new([stride; 2], [1; 2], [1; 2], 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::burn::tensor::Device;
    use ast_core::random::Random;
    use ast_core::testing::check_network;

    /// Width 2 on 3 x 5 x 4, counted by hand: 20 places, then 3 x 2.
    #[test]
    fn the_cost_is_that_of_its_layers() {
        let (shape, device) = (Shape::Image([3, 5, 4]), Device::flex());
        let params = Params::resolve(TwoConv::PARAMS, &[("width".to_string(), 2.into())].into()).unwrap();
        let network = TwoConv::build(&params, shape, 7, Weights::new(Random::new(1), &device)).unwrap();
        let costs: Vec<u64> = network.layers(shape).unwrap().iter().map(|layer| layer.forward).collect();
        assert_eq!(costs, [2 * 27 * 2 * 20, 2 * 18 * 4 * 6, 2 * 4 * 7]);
    }

    #[test]
    fn keeps_the_contract() {
        let device = Device::flex().autodiff();
        check_network::<TwoConv>(&[], Shape::Image([3, 8, 8]), 4, &device);
        check_network::<TwoConv>(&[("width", 1.into())], Shape::Image([1, 5, 4]), 2, &device);
    }
}
