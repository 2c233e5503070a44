//! `1 - (p_y - max_{j != y} p_j)`: how far the right answer is from winning, 0..=2.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "margin",
    summary: "1 - (p_y - max of the others), 0..2: how far the right answer is from winning",
    params: &[],
    build: |_| Ok(Box::new(Margin)),
}

struct Margin;

impl Scorer for Margin {
    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        let (p, target) = (seen.probabilities(), seen.one_hot());
        let right = (p.clone() * target.clone()).sum_dim(1);
        // Minus 2 takes the target out of the running.
        let best_other = (p - target * 2.0).max_dim(1);
        Ok((best_other - right + 1.0).squeeze_dim(1))
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
        let got = values(Margin.score(&seen, &context()).unwrap());
        for ((p, y), got) in probabilities(&seen).into_iter().zip(got) {
            let other = p.iter().enumerate().filter(|(j, _)| *j != y).map(|(_, p)| *p).fold(0.0, f64::max);
            assert!((f64::from(got) - (1.0 - (p[y] - other))).abs() < 1e-5);
        }
    }
}
