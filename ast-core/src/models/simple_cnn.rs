//! The small network of the original script: three 3x3 convolutions and two linear layers, 2.2 million parameters.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use crate::model::{Forward, Input, LayerCost, Mode, Model, Weights, dropout};
use crate::ops::{Block, conv_relu_pool};

const CHANNELS: [usize; 4] = [3, 32, 64, 128];
const HIDDEN: usize = 256;
const DROPOUT: f64 = 0.5;

/// Convolutions 3-32-64-128 (3x3, same padding, ReLU), max-pool 2x2 after the second and third, linear
/// (128 h/4 w/4)-256-classes with dropout 0.5 between them.
#[derive(Module, Debug)]
pub struct SimpleCnn {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    linear1: Linear,
    linear2: Linear,
    places: usize,
}

impl SimpleCnn {
    /// For images of `[3, height, width]`, height and width multiples of 4.
    #[must_use]
    pub fn new(shape: [usize; 3], classes: usize, mut weights: Weights<'_>) -> Self {
        let places = shape[1] * shape[2];
        let flat = CHANNELS[3] * places / 16;
        Self {
            conv1: convolution([CHANNELS[0], CHANNELS[1]], &mut weights),
            conv2: convolution([CHANNELS[1], CHANNELS[2]], &mut weights),
            conv3: convolution([CHANNELS[2], CHANNELS[3]], &mut weights),
            linear1: linear([flat, HIDDEN], &mut weights),
            linear2: linear([HIDDEN, classes], &mut weights),
            places,
        }
    }
}

fn convolution(channels: [usize; 2], weights: &mut Weights<'_>) -> Conv2d {
    let config = Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same);
    let mut conv = config.init(weights.device());
    conv.weight = weights.draw([channels[1], channels[0], 3, 3], 9 * channels[0]);
    conv.bias = Some(weights.draw([channels[1]], 9 * channels[0]));
    conv
}

/// Same padding, ReLU, and the maximum of windows of `pool` x `pool`.
fn block(conv: &Conv2d, x: Tensor<4>, pool: usize) -> Tensor<4> {
    let bias = conv.bias.as_ref().expect("made with a bias").val();
    conv_relu_pool(x, conv.weight.val(), bias, Block { stride: [1, 1], padding: [1, 1], pool })
}

fn linear(widths: [usize; 2], weights: &mut Weights<'_>) -> Linear {
    let mut linear = LinearConfig::new(widths[0], widths[1]).init(weights.device());
    linear.weight = weights.draw(widths, widths[0]);
    linear.bias = Some(weights.draw([widths[1]], widths[0]));
    linear
}

impl Model for SimpleCnn {
    fn forward(&self, input: Input, mode: Mode<'_>) -> Forward {
        let Input::Image(x) = input;
        let x = block(&self.conv1, x, 1);
        let x = block(&self.conv2, x, 2);
        let x = block(&self.conv3, x, 2);
        let x = relu(self.linear1.forward(x.flatten::<2>(1, 3)));
        let features = dropout(x, DROPOUT, mode);
        Forward { logits: self.linear2.forward(features.clone()), features }
    }

    fn layers(&self) -> Vec<LayerCost> {
        let [c0, c1, c2, c3] = CHANNELS;
        let [flat, hidden] = self.linear1.weight.dims();
        let [_, classes] = self.linear2.weight.dims();
        vec![
            LayerCost::convolution("conv1", [c0, c1], 3, self.places).first(),
            LayerCost::convolution("conv2", [c1, c2], 3, self.places),
            LayerCost::convolution("conv3", [c2, c3], 3, self.places / 4),
            LayerCost::linear("linear1", [flat, hidden]),
            LayerCost::linear("linear2", [hidden, classes]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};
    use burn::tensor::Device;

    fn model(device: &Device) -> SimpleCnn {
        SimpleCnn::new([3, 32, 32], 10, Weights::new(Random::new(1), device))
    }

    #[test]
    fn shapes_parameters_and_flops_are_those_of_the_design() {
        let device = Device::flex();
        let model = model(&device);
        // 896 + 18,496 + 73,856 + 2,097,408 + 2,570
        assert_eq!(model.num_params(), 2_193_226);
        let layers = model.layers();
        let forward: u64 = layers.iter().map(|l| l.forward).sum();
        // 2 x (27 x 32 x 1024 + 288 x 64 x 1024 + 576 x 128 x 256 + 8192 x 256 + 256 x 10)
        assert_eq!(forward, 81_466_368);
        let step: u64 = layers.iter().map(|l| l.forward + l.weight_gradient + l.input_gradient).sum();
        assert_eq!(step, 3 * forward - 2 * 27 * 32 * 1024);
        let out = model.forward(Input::Image(Tensor::zeros([2, 3, 32, 32], &device)), Mode::Eval);
        assert_eq!(out.logits.dims(), [2, 10]);
        assert_eq!(out.features.dims(), [2, 256]);
    }

    #[test]
    fn the_same_seed_gives_the_same_weights_and_masks() {
        let device = Device::flex();
        let input = || Input::Image(Tensor::ones([2, 3, 32, 32], &device));
        let logits = |seed| {
            let mut stream = Random::new(seed).stream(Purpose::Dropout, 0, 0);
            model(&device).forward(input(), Mode::Train(&mut stream)).logits.into_data()
        };
        assert_eq!(logits(1), logits(1));
        assert_ne!(logits(1), logits(2));
    }
}
