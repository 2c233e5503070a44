use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::Tensor;

use crate::model::attention::{Sight, attention, attention_costs};
use crate::model::cost::LayerCost;
use crate::model::network::Weights;
use crate::ops;

/// Standard deviation of the initial weights (Radford et al. 2019).
pub(super) const DEVIATION: f64 = 0.02;
/// Width of the hidden layer for each channel.
const EXPANSION: usize = 4;

/// A block of a transformer's decoder, normalised before each part: attention to earlier tokens, then two linear layers
/// with GELU between them, each added to its input. No layer has a bias.
///
/// Names and shapes of the parameters are nanoGPT's.
#[derive(Module, Debug)]
pub(super) struct Block {
    ln_1: LayerNorm,
    attn: Attention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

#[derive(Module, Debug)]
struct Attention {
    /// Queries, keys and values of all heads, one after the other.
    c_attn: Linear,
    c_proj: Linear,
    heads: usize,
}

#[derive(Module, Debug)]
struct Mlp {
    c_fc: Linear,
    c_proj: Linear,
}

impl Block {
    /// A block of a network of `depth` blocks. `width` must be a multiple of `heads`.
    pub(super) fn new(width: usize, heads: usize, depth: usize, weights: &mut Weights<'_>) -> Self {
        let hidden = EXPANSION * width;
        let mut linear = |widths, deviation| Linear { weight: weights.normal(widths, deviation), bias: None };
        // 2 depth sums add up along the network, whose variance is kept (Radford et al. 2019, 2.3).
        let last = DEVIATION / (2.0 * depth as f64).sqrt();
        let attn =
            Attention { c_attn: linear([width, 3 * width], DEVIATION), c_proj: linear([width, width], last), heads };
        let mlp = Mlp { c_fc: linear([width, hidden], DEVIATION), c_proj: linear([hidden, width], last) };
        Self { ln_1: norm(width, weights), attn, ln_2: norm(width, weights), mlp }
    }

    /// Number of heads.
    pub(super) fn heads(&self) -> usize {
        self.attn.heads
    }

    /// `[batch, tokens, width]`, before and after.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let Attention { c_attn, c_proj, heads } = &self.attn;
        let qkv = c_attn.forward(self.ln_1.forward(x.clone()));
        let x = x + c_proj.forward(attention(qkv, *heads, Sight::Before));
        let hidden = ops::gelu(self.mlp.c_fc.forward(self.ln_2.forward(x.clone())));
        x + self.mlp.c_proj.forward(hidden)
    }

    /// The layers for this number of tokens.
    pub(super) fn layers(&self, name: &str, tokens: usize) -> [LayerCost; 6] {
        let [width, _] = self.attn.c_proj.weight.dims();
        let [scores, values] = attention_costs(&format!("{name}.attn"), tokens, width);
        // Each linear layer is applied to every token.
        let linear = |part: &str, layer: &Linear| {
            let [inputs, outputs] = layer.weight.dims();
            LayerCost::linear(format!("{name}.{part}"), [tokens * inputs, outputs])
        };
        [
            linear("attn.c_attn", &self.attn.c_attn),
            scores,
            values,
            linear("attn.c_proj", &self.attn.c_proj),
            linear("mlp.c_fc", &self.mlp.c_fc),
            linear("mlp.c_proj", &self.mlp.c_proj),
        ]
    }
}

/// A layer normalisation (Ba et al. 2016) without bias.
pub(super) fn norm(width: usize, weights: &Weights<'_>) -> LayerNorm {
    LayerNormConfig::new(width).with_bias(false).init(weights.device())
}

/// A table of vectors: one per token of the vocabulary or per place, `[rows, width]`.
#[derive(Module, Debug)]
pub(super) struct Embedding {
    pub(super) weight: Param<Tensor<2>>,
}

impl Embedding {
    pub(super) fn new(rows: usize, width: usize, weights: &mut Weights<'_>) -> Self {
        Self { weight: weights.normal([rows, width], DEVIATION) }
    }
}
