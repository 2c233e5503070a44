//! Uniform noise: the control. If a policy gains as much with this scorer as with another, the other's scores are worth
//! nothing.

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "random",
    family: Baseline,
    summary: "uniform noise: the control for every other scorer",
    params: &[],
    build: |_| Ok(Box::new(Random)),
}

struct Random;

impl Scorer for Random {
    fn score(&self, seen: &Observation, context: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(context.uniform(seen.ids()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    #[test]
    fn depends_on_sample_and_step_and_not_on_the_loss() {
        let scores = |ids: [u32; 2], loss: f32, context: &ScoreContext| {
            Random.score(&Observation::new(ids.to_vec(), vec![loss; 2]), context).unwrap()
        };
        let got = scores([4, 9], 0.5, &context());
        assert!(got[0] != got[1] && got.iter().all(|score| (0.0..1.0).contains(score)), "{got:?}");
        assert_eq!(scores([9, 4], 2.5, &context()), [got[1], got[0]]);
        let later = scores([4, 9], 0.5, &ScoreContext { step: 43, ..context() });
        assert!(later[0] != got[0] && later[1] != got[1], "{got:?} {later:?}");
    }
}
