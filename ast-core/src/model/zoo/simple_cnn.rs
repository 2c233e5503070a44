//! SimpleCNN, the network of the original script: three 3x3 convolutions and two linear layers, 2.2 million parameters.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;

use crate::data::Shape;
use crate::model::cost::LayerCost;
use crate::model::mode::{Mode, dropout};
use crate::model::network::{Forward, Input, Model, Network, NetworkError, Weights};
use crate::ops::{self, Block};
use crate::plugin::{ParamKind, ParamSpec, Params};

/// Channels after the first convolution, as in the original script.
const WIDTH: usize = 32;
/// Width of the proxy in sixteenths: its inner layers cost (3/16)^2 = 3.5 %, the first and the last cost more.
const NARROW: usize = 3;
const DROPOUT: f64 = 0.5;

/// Convolutions to 32, 64 and 128 channels (3x3, same padding, ReLU), max-pool 2x2 after the second and third, then linear
/// layers (128 h/4 w/4)-256-classes with dropout 0.5 between them.
#[derive(Module, Debug)]
pub struct SimpleCnn {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    linear1: Linear,
    linear2: Linear,
    /// Height of the input images.
    height: usize,
    width: usize,
}

/// Number of channels before the first and after each convolution, and width of the hidden layer.
#[derive(Clone, Copy)]
struct Widths {
    channels: [usize; 4],
    hidden: usize,
}

impl Widths {
    fn new(channels: usize, width: usize) -> Self {
        Self { channels: [channels, width, 2 * width, 4 * width], hidden: 8 * width }
    }
}

impl Network for SimpleCnn {
    const NAME: &'static str = "simple-cnn";
    const SUMMARY: &'static str = "three 3x3 convolutions and two linear layers, 2.2 million parameters on CIFAR-10; the network of the original script";
    const PARAMS: &'static [ParamSpec] = &[ParamSpec {
        name: "width",
        summary: "channels of the first convolution; the others have two and four times as many, the hidden layer eight times",
        kind: ParamKind::Integer { default: WIDTH as u32, min: 1, max: 1024 },
    }];

    fn build(params: &Params, shape: Shape, classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError> {
        let width = params.integer("width")? as usize;
        match shape {
            Shape::Image([channels, sides @ ..])
                if channels > 0 && sides.iter().all(|side| *side > 0 && side.is_multiple_of(4)) =>
            {
                Ok(Self::of_widths(Widths::new(channels, width), sides, classes, weights))
            }
            _ => {
                let needs = "it takes images whose height and width are multiples of 4";
                Err(NetworkError::Shape { shape, needs })
            }
        }
    }
}

impl SimpleCnn {
    /// Of the default width, for images of `[channels, height, width]`, height and width multiples of 4.
    #[must_use]
    pub fn new([channels, height, width]: [usize; 3], classes: usize, weights: Weights<'_>) -> Self {
        Self::of_widths(Widths::new(channels, WIDTH), [height, width], classes, weights)
    }

    fn of_widths(widths: Widths, [height, width]: [usize; 2], classes: usize, mut weights: Weights<'_>) -> Self {
        let Widths { channels: [c0, c1, c2, c3], hidden } = widths;
        Self {
            conv1: convolution([c0, c1], &mut weights),
            conv2: convolution([c1, c2], &mut weights),
            conv3: convolution([c2, c3], &mut weights),
            linear1: weights.linear([c3 * height * width / 16, hidden]),
            linear2: weights.linear([hidden, classes]),
            height,
            width,
        }
    }

    fn widths(&self) -> Widths {
        let [c1, c0, ..] = self.conv1.weight.dims();
        let [c3, c2, ..] = self.conv3.weight.dims();
        Widths { channels: [c0, c1, c2, c3], hidden: self.linear2.weight.dims()[0] }
    }
}

fn convolution(channels: [usize; 2], weights: &mut Weights<'_>) -> Conv2d {
    let config = Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same);
    let mut conv = config.init(weights.device());
    conv.weight = weights.draw([channels[1], channels[0], 3, 3], 9 * channels[0]);
    conv.bias = Some(weights.draw([channels[1]], 9 * channels[0]));
    conv
}

