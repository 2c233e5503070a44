//! The number of forgetting events of a sample: transitions from correct to wrong between successive visits, this visit
//! included.
//!
//! Toneva et al., *An Empirical Study of Example Forgetting during Deep Neural Network Learning*, ICLR 2019.

use std::iter::zip;

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "forgetting",
    family: Literature,
    summary: "number of changes from correct to wrong between visits (Toneva et al. 2019)",
    params: &[],
    build: |_| Ok(Box::new(Forgetting)),
}

struct Forgetting;

impl Scorer for Forgetting {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::Forgotten, Statistic::WasCorrect, Statistic::Correct]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        let (forgotten, was_correct) = (seen.get(Statistic::Forgotten)?, seen.get(Statistic::WasCorrect)?);
        let visits = zip(zip(forgotten, was_correct), seen.get(Statistic::Correct)?);
        Ok(visits.map(|((forgotten, was_correct), correct)| forgotten + was_correct * (1.0 - correct)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    /// The four transitions between two visits. Only the one from correct to wrong counts.
    #[test]
    fn counts_this_visit_too() {
        let seen = Observation::new(vec![1, 2, 3, 4], vec![1.0; 4])
            .with(Statistic::Forgotten, vec![2.0, 2.0, 0.0, 5.0])
            .with(Statistic::WasCorrect, vec![1.0, 1.0, 0.0, 0.0])
            .with(Statistic::Correct, vec![0.0, 1.0, 0.0, 1.0]);
        assert_eq!(Forgetting.score(&seen, &context()).unwrap(), [3.0, 2.0, 0.0, 5.0]);
    }
}
