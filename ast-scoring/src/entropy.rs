//! `H(p) = -sum p log p` of the predicted distribution: what the network is least sure of, whatever the label.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "entropy",
    summary: "H(p) = -sum p log p of the prediction; ignores the label",
    params: &[],
    build: |_| Ok(Box::new(Entropy)),
}

struct Entropy;

impl Scorer for Entropy {
    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        Ok(seen.entropy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{probabilities, values};
    use ast_core::burn::tensor::Device;
    use ast_core::testing::{context, observation};

    /// Against the definition in f64, and its bounds 0..=log(classes).
    #[test]
    fn is_the_definition() {
        let seen = observation(20, 10, 5, &Device::flex());
        let got = values(Entropy.score(&seen, &context()).unwrap());
        for ((p, _), got) in probabilities(&seen).into_iter().zip(got) {
            let expected = -p.iter().map(|p| p * p.ln()).sum::<f64>();
            assert!((f64::from(got) - expected).abs() < 1e-5);
            assert!((0.0..=10f64.ln() + 1e-6).contains(&f64::from(got)));
        }
    }
}
