//! Residual networks (He et al. 2016), as torchvision builds them, and for small images.

mod block;

use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;

use self::block::{Kind, Residual, cost};
use crate::data::Shape;
use crate::model::conv::Conv;
use crate::model::cost::LayerCost;
use crate::model::half::{forward_half, layers_half};
use crate::model::mode::Mode;
use crate::model::network::{Forward, Input, Model, Network, NetworkError, Weights};
use crate::model::norm::BatchNorm;
use crate::ops::Activation;
use crate::plugin::{ParamKind, ParamSpec, Params};

/// Width of the proxy in sixteenths: its inner layers cost (3/16)^2 = 3.5 %, the first and the last cost more.
const NARROW: usize = 3;

const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "width",
        summary: "channels of the first stage; each further stage has twice as many",
        kind: ParamKind::Integer { default: 64, min: 1, max: 256 },
    },
    ParamSpec {
        name: "stem",
        summary: "cifar: 3x3 convolution; imagenet: 7x7 with stride 2, then max-pooling, as torchvision has it",
        kind: ParamKind::Choice(&["cifar", "imagenet"]),
    },
];

/// A residual network with `LAYERS` layers: a convolution (the stem), four stages of residual blocks, the mean of each
/// channel, and a linear layer. Each stage but the first halves the sides and doubles the width.
///
/// Parameters have torchvision's names, shapes and initial distributions. Images may have any number of channels, fixed
/// when it is built, and any size of at least 8 x 8 (stem `cifar`) or 32 x 32 (stem `imagenet`).
#[derive(Module, Debug)]
pub struct ResNet<const LAYERS: usize> {
    conv1: Conv,
    bn1: BatchNorm,
    layer1: Vec<Residual>,
    layer2: Vec<Residual>,
    layer3: Vec<Residual>,
    layer4: Vec<Residual>,
    fc: Linear,
}

impl Network for ResNet<18> {
    const NAME: &'static str = "resnet18";
    const SUMMARY: &'static str =
        "ResNet-18 (He et al. 2016) as in torchvision, for images of any size; 11.2 million parameters on CIFAR-10";
    const PARAMS: &'static [ParamSpec] = PARAMS;

    fn build(params: &Params, shape: Shape, classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError> {
        Self::of_params(params, Kind::Basic, [2, 2, 2, 2], shape, classes, weights)
    }
}

impl Network for ResNet<50> {
    const NAME: &'static str = "resnet50";
    const SUMMARY: &'static str =
        "ResNet-50 (He et al. 2016) as in torchvision, for images of any size; 23.5 million parameters on CIFAR-10";
    const PARAMS: &'static [ParamSpec] = PARAMS;

    fn build(params: &Params, shape: Shape, classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError> {
        Self::of_params(params, Kind::Bottleneck, [3, 4, 6, 3], shape, classes, weights)
    }
}

impl<const LAYERS: usize> ResNet<LAYERS> {
    fn of_params(
        params: &Params,
        kind: Kind,
        depths: [usize; 4],
        shape: Shape,
        classes: usize,
        weights: Weights<'_>,
    ) -> Result<Self, NetworkError> {
        let (width, imagenet) = (params.integer("width")? as usize, params.word("stem")? == "imagenet");
        let [channels, ..] = accepted(shape, imagenet)?;
        Ok(Self::new(kind, depths, [channels, width, classes], imagenet, weights))
    }

    /// From `[channels of the images, width, classes]`.
    fn new(
        kind: Kind,
        depths: [usize; 4],
        [channels, width, classes]: [usize; 3],
        imagenet: bool,
        mut weights: Weights<'_>,
    ) -> Self {
        let (kernel, stride) = if imagenet { (7, 2) } else { (3, 1) };
        let conv1 = Conv::before_relu([channels, width], kernel, stride, kernel / 2, &mut weights);
        let mut inputs = width;
        let [layer1, layer2, layer3, layer4] = [0, 1, 2, 3].map(|stage| {
            let width = width << stage;
            let mut block = |place: usize| {
                let stride = if stage > 0 && place == 0 { 2 } else { 1 };
                let block = Residual::new(kind, [inputs, width], stride, &mut weights);
                inputs = kind.outputs(width);
                block
            };
            (0..depths[stage]).map(&mut block).collect()
        });
        let bn1 = BatchNorm::new(width, weights.device());
        Self { conv1, bn1, layer1, layer2, layer3, layer4, fc: weights.linear([inputs, classes]) }
    }

    fn stages(&self) -> [&Vec<Residual>; 4] {
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
    }

    /// Whether it has the stem `imagenet`, whose kernel is larger.
    fn imagenet(&self) -> bool {
        self.conv1.kernel() == 7
    }

    /// The class scores' input: the mean of each channel, `[batch, channels]`.
    fn features(&self, x: Tensor<4>, mode: &mut Mode) -> Tensor<2> {
        let mut x = self.bn1.after(&self.conv1, 1, x, None, Activation::Relu, mode);
        if self.imagenet() {
            x = max_pool2d(x, MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]));
        }
        for block in self.stages().into_iter().flatten() {
            x = block.forward(x, mode);
        }
        x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
    }
}

