//! Uniform noise: the control. A policy that gains as much with this scorer as with another gains nothing from scores.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "random",
    summary: "uniform noise: the control for every other scorer",
    params: &[],
    build: |_| Ok(Box::new(Random)),
}

struct Random;

impl Scorer for Random {
    fn score(&self, seen: &Observation, context: &Context) -> Result<Tensor<1>, ScoreError> {
        Ok(context.uniform(seen))
    }
}
