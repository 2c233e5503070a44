//! `-log p_y`: what the network gets most wrong.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "loss",
    summary: "-log p_y, the cross-entropy of the sample",
    params: &[],
    build: |_| Ok(Box::new(Loss)),
}

struct Loss;

impl Scorer for Loss {
    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        Ok(seen.loss.clone())
    }
}
