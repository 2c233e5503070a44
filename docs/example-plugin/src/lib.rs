//! A scorer of your own, in a crate of your own: it needs `ast-core` and nothing else of this workspace.
#![forbid(unsafe_code)]

use ast_core::burn::tensor::Tensor;
use ast_core::burn::tensor::activation::softmax;
use ast_core::plugin::{ParamKind, ParamSpec};
use ast_core::score::{Context, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "doubt",
    summary: "(1 - max p)^power: how far the network is from being certain",
    params: &[ParamSpec {
        name: "power",
        summary: "sharpness; ranks, and so selection, do not depend on it",
        kind: ParamKind::Number { default: 1.0, min: 0.1, max: 10.0 },
    }],
    build: |params| Ok(Box::new(Doubt { power: params.number("power")? })),
}

struct Doubt {
    power: f64,
}

impl Scorer for Doubt {
    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        let most_likely = softmax(seen.logits.clone(), 1).max_dim(1).squeeze_dim::<1>(1);
        Ok((most_likely.neg() + 1.0).powf_scalar(self.power))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_contract() {
        ast_core::testing::check_scorer(&Doubt { power: 2.0 }, &ast_core::burn::tensor::Device::flex());
    }
}
