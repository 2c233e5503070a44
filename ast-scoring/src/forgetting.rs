//! How often a sample was right and then wrong.
//!
//! Toneva et al., *An Empirical Study of Example Forgetting during Deep Neural Network Learning*, ICLR 2019: the number of
//! transitions from correct to wrong between successive visits, this one included.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, History, Needs, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "forgetting",
    summary: "how often it was correct and then wrong (Toneva et al. 2019)",
    params: &[],
    build: |_| Ok(Box::new(Forgetting)),
}

struct Forgetting;

impl Scorer for Forgetting {
    fn needs(&self) -> Needs {
        Needs { history: true, ..Needs::default() }
    }

    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        let History { forgotten, correct, .. } = seen.history.clone().ok_or(ScoreError::Missing("history"))?;
        Ok(forgotten + correct * (1.0 - seen.correct()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{probabilities, values};
    use ast_core::burn::tensor::Device;
    use ast_core::testing::{context, observation};

    #[test]
    fn counts_this_visit_too() {
        let seen = observation(40, 3, 5, &Device::flex());
        let got = values(Forgetting.score(&seen, &context()).unwrap());
        let history = seen.history.clone().unwrap();
        let (before, was_correct) = (values(history.forgotten), values(history.correct));
        let mut forgotten = 0;
        for (i, (p, target)) in probabilities(&seen).into_iter().enumerate() {
            let wrong = p.iter().any(|other| *other > p[target]);
            let now = wrong && was_correct[i] == 1.0;
            assert_eq!(got[i], before[i] + f32::from(u8::from(now)));
            forgotten += usize::from(now);
        }
        assert!(forgotten > 3, "{forgotten}");
    }
}
