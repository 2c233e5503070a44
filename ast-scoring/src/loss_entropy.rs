//! The significance of the original's PyPI package (adaptive-sparse-training 1.0.1): `0.7 l + 0.3 H(p)`.

use std::iter::zip;

use ast_core::plugin::{ParamKind, ParamSpec};
use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "loss-entropy",
    family: Literature,
    summary: "0.7 l + 0.3 H(p): the mix of the original's PyPI package",
    params: &[
        ParamSpec {
            name: "loss_weight",
            summary: "weight of the loss, in nats",
            kind: ParamKind::Number { default: 0.7, min: 0.0, max: 1.0 },
        },
        ParamSpec {
            name: "entropy_weight",
            summary: "weight of the entropy, in nats",
            kind: ParamKind::Number { default: 0.3, min: 0.0, max: 1.0 },
        },
    ],
    build: |params| {
        let (loss, entropy) = (params.number("loss_weight")?, params.number("entropy_weight")?);
        Ok(Box::new(LossEntropy { loss, entropy }))
    },
}

struct LossEntropy {
    loss: f64,
    entropy: f64,
}

impl Scorer for LossEntropy {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::Entropy]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        let (of_loss, of_entropy) = (self.loss as f32, self.entropy as f32);
        let both = zip(seen.loss(), seen.get(Statistic::Entropy)?);
        Ok(both.map(|(loss, entropy)| loss * of_loss + entropy * of_entropy).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    #[test]
    fn is_the_weighted_sum() {
        let seen = Observation::new(vec![1, 2, 3], vec![1.0, 2.0, 0.0]).with(Statistic::Entropy, vec![2.0, 0.0, 0.5]);
        let got = LossEntropy { loss: 0.7, entropy: 0.3 }.score(&seen, &context()).unwrap();
        for (got, expected) in zip(got, [1.3, 1.4, 0.15]) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
    }
}
