//! A vision transformer (Dosovitskiy et al. 2021), as timm builds it.

mod block;
mod patch;

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, Linear};
use burn::tensor::Tensor;

use self::block::{Block, DEVIATION, linear, norm};
use self::patch::{PatchEmbed, interpolation};
use crate::data::Shape;
use crate::model::cost::LayerCost;
use crate::model::half::{forward_half, layers_half};
use crate::model::mode::Mode;
use crate::model::network::{Forward, Input, Model, Network, NetworkError, Weights};
use crate::plugin::{ParamError, ParamKind, ParamSpec, Params};

/// Width of the proxy in sixteenths: its linear layers cost (3/16)^2 = 3.5 %, its attention more.
const NARROW: usize = 3;

/// A vision transformer. The image is cut into square patches, each of which becomes a token by a linear map. A class
/// token is put before them, a position embedding is added, and the blocks of an encoder follow. The features are the
/// class token after the last normalisation.
///
/// Parameters have timm's names, shapes and initial distributions. The position embedding belongs to the grid of patches
/// that the network was built for. For images of another size it is interpolated bilinearly, with the centres of the
/// patches as places and without antialiasing: PyTorch's `interpolate(mode="bilinear", align_corners=False)`. (timm's
/// default is bicubic.) The class token's position is left as it is.
#[derive(Module, Debug)]
pub struct VitTiny {
    /// `[1, 1, width]`.
    cls_token: Param<Tensor<3>>,
    /// `[1, 1 + patches, width]`; the first row is the class token's.
    pos_embed: Param<Tensor<3>>,
    patch_embed: PatchEmbed,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
    /// Patches in a column of the images it was built for.
    rows: usize,
    columns: usize,
}

/// What decides the shapes of the parameters.
#[derive(Clone, Copy)]
struct Sizes {
    patch: usize,
    width: usize,
    depth: usize,
    heads: usize,
}

impl Network for VitTiny {
    const NAME: &'static str = "vit-tiny";
    const SUMMARY: &'static str = "vision transformer (Dosovitskiy et al. 2021) as in timm, for images of any size; 5.4 million parameters on CIFAR-10";
    const PARAMS: &'static [ParamSpec] = &[
        ParamSpec {
            name: "patch",
            summary: "side of a patch in pixels",
            kind: ParamKind::Integer { default: 4, min: 1, max: 256 },
        },
        ParamSpec {
            name: "width",
            summary: "width of a token, a multiple of `heads`",
            kind: ParamKind::Integer { default: 192, min: 1, max: 1280 },
        },
        ParamSpec {
            name: "depth",
            summary: "number of blocks",
            kind: ParamKind::Integer { default: 12, min: 1, max: 32 },
        },
        ParamSpec {
            name: "heads",
            summary: "heads of the attention",
            kind: ParamKind::Integer { default: 3, min: 1, max: 16 },
        },
    ];

    fn build(params: &Params, shape: Shape, classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError> {
        let size = |name| params.integer(name).map(|size| size as usize);
        let sizes =
            Sizes { patch: size("patch")?, width: size("width")?, depth: size("depth")?, heads: size("heads")? };
        if !sizes.width.is_multiple_of(sizes.heads) {
            let allowed = format!("a multiple of `heads` = {}", sizes.heads);
            Err(ParamError::OutOfRange { key: "width", value: (sizes.width as f64).into(), allowed })?;
        }
        let (channels, grid) = accepted(shape, sizes.patch)?;
        Ok(Self::new(sizes, channels, grid, classes, weights))
    }
}

/// Channels of the images, and `[rows, columns]` of their grid of patches.
fn accepted(shape: Shape, patch: usize) -> Result<(usize, [usize; 2]), NetworkError> {
    match shape {
        Shape::Image([channels, height, width])
            if [channels, height, width].iter().all(|n| *n > 0) && [height, width].iter().all(|n| n % patch == 0) =>
        {
            Ok((channels, [height / patch, width / patch]))
        }
        _ => Err(NetworkError::Shape { shape, needs: "it takes images whose sides are multiples of `model.patch`" }),
    }
}

