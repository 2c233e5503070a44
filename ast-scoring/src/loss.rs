//! The cross-entropy of the sample, `-log p_y`: high where the network is most wrong.

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "loss",
    family: Literature,
    summary: "-log p_y, the cross-entropy of the sample",
    params: &[],
    build: |_| Ok(Box::new(Loss)),
}

struct Loss;

impl Scorer for Loss {
    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.loss().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    #[test]
    fn is_the_loss() {
        let seen = Observation::new(vec![4, 9], vec![0.25, 3.0]);
        assert_eq!(Loss.score(&seen, &context()).unwrap(), [0.25, 3.0]);
    }
}
