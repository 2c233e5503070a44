//! The exact norm of the loss's gradient with respect to the last linear layer, bias included: `|p - onehot(y)| sqrt(1
//! + |h|^2)`.
//!
//! The logits are `W h + b`. The gradient with respect to `b` is `p - onehot(y)`; the one with respect to `W` is its
//! outer product with `h`. This is GraNd of the last layer in DeepCore (Guo, Zhao & Bai 2022). The bound of
//! Katharopoulos & Fleuret, *Not All Samples Are Created Equal*, ICML 2018, is the gradient with respect to the logits,
//! without `h`: that is `el2n`.

use std::iter::zip;

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "grad-norm",
    family: Literature,
    summary: "|p - onehot(y)| sqrt(1 + |h|^2): exact gradient norm of the last layer (GraNd of the last layer, DeepCore 2022)",
    params: &[],
    build: |_| Ok(Box::new(GradNorm)),
}

struct GradNorm;

impl Scorer for GradNorm {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::ErrorNorm, Statistic::FeatureNorm]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        let norms = zip(seen.get(Statistic::ErrorNorm)?, seen.get(Statistic::FeatureNorm)?);
        Ok(norms.map(|(error, input)| error * (input * input + 1.0).sqrt()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    /// `sqrt(1 + |h|^2)` is 1, 1.25 and 2.125.
    #[test]
    fn is_the_product_of_the_error_and_the_input_with_its_bias() {
        let seen = Observation::new(vec![1, 2, 3], vec![1.0; 3])
            .with(Statistic::ErrorNorm, vec![0.5, 1.0, 0.5])
            .with(Statistic::FeatureNorm, vec![0.0, 0.75, 1.875]);
        assert_eq!(GradNorm.score(&seen, &context()).unwrap(), [0.5, 1.25, 1.0625]);
    }
}
