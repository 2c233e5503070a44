//! `|p - onehot(y)|`, the error L2 norm: Paul, Ganguli & Dziugaite, *Deep Learning on a Data Diet*, NeurIPS 2021.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "el2n",
    summary: "|p - onehot(y)|, the error's L2 norm (Paul et al. 2021)",
    params: &[],
    build: |_| Ok(Box::new(El2n)),
}

struct El2n;

impl Scorer for El2n {
    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        let error = seen.probabilities() - seen.one_hot();
        Ok(error.powi_scalar(2).sum_dim(1).sqrt().squeeze_dim(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{probabilities, values};
    use ast_core::burn::tensor::Device;
    use ast_core::testing::{context, observation};

    #[test]
    fn is_the_definition() {
        let seen = observation(20, 10, 5, &Device::flex());
        let got = values(El2n.score(&seen, &context()).unwrap());
        for ((p, y), got) in probabilities(&seen).into_iter().zip(got) {
            let error = |j: usize| p[j] - if j == y { 1.0 } else { 0.0 };
            let expected = (0..10).map(|j| error(j).powi(2)).sum::<f64>().sqrt();
            assert!((f64::from(got) - expected).abs() < 1e-5);
        }
    }
}