impl VitTiny {
    fn new(sizes: Sizes, channels: usize, grid: [usize; 2], classes: usize, mut weights: Weights<'_>) -> Self {
        let Sizes { patch, width, depth, heads } = sizes;
        let [rows, columns] = grid;
        let patch_embed = PatchEmbed::new([channels, width], patch, &mut weights);
        Self {
            cls_token: weights.normal([1, 1, width], 1e-6),
            pos_embed: weights.normal([1, 1 + rows * columns, width], DEVIATION),
            patch_embed,
            blocks: (0..depth).map(|_| Block::new(width, heads, &mut weights)).collect(),
            norm: norm(width, &weights),
            head: linear([width, classes], &mut weights),
            rows,
            columns,
        }
    }

    fn sizes(&self) -> Sizes {
        let [width, _, patch, _] = self.patch_embed.dims();
        Sizes { patch, width, depth: self.blocks.len(), heads: self.blocks.first().map_or(1, Block::heads) }
    }

    /// The position embedding for this grid, `[1, 1 + patches, width]`.
    fn positions(&self, [rows, columns]: [usize; 2]) -> Tensor<3> {
        let all = self.pos_embed.val();
        if [rows, columns] == [self.rows, self.columns] {
            return all;
        }
        let (patches, width, device) = (self.rows * self.columns, self.sizes().width, all.device());
        let x = all.clone().narrow(1, 1, patches).reshape([self.rows, self.columns, width]);
        let x = interpolation(self.columns, columns, &device).unsqueeze::<3>().matmul(x);
        let x = interpolation(self.rows, rows, &device).matmul(x.reshape([self.rows, columns * width]));
        Tensor::cat(vec![all.narrow(1, 0, 1), x.reshape([1, rows * columns, width])], 1)
    }
}

