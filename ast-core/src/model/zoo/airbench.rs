//! The network of the airbench recipe (K. Jordan, *94% on CIFAR-10 in 3.29 Seconds on a Single GPU*, 2024; repository
//! `KellerJordan/cifar10-airbench`, file `airbench94.py`), with its width free.

use burn::linalg::svd;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};

use crate::data::{Dataset, Shape};
use crate::model::conv::Conv;
use crate::model::cost::LayerCost;
use crate::model::half::{forward_half, layers_half};
use crate::model::mode::Mode;
use crate::model::network::{Forward, Input, Model, Network, NetworkError, Weights};
use crate::model::norm::BatchNorm;
use crate::ops::{self, Activation, Block};
use crate::plugin::{ParamKind, ParamSpec, Params};

/// Channels of the three groups at width 64.
const CHANNELS: [usize; 3] = [64, 256, 256];
/// Side of the whitened patches.
const PATCH: usize = 2;
/// Number of images that the whitening is computed from.
const WHITENED: usize = 5000;
/// Added to the variance of each component before its root is taken.
const WHITEN_EPSILON: f64 = 5e-4;
/// Upper bound of the sweeps of the decomposition, which stops when it has converged.
const SWEEPS: usize = 50;
/// Factor of the logits.
const SCALE: f64 = 1.0 / 9.0;
/// Smallest side of an image: 1 pixel is left after the third group.
const SMALLEST: usize = 9;

/// A frozen 2x2 convolution that whitens patches, three groups of two 3x3 convolutions, a global maximum, and a linear
/// layer.
#[derive(Module, Debug)]
pub struct Airbench {
    whiten: Whiten,
    group1: Group,
    group2: Group,
    group3: Group,
    head: Linear,
    /// Share of the run in which the whitening's bias is trained.
    bias_share: f64,
}

/// Each component of a 2x2 patch, with unit variance, and its negative; then GELU.
#[derive(Module, Debug)]
struct Whiten {
    weight: Param<Tensor<4>>,
    bias: Param<Tensor<1>>,
}

/// Convolution, maximum of 2x2 windows, norm, GELU; convolution, norm, GELU.
#[derive(Module, Debug)]
struct Group {
    conv1: Conv,
    norm1: BatchNorm,
    conv2: Conv,
    norm2: BatchNorm,
}

impl Network for Airbench {
    const NAME: &'static str = "airbench";
    const SUMMARY: &'static str =
        "six 3x3 convolutions behind a whitening layer, 2.0 million parameters; K. Jordan's airbench94 (2024)";
    const PARAMS: &'static [ParamSpec] = &[
        ParamSpec {
            name: "width",
            summary: "channels of the first group; the others have four times as many; 64 as published",
            kind: ParamKind::Integer { default: 64, min: 4, max: 1024 },
        },
        ParamSpec {
            name: "whiten_bias_share",
            summary: "share of the run in which the bias of the whitening layer is trained; 3 of 9.9 epochs as published",
            kind: ParamKind::Number { default: 0.3, min: 0.0, max: 1.0 },
        },
    ];

    fn build(params: &Params, shape: Shape, classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError> {
        let Shape::Image([channels, ..]) = check(shape)? else { unreachable!("`check` refuses text") };
        let width = params.integer("width")? as usize;
        let [c1, c2, c3] = CHANNELS.map(|of_64| (of_64 * width / 64).max(1));
        Ok(Self::of_channels([channels, c1, c2, c3], classes, params.number("whiten_bias_share")?, weights))
    }

    /// Computes the whitening from the first 5,000 images, without augmentation.
    fn adapt(self, data: &dyn Dataset) -> Self {
        let device = self.whiten.weight.device();
        let weight = whitening(data, &device);
        Self { whiten: Whiten { weight: frozen(weight), ..self.whiten }, ..self }
    }
}

fn check(shape: Shape) -> Result<Shape, NetworkError> {
    match shape {
        Shape::Image([channels, height, width]) if channels > 0 && height.min(width) >= SMALLEST => Ok(shape),
        _ => Err(NetworkError::Shape { shape, needs: "it takes images of at least 9 x 9 pixels" }),
    }
}

fn frozen<const D: usize>(values: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(values).set_require_grad(false)
}

impl Airbench {
    fn of_channels([c0, c1, c2, c3]: [usize; 4], classes: usize, bias_share: f64, mut weights: Weights<'_>) -> Self {
        let (patch, device) = (c0 * PATCH * PATCH, weights.device().clone());
        // Until `adapt` is called: every value of the patch and its negative.
        let values = Tensor::<2>::eye(patch, &device);
        let values = Tensor::cat(vec![values.clone(), -values], 0).reshape([2 * patch, c0, PATCH, PATCH]);
        let whiten = Whiten { weight: frozen(values), bias: Param::from_tensor(Tensor::zeros([2 * patch], &device)) };
        let [group1, group2, group3] =
            [[2 * patch, c1], [c1, c2], [c2, c3]].map(|channels| Group::new(channels, &mut weights));
        let head = Linear { weight: weights.draw([c3, classes], c3), bias: None };
        Self { whiten, group1, group2, group3, head, bias_share }
    }