/// Convolution with same padding, ReLU, and max-pooling over windows of `pool` x `pool`.
fn block(conv: &Conv2d, x: Tensor<4>, pool: usize) -> Tensor<4> {
    let bias = conv.bias.as_ref().expect("made with a bias").val();
    ops::conv(x, conv.weight.val(), bias, Block { stride: [1, 1], padding: [1, 1], relu: true, pool })
}

impl SimpleCnn {
    fn convolve(&self, x: Tensor<4>) -> Tensor<4> {
        let x = block(&self.conv1, x, 1);
        let x = block(&self.conv2, x, 2);
        block(&self.conv3, x, 2)
    }

    fn classify(&self, x: Tensor<4>, mode: &mut Mode) -> Forward {
        let x = relu(self.linear1.forward(x.flatten::<2>(1, 3)));
        let features = dropout(x, DROPOUT, mode);
        Forward { logits: self.linear2.forward(features.clone()), features: Some(features) }
    }

    /// The layers for images with `places` pixels. The linear layers are the same at half resolution.
    fn layers_at(&self, places: usize) -> Vec<LayerCost> {
        let Widths { channels: [c0, c1, c2, c3], hidden } = self.widths();
        let (flat, classes) = (c3 * self.height * self.width / 16, self.linear2.weight.dims()[1]);
        vec![
            LayerCost::convolution("conv1", [c0, c1], 3, places).first(),
            LayerCost::convolution("conv2", [c1, c2], 3, places),
            LayerCost::convolution("conv3", [c2, c3], 3, places / 4),
            LayerCost::linear("linear1", [flat, hidden]),
            LayerCost::linear("linear2", [hidden, classes]),
        ]
    }
}

/// Repeats each value in a 2x2 block.
fn repeat_2x2(x: Tensor<4>) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let x = x.reshape([batch, channels, height, 1, width, 1]).expand([batch, channels, height, 2, width, 2]);
    x.reshape([batch, channels, 2 * height, 2 * width])
}

impl Model for SimpleCnn {
    fn forward(&self, input: Input, mode: &mut Mode) -> Forward {
        let Input::Image(x) = input else { unreachable!("`layers` refuses text") };
        self.classify(self.convolve(x), mode)
    }

