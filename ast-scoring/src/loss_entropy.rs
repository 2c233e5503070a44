//! `0.7 l + 0.3 H(p)`: the significance of the original's PyPI package (adaptive-sparse-training 1.0.1).

use ast_core::burn::tensor::Tensor;
use ast_core::plugin::{ParamKind, ParamSpec};
use ast_core::score::{Context, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "loss-entropy",
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
    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        Ok(seen.loss.clone() * self.loss + seen.entropy() * self.entropy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{probabilities, values};
    use ast_core::burn::tensor::Device;
    use ast_core::testing::{context, observation};

    #[test]
    fn is_the_weighted_sum() {
        let seen = observation(20, 10, 5, &Device::flex());
        let got = values(LossEntropy { loss: 0.7, entropy: 0.3 }.score(&seen, &context()).unwrap());
        for ((p, y), got) in probabilities(&seen).into_iter().zip(got) {
            let entropy = -p.iter().map(|p| p * p.ln()).sum::<f64>();
            assert!((f64::from(got) - (0.7 * -p[y].ln() + 0.3 * entropy)).abs() < 1e-5);
        }
    }
}