    /// Channels of the image and of the groups.
    fn channels(&self) -> [usize; 4] {
        let [_, c0, ..] = self.whiten.weight.dims();
        let [c1, c2, c3] = [&self.group1, &self.group2, &self.group3].map(|group| group.conv2.channels()[1]);
        [c0, c1, c2, c3]
    }

    /// Features, `[batch, channels]`.
    fn features(&self, x: Tensor<4>, mode: &mut Mode) -> Tensor<2> {
        let trained = match mode {
            Mode::Train(training) => training.spent() < self.bias_share,
            Mode::Eval => false,
        };
        let bias = self.whiten.bias.val();
        let bias = if trained { bias } else { bias.detach() };
        let block = Block { stride: [1, 1], padding: [0, 0], relu: false, pool: 1 };
        let x = ops::gelu(ops::conv(x, self.whiten.weight.val(), bias, block));
        let x = [&self.group1, &self.group2, &self.group3].into_iter().fold(x, |x, group| group.forward(x, mode));
        x.flatten::<3>(2, 3).max_dim(2).squeeze_dim::<2>(2)
    }
}

impl Group {
    fn new([inputs, outputs]: [usize; 2], weights: &mut Weights<'_>) -> Self {
        let device = weights.device().clone();
        let mut conv = |channels: [usize; 2]| {
            let mut conv = Conv::new(channels, 3, 1, 1, weights);
            conv.weight = identity_first(conv.weight, channels);
            conv
        };
        let (conv1, conv2) = (conv([inputs, outputs]), conv([outputs, outputs]));
        // 0.6 in the recipe's words is the share that is kept; this is the share that is replaced.
        let norm = || BatchNorm::new(outputs, &device).with_momentum(0.4).with_epsilon(1e-12).without_weight();
        Self { conv1, norm1: norm(), conv2, norm2: norm() }
    }

    fn forward(&self, x: Tensor<4>, mode: &mut Mode) -> Tensor<4> {
        let x = self.norm1.after(&self.conv1, 2, x, None, Activation::Gelu, mode);
        self.norm2.after(&self.conv2, 1, x, None, Activation::Gelu, mode)
    }

    /// Both convolutions, for an input of that height and width, and the sides of the output.
    fn layers(&self, name: &str, [height, width]: [usize; 2]) -> ([LayerCost; 2], [usize; 2]) {
        let (out, first, second) = ([height / 2, width / 2], self.conv1.channels(), self.conv2.channels());
        let first = LayerCost::convolution(format!("{name}.conv1"), first, 3, height * width);
        let second = LayerCost::convolution(format!("{name}.conv2"), second, 3, out[0] * out[1]);
        ([first, second], out)
    }
}

/// The first filters copy one channel each: the identity on the first channels.
fn identity_first(weight: Param<Tensor<4>>, [inputs, outputs]: [usize; 2]) -> Param<Tensor<4>> {
    weight.map(|weight| {
        let trained = weight.is_require_grad();
        let copied = inputs.min(outputs);
        let mut identity = vec![0.0_f32; copied * inputs * 9];
        (0..copied).for_each(|channel| identity[(channel * inputs + channel) * 9 + 4] = 1.0);
        let identity = Tensor::from_data(TensorData::new(identity, [copied, inputs, 3, 3]), &weight.device());
        let weight = if copied == outputs {
            identity
        } else {
            Tensor::cat(vec![identity, weight.detach().narrow(0, copied, outputs - copied)], 0)
        };
        if trained { weight.detach().require_grad() } else { weight }
    })
}

