//! Entropy of the predicted distribution, `H(p) = -sum p log p`: high where the network is unsure. The label is
//! ignored.

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "entropy",
    family: Literature,
    summary: "H(p) = -sum p log p of the prediction; ignores the label",
    params: &[],
    build: |_| Ok(Box::new(Entropy)),
}

struct Entropy;

impl Scorer for Entropy {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::Entropy]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.get(Statistic::Entropy)?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    #[test]
    fn is_the_entropy_and_not_the_loss() {
        let seen = Observation::new(vec![4, 9], vec![0.1, 2.5]).with(Statistic::Entropy, vec![1.5, 0.25]);
        assert_eq!(Entropy.score(&seen, &context()).unwrap(), [1.5, 0.25]);
    }
}
