//! A language model: GPT-2 (Radford et al. 2019), as nanoGPT builds it.

mod block;

use burn::module::Module;
use burn::nn::LayerNorm;
use burn::tensor::Tensor;

use self::block::{Block, Embedding, norm};
use crate::data::Shape;
use crate::model::cost::LayerCost;
use crate::model::mode::Mode;
use crate::model::network::{Forward, Input, Model, Network, NetworkError, Weights};
use crate::plugin::{ParamError, ParamKind, ParamSpec, Params};

/// Width of the proxy in sixteenths.
const NARROW: usize = 3;
const NEEDS: &str = "it takes windows of text";

/// A decoder of transformer blocks over tokens. Each token's vector and its place's are added, blocks follow, and the
/// logits of the next token are the products of the normalised result with the tokens' vectors: one table serves as first
/// and as last layer. The features are the input of that product.
///
/// Parameters have the names, shapes and initial distributions of nanoGPT with `bias=False`. Its `lm_head.weight` is the
/// same tensor as `transformer.wte.weight` and is not stored twice.
#[derive(Module, Debug)]
pub struct Gpt {
    transformer: Transformer,
}

#[derive(Module, Debug)]
struct Transformer {
    /// `[vocabulary, width]`.
    wte: Embedding,
    /// `[context, width]`.
    wpe: Embedding,
    h: Vec<Block>,
    ln_f: LayerNorm,
}

impl Network for Gpt {
    const NAME: &'static str = "gpt";
    const SUMMARY: &'static str =
        "GPT-2 (Radford et al. 2019) as in nanoGPT, for windows of text; 0.8 million parameters for its 65 characters";
    const PARAMS: &'static [ParamSpec] = &[
        ParamSpec {
            name: "width",
            summary: "width of a token's vector, a multiple of `heads`",
            kind: ParamKind::Integer { default: 128, min: 1, max: 4096 },
        },
        ParamSpec {
            name: "depth",
            summary: "number of blocks",
            kind: ParamKind::Integer { default: 4, min: 1, max: 64 },
        },
        ParamSpec {
            name: "heads",
            summary: "heads of the attention",
            kind: ParamKind::Integer { default: 4, min: 1, max: 64 },
        },
    ];

    fn build(params: &Params, shape: Shape, classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError> {
        let size = |name| params.integer(name).map(|size| size as usize);
        let [width, depth, heads] = [size("width")?, size("depth")?, size("heads")?];
        if !width.is_multiple_of(heads) {
            let allowed = format!("a multiple of `heads` = {heads}");
            Err(ParamError::OutOfRange { key: "width", value: (width as f64).into(), allowed })?;
        }
        match shape {
            Shape::Tokens(context) if context > 0 => Ok(Self::new([classes, context], width, depth, heads, weights)),
            _ => Err(NetworkError::Shape { shape, needs: NEEDS }),
        }
    }
}

impl Gpt {
    fn new(rows: [usize; 2], width: usize, depth: usize, heads: usize, mut weights: Weights<'_>) -> Self {
        let [wte, wpe] = rows.map(|rows| Embedding::new(rows, width, &mut weights));
        let h = (0..depth).map(|_| Block::new(width, heads, depth, &mut weights)).collect();
        Self { transformer: Transformer { wte, wpe, h, ln_f: norm(width, &weights) } }
    }
}

impl Model for Gpt {
    fn forward(&self, input: Input, _: &mut Mode) -> Forward {
        let Input::Tokens(tokens) = input else { unreachable!("`layers` refuses images") };
        let Transformer { wte, wpe, h, ln_f } = &self.transformer;
        let [batch, context] = tokens.dims();
        let (table, [_, width]) = (wte.weight.val(), wte.weight.dims());
        let vectors = table.clone().select(0, tokens.flatten::<1>(0, 1)).reshape([batch, context, width]);
        let mut x = vectors + wpe.weight.val().narrow(0, 0, context).unsqueeze::<3>();
        for block in h {
            x = block.forward(x);
        }
        let features: Tensor<2> = ln_f.forward(x).flatten(0, 1);
        Forward { logits: features.clone().matmul(table.transpose()), features: Some(features) }
    }

    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError> {
        let Transformer { wte, wpe, h, .. } = &self.transformer;
        let ([vocabulary, width], [longest, _]) = (wte.weight.dims(), wpe.weight.dims());
        let context = match shape {
            Shape::Tokens(context) if (1..=longest).contains(&context) => context,
            Shape::Tokens(_) => {
                let needs = "this network takes windows of at most the context it was built for";
                return Err(NetworkError::Shape { shape, needs });
            }
            Shape::Image(_) => return Err(NetworkError::Shape { shape, needs: NEEDS }),
        };
        let blocks = h.iter().enumerate();
        let blocks = blocks.flat_map(|(place, block)| block.layers(&format!("transformer.h.{place}"), context));
        let head = LayerCost::linear("transformer.wte", [context * width, vocabulary]);
        Ok(blocks.chain([head]).collect())
    }