    /// The first linear layer fits one image size.
    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        let Widths { channels: [channels, ..], .. } = self.widths();
        match shape {
            Shape::Image([c, height, width]) if [c, height, width] == [channels, self.height, self.width] => {
                Ok(self.layers_at(height * width))
            }
            _ => {
                Err(NetworkError::Shape { shape, needs: "this network takes only images of the size it was built for" })
            }
        }
    }

    /// Averages blocks of 2x2 pixels, and repeats each feature four times before the first linear layer. For heights
    /// and widths that are multiples of 8.
    fn forward_half(&self, input: Input) -> Option<Forward> {
        let Input::Image(x) = input else { return None };
        let [_, _, height, width] = x.dims();
        if height % 8 != 0 || width % 8 != 0 {
            return None;
        }
        let x = self.convolve(avg_pool2d(x, AvgPoolOptions::new([2, 2])));
        Some(self.classify(repeat_2x2(x), &mut Mode::Eval))
    }

    fn layers_half(&self, _: Shape) -> Vec<LayerCost> {
        self.layers_at(self.height * self.width / 4)
    }

    fn proxy(&self, weights: Weights<'_>) -> Option<Self> {
        let narrow = |width: usize| (width * NARROW / 16).max(1);
        let Widths { channels: [c0, c1, c2, c3], hidden } = self.widths();
        let widths = Widths { channels: [c0, narrow(c1), narrow(c2), narrow(c3)], hidden: narrow(hidden) };
        Some(Self::of_widths(widths, [self.height, self.width], self.linear2.weight.dims()[1], weights))
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
        let layers = model.layers(Shape::Image([3, 32, 32])).unwrap();
        let forward: u64 = layers.iter().map(|l| l.forward).sum();
        // 2 x (27 x 32 x 1024 + 288 x 64 x 1024 + 576 x 128 x 256 + 8192 x 256 + 256 x 10)
        assert_eq!(forward, 81_466_368);
        let step: u64 = layers.iter().map(|l| l.forward + l.weight_gradient + l.input_gradient).sum();
        assert_eq!(step, 3 * forward - 2 * 27 * 32 * 1024);
        let out = model.forward(Input::Image(Tensor::zeros([2, 3, 32, 32], &device)), &mut Mode::Eval);
        assert_eq!(out.logits.dims(), [2, 10]);
        assert_eq!(out.features.unwrap().dims(), [2, 256]);
    }

    /// Widths 6, 12, 24 and 48; FLOPs counted by hand.
    #[test]
    fn a_step_of_the_proxy_costs_a_twenty_fifth() {
        let device = Device::flex();
        let step = |model: &SimpleCnn| -> u64 {
            let layers = model.layers(Shape::Image([3, model.height, model.width])).unwrap();
            layers.iter().map(|l| l.forward + l.weight_gradient + l.input_gradient).sum()
        };
        for (shape, classes) in [([3, 32, 32], 10), ([3, 8, 8], 2)] {
            let full = SimpleCnn::new(shape, classes, Weights::new(Random::new(1), &device));
            let small = full.proxy(Weights::of(Purpose::AuxiliaryWeights, 0, Random::new(1), &device)).unwrap();
            let places = (shape[1] * shape[2]) as u64;
            let first = 27 * 6 * places;
            let others = 54 * 12 * places + 108 * 24 * places / 4 + 24 * places / 16 * 48 + 48 * classes as u64;
            assert_eq!(step(&small), 2 * (2 * first + 3 * others));
            let share = step(&small) as f64 / step(&full) as f64;
            assert!((0.036..0.044).contains(&share), "{shape:?}: {share}");
            let images = Tensor::zeros([2, 3, shape[1], shape[2]], &device);
            assert_eq!(small.forward(Input::Image(images), &mut Mode::Eval).logits.dims(), [2, classes]);
        }
    }

    /// Equals averaging and repeating by hand. Convolutions cost a quarter, linear layers as much as before.
    #[test]
    fn half_resolution_averages_pixels_and_repeats_features() {
        let device = Device::flex();
        let model = SimpleCnn::new([3, 8, 16], 10, Weights::new(Random::new(1), &device));
        let mut stream = Random::new(2).stream(Purpose::Data, 0, 0);
        let pixels: Vec<f32> = (0..3 * 8 * 16).map(|_| stream.normal() as f32).collect();
        let at = |channel: usize, y: usize, x: usize| pixels[(channel * 8 + y) * 16 + x];
        let mean = |c, y, x| {
            (at(c, 2 * y, 2 * x) + at(c, 2 * y + 1, 2 * x) + at(c, 2 * y, 2 * x + 1) + at(c, 2 * y + 1, 2 * x + 1))
                / 4.0
        };
        let pooled: Vec<f32> = (0..3 * 4 * 8).map(|i| mean(i / 32, i / 8 % 4, i % 8)).collect();
        let tensor = |values: &[f32], shape: [usize; 4]| Tensor::<1>::from_floats(values, &device).reshape(shape);
        let small: Vec<f32> = model.convolve(tensor(&pooled, [1, 3, 4, 8])).into_data().try_into_vec().unwrap();
        let spread: Vec<f32> = (0..128 * 2 * 4).map(|i| small[i / 8 * 2 + i % 4 / 2]).collect();
        let expected = model.classify(tensor(&spread, [1, 128, 2, 4]), &mut Mode::Eval).logits.into_data();
        let got = model.forward_half(Input::Image(tensor(&pixels, [1, 3, 8, 16]))).unwrap().logits.into_data();
        got.assert_approx_eq::<f32>(&expected, burn::tensor::Tolerance::absolute(1e-5));
        assert!(model.forward_half(Input::Image(Tensor::zeros([1, 3, 12, 16], &device))).is_none());
        let forward = |layers: Vec<LayerCost>| layers.iter().map(|l| l.forward).sum::<u64>();
        let (linear, shape) = (2 * (128 * 8 * 256 + 256 * 10), Shape::Image([3, 8, 16]));
        assert_eq!(forward(model.layers_half(shape)) - linear, (forward(model.layers(shape).unwrap()) - linear) / 4);
    }

    #[test]
    fn the_same_seed_gives_the_same_weights_and_masks() {
        let device = Device::flex();
        let input = || Input::Image(Tensor::ones([2, 3, 32, 32], &device));
        let logits = |seed| {
            let stream = Random::new(seed).stream(Purpose::Dropout, 0, 0);
            model(&device).forward(input(), &mut Mode::train(stream)).logits.into_data()
        };
        assert_eq!(logits(1), logits(1));
        assert_ne!(logits(1), logits(2));
    }
}
