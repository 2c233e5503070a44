//! The significance of the original script: relative loss mixed with relative pixel deviation.
//!
//! `w1 l / lbar + w2 sigma / sigmabar`. `lbar` is the smoothed mean loss of *coverage* samples, because a mean over
//! selected samples would be biased. `sigma` is the standard deviation of the image's own pixels and `sigmabar` its
//! mean over the training set. Weights 0.7 and 0.3 as in the Adaptive Sparse Training script.

use std::iter::zip;

use ast_core::plugin::{ParamKind, ParamSpec};
use ast_core::score::{Observation, ScoreContext, ScoreError, Scorer, Statistic};

ast_core::register_scorer! {
    name: "loss-intensity",
    family: Literature,
    summary: "0.7 l/mean(l) + 0.3 sigma/mean(sigma), loss and pixel deviation: the original's mix (default)",
    params: &[
        ParamSpec {
            name: "loss_weight",
            summary: "weight of the loss over its mean",
            kind: ParamKind::Number { default: 0.7, min: 0.0, max: 1.0 },
        },
        ParamSpec {
            name: "intensity_weight",
            summary: "weight of the pixels' standard deviation over its mean",
            kind: ParamKind::Number { default: 0.3, min: 0.0, max: 1.0 },
        },
    ],
    build: |params| {
        let (loss, intensity) = (params.number("loss_weight")?, params.number("intensity_weight")?);
        Ok(Box::new(LossIntensity { loss, intensity }))
    },
}

struct LossIntensity {
    loss: f64,
    intensity: f64,
}

impl Scorer for LossIntensity {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::InputDeviation]
    }

    fn score(&self, seen: &Observation, context: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        // A mean of 0 means that all values are 0: the term is then left out.
        let over = |weight: f64, mean: f64| if mean > 0.0 { (weight / mean) as f32 } else { 0.0 };
        let of_loss = over(self.loss, context.mean_loss);
        let of_deviation = over(self.intensity, context.mean_input_deviation);
        let both = zip(seen.loss(), seen.get(Statistic::InputDeviation)?);
        Ok(both.map(|(loss, deviation)| loss * of_loss + deviation * of_deviation).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::context;

    const DEFAULT: LossIntensity = LossIntensity { loss: 0.7, intensity: 0.3 };

    /// The means are 1.7 and 0.24. The samples have (2, 0.5), (0.5, 2) and (0, 1) times the means.
    #[test]
    fn is_the_formula_with_the_context_s_means() {
        let seen = Observation::new(vec![1, 2, 3], vec![3.4, 0.85, 0.0])
            .with(Statistic::InputDeviation, vec![0.12, 0.48, 0.24]);
        let got = DEFAULT.score(&seen, &context()).unwrap();
        for (got, expected) in zip(got, [1.55, 0.95, 0.3]) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
    }

    #[test]
    fn a_term_whose_mean_is_zero_is_left_out() {
        let seen = Observation::new(vec![1], vec![3.4]).with(Statistic::InputDeviation, vec![0.12]);
        let no_loss = DEFAULT.score(&seen, &ScoreContext { mean_loss: 0.0, ..context() }).unwrap();
        let no_deviation = DEFAULT.score(&seen, &ScoreContext { mean_input_deviation: 0.0, ..context() }).unwrap();
        assert!((no_loss[0] - 0.15).abs() < 1e-6, "{no_loss:?}");
        assert!((no_deviation[0] - 1.4).abs() < 1e-6, "{no_deviation:?}");
    }

    #[test]
    fn a_missing_statistic_is_named() {
        let error = DEFAULT.score(&Observation::new(vec![1], vec![3.4]), &context()).unwrap_err();
        assert!(error.to_string().contains("no input deviation"), "{error}");
    }
}