/// The whitening filters, `[8 channels, channels, 2, 2]`: the principal components of patches of 2x2 pixels, each divided
/// by the root of its second moment, largest first, then their negatives.
fn whitening(data: &dyn Dataset, device: &Device) -> Tensor<4> {
    let Shape::Image([channels, height, width]) = data.shape() else { unreachable!("`check` refuses text") };
    let patch = channels * PATCH * PATCH;
    let mut sums = vec![0.0_f64; patch * patch];
    let (mut image, mut values) = (vec![0.0; channels * height * width], vec![0.0; patch]);
    let images = data.samples().min(WHITENED);
    for id in (0..).take(images) {
        data.write(id, &mut image);
        for y in 0..=height - PATCH {
            for x in 0..=width - PATCH {
                for (i, value) in values.iter_mut().enumerate() {
                    let (channel, down, right) = (i / 4, i / 2 % 2, i % 2);
                    *value = f64::from(image[(channel * height + y + down) * width + x + right]);
                }
                for (i, row) in sums.chunks_exact_mut(patch).enumerate() {
                    row.iter_mut().zip(&values).for_each(|(sum, value)| *sum += values[i] * value);
                }
            }
        }
    }
    let patches = (images * (height + 1 - PATCH) * (width + 1 - PATCH)).max(1) as f64;
    let covariance: Vec<f32> = sums.into_iter().map(|sum| (sum / patches) as f32).collect();
    let covariance = TensorData::new(covariance, [patch, patch]);
    let covariance = Tensor::from_data(covariance, &device.clone().without_autodiff());
    // Of a symmetric positive matrix: the eigenvectors in the rows of `v`, and the eigenvalues.
    let (_, values, v) = svd::<2, 1>(covariance, SWEEPS);
    let scaled = v / (values + WHITEN_EPSILON).sqrt().reshape([patch, 1]);
    let filters = Tensor::cat(vec![scaled.clone(), -scaled], 0).reshape([2 * patch, channels, PATCH, PATCH]);
    Tensor::from_data(filters.into_data(), device)
}

