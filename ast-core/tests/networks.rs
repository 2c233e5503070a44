//! Every network keeps the contract: those of the registry, one with normalisation, one that reads text.
#![forbid(unsafe_code)]

use ast_core::burn;
use ast_core::burn::module::{Module, Param};
use ast_core::burn::nn::conv::{Conv2d, Conv2dConfig};
use ast_core::burn::tensor::activation::relu;
use ast_core::burn::tensor::{Device, Int, Tensor};
use ast_core::data::Shape;
use ast_core::model::zoo::SimpleCnn;
use ast_core::model::{BatchNorm, Forward, Input, LayerCost, Mode, Model, Network, NetworkError, Weights};
use ast_core::plugin::{Params, Registry};
use ast_core::random::Random;
use ast_core::testing::check_network;
use ast_core::train::BuildNetwork;

fn device() -> Device {
    Device::flex().autodiff()
}

/// A convolution, batch normalisation, and a linear layer over the mean of each channel.
#[derive(Module, Debug)]
struct Normalised {
    conv: Conv2d,
    norm: BatchNorm,
    weight: Param<Tensor<2>>,
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

/// The next token by the present one alone: a table of logits.
#[derive(Module, Debug)]
struct Bigram {
    table: Param<Tensor<2>>,
}

impl Model for Bigram {
    fn forward(&self, input: Input, _: &mut Mode) -> Forward {
        let Input::Tokens(tokens) = input else { unreachable!() };
        let rows: Tensor<1, Int> = tokens.flatten(0, 1);
        Forward { logits: self.table.val().select(0, rows), features: None }
    }

    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        match shape {
            Shape::Tokens(context) => Ok(vec![LayerCost::linear("table", [context, self.table.dims()[1]]).first()]),
            Shape::Image(_) => Err(NetworkError::Shape { shape, needs: "it takes text" }),
        }
    }

    fn has_features(&self) -> bool {
        false
    }
}

impl Network for Bigram {
    const NAME: &'static str = "bigram";
    const SUMMARY: &'static str = "a table of logits";

    fn build(_: &Params, shape: Shape, classes: usize, mut weights: Weights<'_>) -> Result<Self, NetworkError> {
        let network = Self { table: weights.draw([classes, classes], classes) };
        network.layers(shape).map(|_| network)
    }
}

#[test]
fn simple_cnn_keeps_the_contract() {
    check_network::<SimpleCnn>(&[], Shape::Image([3, 8, 8]), 2, &device());
}

#[test]
fn a_network_with_batch_normalisation_keeps_the_contract() {
    check_network::<Normalised>(&[], Shape::Image([3, 6, 5]), 3, &device());
}

#[test]
fn a_network_that_reads_text_keeps_the_contract() {
    check_network::<Bigram>(&[], Shape::Tokens(7), 11, &device());
}

#[test]
fn images_that_a_network_does_not_take_are_refused() {
    let networks = Registry::<BuildNetwork>::linked().unwrap();
    assert!(networks.get("resnet-nonsense").unwrap_err().to_string().contains("there are: simple-cnn"));
    let (device, params) = (device(), Params::default());
    for shape in [[3, 6, 8], [1, 8, 8], [3, 0, 8]].map(Shape::Image).into_iter().chain([Shape::Tokens(4)]) {
        let error = SimpleCnn::build(&params, shape, 10, Weights::new(Random::new(1), &device)).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&shape.to_string()) && error.contains("multiples of 4"), "{error}");
    }
}