    fn proxy(&self, weights: Weights<'_>) -> Option<Self> {
        let Transformer { wte, wpe, h, .. } = &self.transformer;
        let ([vocabulary, width], [context, _]) = (wte.weight.dims(), wpe.weight.dims());
        let heads = h.first().map_or(1, Block::heads);
        let narrow = heads * (width / heads * NARROW / 16).max(1);
        Some(Self::new([vocabulary, context], narrow, h.len(), heads, weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};
    use burn::tensor::{Device, Int, TensorData};

    fn network(given: &[(&str, u32)], context: usize, vocabulary: usize) -> Result<Gpt, NetworkError> {
        let given = given.iter().map(|(key, value)| ((*key).to_string(), f64::from(*value).into())).collect();
        let params = Params::resolve(Gpt::PARAMS, &given)?;
        Gpt::build(&params, Shape::Tokens(context), vocabulary, Weights::new(Random::new(1), &Device::flex()))
    }

    /// nanoGPT prints "number of parameters: 0.80M" for its small CPU run, "10.65M" for `train_shakespeare_char.py` and
    /// "123.59M" for its GPT-2, without the table of places.
    #[test]
    fn parameters_are_nanogpts() {
        for (width, depth, heads, context, vocabulary, millions) in
            [(128, 4, 4, 64, 65, "0.80"), (384, 6, 6, 256, 65, "10.65"), (768, 12, 12, 1024, 50_304, "123.59")]
        {
            let given = [("width", width), ("depth", depth), ("heads", heads)];
            let counted = network(&given, context, vocabulary).unwrap().num_params() - context * width as usize;
            assert_eq!(format!("{:.2}", counted as f64 / 1e6), millions, "{counted}");
        }
    }

    /// `6 N + 12 depth context width` FLOPs a token of a step (Chowdhery et al., *PaLM*, 2022, appendix B, as in nanoGPT's
    /// `estimate_mfu`), `N` without the table of places and, here, without the scales of normalisations.
    #[test]
    fn a_step_costs_what_nanogpt_estimates() {
        let (width, depth, context, vocabulary) = (128, 4, 64, 65);
        let model = network(&[], context, vocabulary).unwrap();
        let counted: u64 = model
            .layers(Shape::Tokens(context))
            .unwrap()
            .iter()
            .map(|layer| layer.forward + layer.weight_gradient + layer.input_gradient)
            .sum();
        let n = model.num_params() - context * width - width * (2 * depth + 1);
        assert_eq!(counted, (context * (6 * n + 12 * depth * context * width)) as u64);
    }

    /// The logits of a token depend on it and the tokens before it alone.
    #[test]
    fn no_token_sees_what_comes_after_it() {
        let (device, context, vocabulary) = (Device::flex(), 6, 11);
        let model = network(&[("width", 8), ("depth", 2), ("heads", 2)], context, vocabulary).unwrap();
        let logits = |tokens: &[i32]| -> Vec<f32> {
            let input = Tensor::<2, Int>::from_data(TensorData::new(tokens.to_vec(), [1, tokens.len()]), &device);
            model.forward(Input::Tokens(input), &mut Mode::Eval).logits.into_data().try_into_vec().unwrap()
        };
        let before = logits(&[3, 1, 4, 1, 5, 9]);
        for changed in 0..context {
            let mut tokens = [3, 1, 4, 1, 5, 9];
            tokens[changed] = 10;
            let after = logits(&tokens);
            for place in 0..context {
                let of = |logits: &[f32]| logits[vocabulary * place..][..vocabulary].to_vec();
                assert_eq!(of(&before) == of(&after), place < changed, "token {place}, {changed} changed");
            }
        }
        // A shorter window is the beginning of a longer one.
        let short = logits(&[3, 1, 4]);
        for (short, long) in short.iter().zip(&before) {
            assert!((short - long).abs() < 1e-6, "{short} {long}");
        }
    }

    #[test]
    fn a_step_of_the_proxy_costs_a_twentieth() {
        let step = |model: &Gpt| {
            let layers = model.layers(Shape::Tokens(64)).unwrap();
            layers.iter().map(|layer| layer.forward + layer.weight_gradient + layer.input_gradient).sum::<u64>()
        };
        let full = network(&[], 64, 65).unwrap();
        let proxy = full.proxy(Weights::of(Purpose::AuxiliaryWeights, 0, Random::new(1), &Device::flex())).unwrap();
        assert_eq!(proxy.transformer.wte.weight.dims(), [65, 24]);
        let share = step(&proxy) as f64 / step(&full) as f64;
        assert!((0.045..0.055).contains(&share), "{share}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |given: &[_], context| network(given, context, 5).unwrap_err().to_string();
        assert_eq!(refused(&[("heads", 3)], 8), "`width` = 128 is not a multiple of `heads` = 3");
        assert!(refused(&[], 0).ends_with(NEEDS));
        let model = network(&[("depth", 1)], 8, 5).unwrap();
        assert!(model.layers(Shape::Tokens(9)).is_err() && model.layers(Shape::Tokens(3)).is_ok());
        assert!(model.layers(Shape::Image([3, 8, 8])).unwrap_err().to_string().ends_with(NEEDS));
    }
}
