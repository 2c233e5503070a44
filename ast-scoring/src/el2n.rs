//! The L2 norm of the error, `|p - onehot(y)|`: Paul, Ganguli & Dziugaite, *Deep Learning on a Data Diet*, NeurIPS
//! 2021.

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "el2n",
    family: Literature,
    summary: "|p - onehot(y)|, the error's L2 norm (Paul et al. 2021)",
    params: &[],
    build: |_| Ok(Box::new(El2n)),
}

struct El2n;

impl Scorer for El2n {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::ErrorNorm]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.get(Statistic::ErrorNorm)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    #[test]
    fn is_the_error_norm_and_not_the_loss() {
        let seen = Observation::new(vec![4, 9], vec![0.1, 2.5]).with(Statistic::ErrorNorm, vec![0.125, 1.25]);
        assert_eq!(El2n.score(&seen, &context()).unwrap(), [0.125, 1.25]);
    }
}