impl Model for VitTiny {
    fn forward(&self, input: Input, _: &mut Mode) -> Forward {
        let Input::Image(x) = input else { unreachable!("`layers` refuses text") };
        let [batch, _, height, width] = x.dims();
        let patch = self.sizes().patch;
        let patches = self.patch_embed.forward(x);
        let class = self.cls_token.val().repeat_dim(0, batch);
        let mut x = Tensor::cat(vec![class, patches], 1) + self.positions([height / patch, width / patch]);
        for block in &self.blocks {
            x = block.forward(x);
        }
        let features = self.norm.forward(x.narrow(1, 0, 1)).squeeze_dim::<2>(1);
        Forward { logits: self.head.forward(features.clone()), features: Some(features) }
    }

    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        let [outputs, channels, patch, _] = self.patch_embed.dims();
        let (given, [rows, columns]) = accepted(shape, patch)?;
        if given != channels {
            let needs = "this network takes only images with the number of channels it was built for";
            return Err(NetworkError::Shape { shape, needs });
        }
        let patches = rows * columns;
        let embed = LayerCost::convolution("patch_embed.proj", [channels, outputs], patch, patches).first();
        let blocks = self.blocks.iter().enumerate();
        let blocks = blocks.flat_map(|(place, block)| block.layers(&format!("blocks.{place}"), 1 + patches));
        let head = LayerCost::linear("head", self.head.weight.dims());
        Ok([embed].into_iter().chain(blocks).chain([head]).collect())
    }

    fn forward_half(&self, input: Input) -> Option<Forward> {
        forward_half(self, input)
    }

    fn layers_half(&self, shape: Shape) -> Vec<LayerCost> {
        layers_half(self, shape)
    }

    fn proxy(&self, weights: Weights<'_>) -> Option<Self> {
        let Sizes { width, heads, .. } = self.sizes();
        let narrow = heads * (width / heads * NARROW / 16).max(1);
        let [_, channels, ..] = self.patch_embed.dims();
        let [_, classes] = self.head.weight.dims();
        let sizes = Sizes { width: narrow, ..self.sizes() };
        Some(Self::new(sizes, channels, [self.rows, self.columns], classes, weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};
    use burn::tensor::Device;

    fn network(given: &[(&str, u32)], shape: [usize; 3], classes: usize) -> Result<VitTiny, NetworkError> {
        let given = given.iter().map(|(key, value)| ((*key).to_string(), f64::from(*value).into())).collect();
        let params = Params::resolve(VitTiny::PARAMS, &given)?;
        VitTiny::build(&params, Shape::Image(shape), classes, Weights::new(Random::new(1), &Device::flex()))
    }

    fn step(model: &VitTiny, shape: [usize; 3]) -> u64 {
        let layers = model.layers(Shape::Image(shape)).unwrap();
        layers.iter().map(|layer| layer.forward + layer.weight_gradient + layer.input_gradient).sum()
    }

    /// 5,717,416 parameters: timm, `vit_tiny_patch16_224`. Its 1.26 billion multiply-adds, as published, include what is
    /// not counted here, such as normalisation.
    #[test]
    fn parameters_and_multiply_adds_are_timms() {
        let shape = [3, 224, 224];
        let model = network(&[("patch", 16)], shape, 1000).unwrap();
        assert_eq!(model.num_params(), 5_717_416);
        let layers = model.layers(Shape::Image(shape)).unwrap();
        let multiply_adds = layers.iter().map(|layer| layer.forward / 2).sum::<u64>();
        let (embed, linear, attention) = (768 * 192 * 196, 197 * 12 * 192 * 192, 2 * 197 * 197 * 192);
        assert_eq!(multiply_adds, embed + 12 * (linear + attention) + 192 * 1000);
        assert!((multiply_adds as f64 / 1.26e9 - 1.0).abs() < 0.01, "{multiply_adds}");
        // Each product has two gradients, that of the patches only one.
        assert_eq!(step(&model, shape), 2 * (3 * multiply_adds - embed));
    }

    #[test]
    fn a_step_of_the_proxy_costs_a_twenty_fourth() {
        let (shape, device) = ([3, 32, 32], Device::flex());
        let full = network(&[], shape, 10).unwrap();
        let proxy = full.proxy(Weights::of(Purpose::AuxiliaryWeights, 0, Random::new(1), &device)).unwrap();
        assert_eq!((proxy.sizes().width, proxy.sizes().heads), (36, 3));
        let share = step(&proxy, shape) as f64 / step(&full, shape) as f64;
        assert!((0.04..0.045).contains(&share), "{share}");
        let logits = proxy.forward(Input::Image(Tensor::zeros([1, 3, 32, 32], &device)), &mut Mode::Eval).logits;
        assert_eq!(logits.dims(), [1, 10]);
    }

    #[test]
    fn the_cheap_pass_is_that_of_images_of_half_the_size() {
        let (device, small) = (Device::flex(), [("patch", 2), ("width", 6), ("depth", 1)]);
        let model = network(&small, [1, 8, 4], 3).unwrap();
        let x = Tensor::<4>::ones([2, 1, 8, 4], &device);
        let half = model.forward_half(Input::Image(x.clone())).unwrap().logits;
        let expected = model.forward(Input::Image(x.narrow(2, 0, 4).narrow(3, 0, 2)), &mut Mode::Eval).logits;
        assert_eq!(half.into_data(), expected.into_data());
        assert!(model.forward_half(Input::Image(Tensor::zeros([1, 1, 8, 6], &device))).is_none());
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let refused = |given: &[_], shape| network(given, shape, 10).unwrap_err().to_string();
        assert_eq!(refused(&[("heads", 5)], [3, 32, 32]), "`width` = 192 is not a multiple of `heads` = 5");
        let message = refused(&[], [3, 30, 32]);
        assert!(message.ends_with("it takes images whose sides are multiples of `model.patch`"), "{message}");
        let model = network(&[("depth", 1)], [3, 32, 32], 10).unwrap();
        assert!(model.layers(Shape::Image([1, 32, 32])).is_err());
    }
}