/// `[channels, height, width]` of images that a network with this stem takes.
fn accepted(shape: Shape, imagenet: bool) -> Result<[usize; 3], NetworkError> {
    let (least, needs) = match imagenet {
        true => (32, "with stem = \"imagenet\" it takes images of 32 x 32 pixels or more"),
        false => (8, "it takes images of 8 x 8 pixels or more"),
    };
    match shape {
        Shape::Image([channels, height, width]) if channels > 0 && height.min(width) >= least => {
            Ok([channels, height, width])
        }
        _ => Err(NetworkError::Shape { shape, needs }),
    }
}

impl<const LAYERS: usize> Model for ResNet<LAYERS> {
    fn forward(&self, input: Input, mode: &mut Mode) -> Forward {
        let Input::Image(x) = input else { unreachable!("`layers` refuses text") };
        let features = self.features(x, mode);
        Forward { logits: self.fc.forward(features.clone()), features: Some(features) }
    }

    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        let [channels, height, width] = accepted(shape, self.imagenet())?;
        if channels != self.conv1.channels()[0] {
            let needs = "this network takes only images with the number of channels it was built for";
            return Err(NetworkError::Shape { shape, needs });
        }
        let mut sides = [height, width];
        let mut layers = vec![cost(&self.conv1, "conv1", &mut sides).first()];
        if self.imagenet() {
            sides = sides.map(|side| side.div_ceil(2));
        }
        for (stage, blocks) in self.stages().into_iter().enumerate() {
            for (place, block) in blocks.iter().enumerate() {
                layers.extend(block.layers(&format!("layer{}.{place}", stage + 1), &mut sides));
            }
        }
        layers.push(LayerCost::linear("fc", self.fc.weight.dims()));
        Ok(layers)
    }

    fn forward_half(&self, input: Input) -> Option<Forward> {
        forward_half(self, input)
    }

    fn layers_half(&self, shape: Shape) -> Vec<LayerCost> {
        layers_half(self, shape)
    }

    fn proxy(&self, weights: Weights<'_>) -> Option<Self> {
        let [channels, width] = self.conv1.channels();
        let narrow = (width * NARROW / 16).max(1);
        let [_, classes] = self.fc.weight.dims();
        let kind = self.layer1.first()?.kind();
        Some(Self::new(kind, self.stages().map(Vec::len), [channels, narrow, classes], self.imagenet(), weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::{Device, Tolerance};

    fn network<const LAYERS: usize>(width: u32, stem: &str, shape: [usize; 3], classes: usize) -> ResNet<LAYERS>
    where
        ResNet<LAYERS>: Network,
    {
        let given = [("width".to_string(), f64::from(width).into()), ("stem".to_string(), stem.into())];
        let params = Params::resolve(PARAMS, &given.into()).unwrap();
        let device = Device::flex();
        ResNet::build(&params, Shape::Image(shape), classes, Weights::new(Random::new(1), &device)).unwrap()
    }

    /// Number of parameters without running statistics, which published numbers leave out.
    fn trained<M: Module>(model: &M) -> usize {
        struct Trained {
            parameters: usize,
            name: String,
        }
        impl ModuleVisitor for Trained {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.name = name.to_string();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let running = self.name.starts_with("running");
                self.parameters += if running { 0 } else { param.shape().num_elements() };
            }
        }
        let mut trained = Trained { parameters: 0, name: String::new() };
        model.visit(&mut trained);
        trained.parameters
    }

    fn multiply_adds(model: &impl Model, shape: [usize; 3]) -> u64 {
        model.layers(Shape::Image(shape)).unwrap().iter().map(|layer| layer.forward / 2).sum()
    }

    /// Parameters and multiply-adds as torchvision publishes them: `ResNet18_Weights.IMAGENET1K_V1.meta` has 11,689,512
    /// and 1.814 billion, `ResNet50_Weights.IMAGENET1K_V1.meta` 25,557,032 and 4.089 billion.
    #[test]
    fn parameters_and_multiply_adds_are_torchvisions() {
        let shape = [3, 224, 224];
        let stem = 3 * 49 * 64 * 112 * 112;
        // A 1x1 convolution between 64 channels on 56 x 56 pixels. Later stages have twice the channels on a quarter of
        // the pixels, so a convolution within a stage costs the same in each.
        let unit = 64 * 64 * 56 * 56;

        let model = network::<18>(64, "imagenet", shape, 1000);
        assert_eq!(trained(&model), 11_689_512);
        // The first convolution and the shortcut of a later stage have half the channels of input.
        let (first, later) = (4.0 * 9.0, 4.5 + 3.0 * 9.0 + 0.5);
        let blocks = (first + 3.0 * later) as u64;
        assert_eq!(multiply_adds(&model, shape), stem + blocks * unit + 512 * 1000);
        assert_eq!(multiply_adds(&model, shape), 1_814_073_344);

        let model = network::<50>(64, "imagenet", shape, 1000);
        assert_eq!(trained(&model), 25_557_032);
        // Narrowing, window, widening, and the shortcut of a stage's first block, whose narrowing has other inputs: 64
        // channels in the first stage, and later twice the width on four times the pixels.
        let block = 4 + 9 + 4;
        let (first, later) = (1 + 9 + 4 + 4, 8 + 9 + 4 + 8);
        let blocks = first + 2 * block + 3 * later + (3 + 5 + 2) * block;
        assert_eq!(multiply_adds(&model, shape), stem + blocks * unit + 2048 * 1000);
        assert_eq!(multiply_adds(&model, shape), 4_089_184_256);
    }

    /// 11,173,962 parameters and 0.56 billion multiply-adds: <https://github.com/kuangliu/pytorch-cifar>, `ResNet18`.
    #[test]
    fn the_network_for_small_images_is_the_one_known_from_cifar() {
        let (shape, unit) = ([3, 32, 32], 64 * 64 * 32 * 32);
        let model = network::<18>(64, "cifar", shape, 10);
        assert_eq!(trained(&model), 11_173_962);
        assert_eq!(multiply_adds(&model, shape), 27 * 64 * 32 * 32 + (36 + 3 * 32) * unit + 512 * 10);
        assert_eq!(multiply_adds(&model, shape), 555_422_720);
        let layers = model.layers(Shape::Image(shape)).unwrap();
        let step: u64 = layers.iter().map(|l| l.forward + l.weight_gradient + l.input_gradient).sum();
        assert_eq!(step, 2 * (3 * 555_422_720 - 27 * 64 * 32 * 32));
        // The initial deviation by hand, for the last convolution: 2 / (512 x 9).
        let weight: Vec<f32> = model.layer4[1].conv2().weight.val().into_data().try_into_vec().unwrap();
        let square = weight.iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / weight.len() as f64;
        assert!((square / (2.0 / 4608.0) - 1.0).abs() < 0.01, "{square}");
    }

    #[test]
    fn a_step_of_the_proxy_costs_a_twenty_fifth() {
        fn share<const LAYERS: usize>() -> f64
        where
            ResNet<LAYERS>: Network,
        {
            let shape = [3, 32, 32];
            let (full, device) = (network::<LAYERS>(64, "cifar", shape, 10), Device::flex());
            let proxy = full.proxy(Weights::of(Purpose::AuxiliaryWeights, 0, Random::new(1), &device)).unwrap();
            assert_eq!(proxy.conv1.channels(), [3, 12]);
            let logits = proxy.forward(Input::Image(Tensor::zeros([1, 3, 32, 32], &device)), &mut Mode::Eval).logits;
            assert_eq!(logits.dims(), [1, 10]);
            multiply_adds(&proxy, shape) as f64 / multiply_adds(&full, shape) as f64
        }
        for share in [share::<18>(), share::<50>()] {
            assert!((0.035..0.04).contains(&share), "{share}");
        }
    }

    #[test]
    fn images_that_are_too_small_or_have_other_channels_are_refused() {
        let refused = |stem: &str, shape| network::<18>(1, stem, [1, 32, 32], 3).layers(shape).unwrap_err().to_string();
        for (stem, side, needs) in [("cifar", 7, "8 x 8 pixels or more"), ("imagenet", 31, "32 x 32 pixels or more")] {
            let message = refused(stem, Shape::Image([1, 40, side]));
            assert!(message.ends_with(needs), "{message}");
        }
        assert!(refused("cifar", Shape::Image([3, 32, 32])).ends_with("channels it was built for"));
        assert!(refused("cifar", Shape::Tokens(32)).ends_with("8 x 8 pixels or more"));
    }

    /// The cheap pass equals a pass over pixels averaged by hand, and costs a quarter but for the last layer.
    #[test]
    fn half_resolution_averages_pixels() {
        let (model, device) = (network::<18>(2, "cifar", [1, 16, 16], 3), Device::flex());
        let mut stream = Random::new(2).stream(Purpose::Data, 0, 0);
        let pixels: Vec<f32> = (0..16 * 16).map(|_| stream.normal() as f32).collect();
        let mean = |i: usize| {
            let at = i / 8 * 2 * 16 + i % 8 * 2;
            (pixels[at] + pixels[at + 1] + pixels[at + 16] + pixels[at + 17]) / 4.0
        };
        let small: Vec<f32> = (0..64).map(mean).collect();
        let images = |values: &[f32], side| Tensor::<1>::from_floats(values, &device).reshape([1, 1, side, side]);
        let expected = model.forward(Input::Image(images(&small, 8)), &mut Mode::Eval).logits.into_data();
        let got = model.forward_half(Input::Image(images(&pixels, 16))).unwrap().logits.into_data();
        got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        let forward = |layers: Vec<LayerCost>| layers.iter().map(|l| l.forward).sum::<u64>() - 2 * 16 * 3;
        let shape = Shape::Image([1, 16, 16]);
        assert_eq!(4 * forward(model.layers_half(shape)), forward(model.layers(shape).unwrap()));
        for side in [8, 17] {
            assert!(model.forward_half(Input::Image(Tensor::zeros([1, 1, side, side], &device))).is_none());
            assert!(model.layers_half(Shape::Image([1, side, side])).is_empty());
        }
    }
}