impl Model for Airbench {
    fn forward(&self, input: Input, mode: &mut Mode) -> Forward {
        let Input::Image(x) = input else { unreachable!("`layers` refuses text") };
        let features = self.features(x, mode);
        Forward { logits: self.head.forward(features.clone()) * SCALE, features: Some(features) }
    }

    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        let [c0, _, _, c3] = self.channels();
        let Shape::Image([channels, height, width]) = check(shape)? else { unreachable!("`check` refuses text") };
        if channels != c0 {
            return Err(NetworkError::Shape { shape, needs: "it was built for another number of channels" });
        }
        let filters = self.whiten.weight.dims()[0];
        let mut sides = [height - 1, width - 1];
        let whiten = LayerCost::convolution("whiten", [channels, filters], PATCH, sides[0] * sides[1]);
        // Its weight is frozen.
        let mut layers = vec![LayerCost { weight_gradient: 0, ..whiten.first() }];
        for (name, group) in [("group1", &self.group1), ("group2", &self.group2), ("group3", &self.group3)] {
            let (both, out) = group.layers(name, sides);
            layers.extend(both);
            sides = out;
        }
        layers.push(LayerCost::linear("head", [c3, self.head.weight.dims()[1]]));
        Ok(layers)
    }

    /// A fifth as wide: a step costs about a twentieth. It shares the whitening.
    fn proxy(&self, weights: Weights<'_>) -> Option<Self> {
        let [c0, c1, c2, c3] = self.channels();
        let narrow = |channels: usize| (channels / 5).max(1);
        let classes = self.head.weight.dims()[1];
        let proxy = Self::of_channels([c0, narrow(c1), narrow(c2), narrow(c3)], classes, self.bias_share, weights);
        let whiten = Whiten { weight: frozen(self.whiten.weight.val()), ..proxy.whiten };
        Some(Self { whiten, ..proxy })
    }

    fn forward_half(&self, input: Input) -> Option<Forward> {
        forward_half(self, input)
    }

    fn layers_half(&self, shape: Shape) -> Vec<LayerCost> {
        layers_half(self, shape)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::random::{Purpose, Random};

    fn build(width: i32, side: usize) -> Airbench {
        let given = BTreeMap::from([("width".to_string(), width.into())]);
        let params = Params::resolve(Airbench::PARAMS, &given).unwrap();
        let device = Device::flex().autodiff();
        Airbench::build(&params, Shape::Image([3, side, side]), 10, Weights::new(Random::new(1), &device)).unwrap()
    }

    /// The parameters that the paper counts as 2 million, and the FLOPs of its run: 9.9 epochs of 50,000 images cost 3.5e14,
    /// which the paper gives as 3.6e14.
    #[test]
    fn parameters_and_flops_are_the_published_ones() {
        let model = build(64, 32);
        let convolutions = 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256);
        let norms = 2 * (64 + 64 + 4 * 256);
        assert_eq!(model.num_params(), 24 * 12 + 24 + convolutions + norms + 2560 + 2 * (64 + 64 + 4 * 256));
        let layers = model.layers(Shape::Image([3, 32, 32])).unwrap();
        let forward: u64 = layers.iter().map(|layer| layer.forward).sum();
        let places = [24 * 12 * 961, 9 * 24 * 64 * 961, 9 * 64 * 64 * 225, 9 * 64 * 256 * 225, 9 * 65536 * 107, 2560];
        assert_eq!(forward, 2 * places.iter().sum::<u64>());
        let step: u64 = layers.iter().map(|l| l.forward + l.weight_gradient + l.input_gradient).sum();
        assert_eq!(step, 3 * forward - 4 * 24 * 12 * 961);
        let run = step as f64 * 9.9 * 50_000.0;
        assert!((3.4e14..3.7e14).contains(&run), "{run:e}");
    }

    /// Correlated images of random pixels: channel 1 follows channel 0.
    struct Correlated;

    impl Dataset for Correlated {
        fn samples(&self) -> usize {
            40
        }
        fn classes(&self) -> usize {
            10
        }
        fn shape(&self) -> Shape {
            Shape::Image([3, 9, 9])
        }
        fn label(&self, _: u32) -> usize {
            0
        }
        fn write(&self, id: u32, out: &mut [f32]) {
            let mut stream = Random::new(3).stream(Purpose::Data, 0, u64::from(id));
            out.fill_with(|| stream.normal() as f32);
            for i in 0..81 {
                out[81 + i] = 0.9 * out[i] + 0.1 * out[81 + i];
            }
        }
        fn input_deviation(&self, _: u32) -> f32 {
            1.0
        }
    }

    /// The second moments of the filtered patches, computed by convolution: `l / (l + 5e-4)` on the diagonal for a component
    /// of variance `l`, and 0 elsewhere.
    #[test]
    fn filtered_patches_are_white() {
        let device = Device::flex();
        let filters = whitening(&Correlated, &device);
        assert_eq!(filters.dims(), [24, 3, 2, 2]);
        let pixels: Vec<f32> = (0..40)
            .flat_map(|id| {
                let mut image = vec![0.0; 243];
                Correlated.write(id, &mut image);
                image
            })
            .collect();
        let images = Tensor::<4>::from_data(TensorData::new(pixels, [40, 3, 9, 9]), &device);
        let block = Block { stride: [1, 1], padding: [0, 0], relu: false, pool: 1 };
        let filtered = ops::conv(images, filters, Tensor::zeros([24], &device), block);
        let rows = filtered.permute([0, 2, 3, 1]).reshape([40 * 64, 24]);
        let moments = rows.clone().transpose().matmul(rows) / (40.0 * 64.0);
        let moments: Vec<f32> = moments.into_data().try_into_vec().unwrap();
        for i in 0..12 {
            for j in 0..12 {
                let (value, negative) = (moments[i * 24 + j], moments[i * 24 + 12 + j]);
                assert!((value + negative).abs() < 1e-4, "the second half is the negative of the first");
                // The smallest component has a variance of about 0.005.
                let expected = if i == j { 0.9..1.001 } else { -1e-3..1e-3 };
                assert!(expected.contains(&value), "{i} {j}: {value}");
            }
        }
    }

    /// The bias of the whitening is trained in the first part of the run only.
    #[test]
    fn the_whitening_bias_is_frozen_after_its_share() {
        let model = build(4, 9);
        let has_gradient = |spent: f64| {
            let mut mode = Mode::train(Random::new(1).stream(Purpose::Dropout, 0, 0)).at(spent);
            let x = Tensor::random([2, 3, 9, 9], burn::tensor::Distribution::Default, &Device::flex().autodiff());
            let gradients = model.forward(Input::Image(x), &mut mode).logits.sum().backward();
            assert!(model.group1.norm1.parameters()[1].grad(&gradients).is_some());
            assert!(model.whiten.weight.val().grad(&gradients).is_none(), "its weight is frozen");
            model.whiten.bias.val().grad(&gradients).is_some()
        };
        assert!(has_gradient(0.0) && has_gradient(0.29));
        assert!(!has_gradient(0.3) && !has_gradient(1.0));
    }

    /// At first a convolution copies its input into its first channels.
    #[test]
    fn convolutions_start_as_the_identity() {
        let model = build(16, 9);
        let device = Device::flex().autodiff();
        let x = Tensor::<4>::random([1, 24, 5, 6], burn::tensor::Distribution::Default, &device);
        let first = model.group1.conv1.forward(x.clone());
        assert_eq!(first.into_data(), x.narrow(1, 0, 16).into_data());
        let x = Tensor::<4>::random([1, 16, 5, 6], burn::tensor::Distribution::Default, &device);
        let wider = model.group2.conv1.forward(x.clone());
        assert_eq!(wider.dims(), [1, 64, 5, 6]);
        assert_eq!(wider.narrow(1, 0, 16).into_data(), x.into_data());
    }

    #[test]
    fn a_step_of_the_proxy_costs_a_twentieth() {
        let model = build(64, 32);
        let proxy = model.proxy(Weights::of(Purpose::AuxiliaryWeights, 0, Random::new(1), &Device::flex())).unwrap();
        let step = |model: &Airbench| -> u64 {
            let layers = model.layers(Shape::Image([3, 32, 32])).unwrap();
            layers.iter().map(|l| l.forward + l.weight_gradient + l.input_gradient).sum()
        };
        let share = step(&proxy) as f64 / step(&model) as f64;
        assert!((0.035..0.06).contains(&share), "{share}");
    }
}
