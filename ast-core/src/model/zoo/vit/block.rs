use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::Tensor;

use crate::model::attention::{Sight, attention, attention_costs};
use crate::model::cost::LayerCost;
use crate::model::network::Weights;
use crate::ops;

/// Standard deviation of the initial weights. timm truncates at +-2, a hundred deviations, which no draw reaches.
pub(super) const DEVIATION: f64 = 0.02;
/// Width of the hidden layer for each channel.
const EXPANSION: usize = 4;
const EPSILON: f64 = 1e-6;

/// A block of a transformer's encoder, normalised before each part (Dosovitskiy et al. 2021): attention, then two linear
/// layers with GELU between them, each added to its input.
///
/// Names and shapes of the parameters are timm's.
#[derive(Module, Debug)]
pub(super) struct Block {
    norm1: LayerNorm,
    attn: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

/// Linear layers around [`attention`].
#[derive(Module, Debug)]
struct Attention {
    /// Queries, keys and values of all heads, one after the other.
    qkv: Linear,
    proj: Linear,
    heads: usize,
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Block {
    /// `width` must be a multiple of `heads`.
    pub(super) fn new(width: usize, heads: usize, weights: &mut Weights<'_>) -> Self {
        let attn = Attention { qkv: linear([width, 3 * width], weights), proj: linear([width, width], weights), heads };
        let hidden = EXPANSION * width;
        let mlp = Mlp { fc1: linear([width, hidden], weights), fc2: linear([hidden, width], weights) };
        Self { norm1: norm(width, weights), attn, norm2: norm(width, weights), mlp }
    }

    /// Number of heads.
    pub(super) fn heads(&self) -> usize {
        self.attn.heads
    }

    /// `[batch, tokens, width]`, before and after.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.norm1.forward(x));
        x.clone() + self.mlp.forward(self.norm2.forward(x))
    }

    /// The layers for this number of tokens.
    pub(super) fn layers(&self, name: &str, tokens: usize) -> [LayerCost; 6] {
        let [width, _] = self.attn.proj.weight.dims();
        let of = |part: &str| format!("{name}.{part}");
        let [scores, values] = attention_costs(&of("attn"), tokens, width);
        // Each linear layer is applied to every token.
        let linear = |part, layer: &Linear| {
            let [inputs, outputs] = layer.weight.dims();
            LayerCost::linear(of(part), [tokens * inputs, outputs])
        };
        [
            linear("attn.qkv", &self.attn.qkv),
            scores,
            values,
            linear("attn.proj", &self.attn.proj),
            linear("mlp.fc1", &self.mlp.fc1),
            linear("mlp.fc2", &self.mlp.fc2),
        ]
    }
}

impl Attention {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.proj.forward(attention(self.qkv.forward(x), self.heads, Sight::All))
    }
}

impl Mlp {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(ops::gelu(self.fc1.forward(x)))
    }
}

/// A linear layer with timm's initial values: weights are normal, biases 0.
pub(super) fn linear(widths: [usize; 2], weights: &mut Weights<'_>) -> Linear {
    let bias = Param::from_tensor(Tensor::zeros([widths[1]], weights.device()));
    Linear { weight: weights.normal(widths, DEVIATION), bias: Some(bias) }
}

/// A layer normalisation (Ba et al. 2016) with timm's epsilon.
pub(super) fn norm(width: usize, weights: &Weights<'_>) -> LayerNorm {
    LayerNormConfig::new(width).with_epsilon(EPSILON).init(weights.device())
}
