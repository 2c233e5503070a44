use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

use crate::model::cost::LayerCost;

/// What a token may look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Every token, as in an encoder.
    All,
    /// Itself and the tokens before it, as in a language model.
    Before,
}

/// Self-attention with several heads (Vaswani et al. 2017): `softmax(queries keys^T / sqrt(width / heads)) values`, head by
/// head.
///
/// `qkv` is `[batch, tokens, 3 width]`: queries, keys and values of all heads, one after the other. The result is `[batch,
/// tokens, width]`.
#[must_use]
pub fn attention(qkv: Tensor<3>, heads: usize, sight: Sight) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    let (width, each) = (width / 3, width / 3 / heads);
    let qkv = qkv.reshape([batch, tokens, 3, heads, each]).permute([2, 0, 3, 1, 4]);
    let [queries, keys, values] =
        [0, 1, 2].map(|part| qkv.clone().narrow(0, part, 1).reshape([batch, heads, tokens, each]));
    let mut scores = queries.matmul(keys.swap_dims(2, 3)) * (each as f64).powf(-0.5);
    if sight == Sight::Before {
        let device = scores.device();
        scores = scores + hidden(tokens, &device).unsqueeze::<4>();
    }
    let mixed = softmax(scores, 3).matmul(values);
    mixed.swap_dims(1, 2).reshape([batch, tokens, width])
}

/// What is added to the scores of tokens, `[tokens, tokens]`: 0 for those that may be seen, and for later ones so little
/// that their weight is 0. (Infinity is not portable: shaders may assume that there is none.)
fn hidden(tokens: usize, device: &burn::tensor::Device) -> Tensor<2> {
    let values: Vec<f32> =
        (0..tokens * tokens).map(|place| if place % tokens > place / tokens { -1e30 } else { 0.0 }).collect();
    Tensor::from_data(TensorData::new(values, [tokens, tokens]), device)
}

/// The two products of [`attention`], which have no weights: each head multiplies matrices of tokens x (width / heads) and
/// tokens x tokens. Masked products are computed too.
#[must_use]
pub fn attention_costs(name: &str, tokens: usize, width: usize) -> [LayerCost; 2] {
    ["scores", "values"].map(|part| LayerCost::activations(format!("{name}.{part}"), tokens * tokens * width))
}
