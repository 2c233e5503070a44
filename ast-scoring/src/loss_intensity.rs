//! The original's significance: how wrong the network is, mixed with how much there is to see.
//!
//! `w1 l / lbar + w2 sigma / sigmabar`, with `lbar` the smoothed mean loss of *coverage* samples (a mean over selected
//! ones would be biased), `sigma` the standard deviation of the image's own pixels and `sigmabar` its mean over the
//! training set. Weights 0.7 and 0.3 as in the Adaptive Sparse Training script.

use ast_core::burn::tensor::Tensor;
use ast_core::plugin::{ParamKind, ParamSpec};
use ast_core::score::{Context, Needs, Observation, ScoreError, Scorer};

ast_core::register_scorer! {
    name: "loss-intensity",
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
    fn needs(&self) -> Needs {
        Needs { input_std: true, ..Needs::default() }
    }

    fn score(&self, seen: &Observation, context: &Context) -> Result<Tensor<1>, ScoreError> {
        let input_std = seen.input_std.clone().ok_or(ScoreError::Missing("input_std"))?;
        // A mean of 0 means that all values are 0: then this part says nothing.
        let over = |weight: f64, mean: f64| if mean > 0.0 { weight / mean } else { 0.0 };
        let loss = seen.loss.clone() * over(self.loss, context.mean_loss);
        Ok(loss + input_std * over(self.intensity, context.mean_input_std))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::burn::tensor::Device;
    use ast_core::testing::{context, observation};

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    #[test]
    fn is_the_formula_with_the_context_s_means() {
        let seen = observation(20, 10, 5, &Device::flex());
        let got = values(LossIntensity { loss: 0.7, intensity: 0.3 }.score(&seen, &context()).unwrap());
        let (loss, std) = (values(seen.loss.clone()), values(seen.input_std.clone().unwrap()));
        for i in 0..20 {
            let expected = 0.7 * loss[i] / 1.7 + 0.3 * std[i] / 0.24;
            assert!((got[i] - expected).abs() < 1e-5, "{} {expected}", got[i]);
        }
    }

    #[test]
    fn says_what_it_lacks() {
        let mut seen = observation(2, 2, 5, &Device::flex());
        seen.input_std = None;
        let error = LossIntensity { loss: 0.7, intensity: 0.3 }.score(&seen, &context()).unwrap_err();
        assert!(error.to_string().contains("input_std"));
    }
}
