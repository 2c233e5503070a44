//! One minus the margin, `1 - (p_y - max_{j != y} p_j)`, 0..=2: how far the right class is from winning.

use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "margin",
    family: Literature,
    summary: "1 - (p_y - max of the others), 0..2: how far the right class is from winning",
    params: &[],
    build: |_| Ok(Box::new(Margin)),
}

struct Margin;

impl Scorer for Margin {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::Margin]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.get(Statistic::Margin)?.iter().map(|margin| 1.0 - margin).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    /// Confidently right, probably right, undecided, confidently wrong.
    #[test]
    fn grows_as_the_right_class_loses() {
        let seen = Observation::new(vec![1, 2, 3, 4], vec![1.0; 4]).with(Statistic::Margin, vec![1.0, 0.25, 0.0, -1.0]);
        assert_eq!(Margin.score(&seen, &context()).unwrap(), [0.0, 0.75, 1.0, 2.0]);
    }
}
