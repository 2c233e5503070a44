use serde::{Deserialize, Serialize};

use crate::controller::{ControlError, Controller, Output, Setpoint, finite};
use crate::ema::Ema;

const KP: f64 = 0.0015;
const KI: f64 = 0.000_05;
const SMOOTHING: f64 = 0.3;
const START: f64 = 0.5;
const INTEGRAL_LIMIT: f64 = 50.0;
const INTEGRAL_DECAY: f64 = 0.9;

/// The controller of the original Adaptive Sparse Training script, kept for comparison.
///
/// `new = theta + 0.0015 e + 0.00005 I`; `I += e` while `0.01 < new < 0.99` (within +-50), else `I *= 0.9`; `theta =
/// clamp(new, 0, 1)`. The start is `theta = 0.5`, and the rate is smoothed with alpha = 0.3. The terms are added to the
/// *previous* threshold. The term called proportional therefore acts as an integral and the one called integral as a
/// double integral: the loop is slow and overshoots. There is no feed-forward: [`Setpoint::bias`] is ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginalController {
    threshold: f64,
    rate: Ema,
    integral: f64,
}

impl Default for OriginalController {
    fn default() -> Self {
        Self { threshold: START, rate: Ema::new(SMOOTHING), integral: 0.0 }
    }
}

impl Controller for OriginalController {
    fn update(&mut self, rate: f64, setpoint: Setpoint) -> Result<Output, ControlError> {
        finite([("rate", rate), ("target", setpoint.target), ("bias", setpoint.bias)])?;
        let rate = self.rate.update(rate);
        let error = rate - setpoint.target;
        let (proportional, integral) = (KP * error, KI * self.integral);
        let new = self.threshold + proportional + integral;
        if new > 0.01 && new < 0.99 {
            self.integral = (self.integral + error).clamp(-INTEGRAL_LIMIT, INTEGRAL_LIMIT);
        } else {
            self.integral *= INTEGRAL_DECAY;
        }
        self.threshold = new.clamp(0.0, 1.0);
        Ok(Output { threshold: self.threshold, rate, error, proportional, integral })
    }

    fn threshold(&self, _: Setpoint) -> f64 {
        self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Setpoint = Setpoint { target: 0.1, bias: 0.9 };

    /// Three updates calculated by hand from the formula.
    #[test]
    fn follows_the_original_formula() {
        let mut original = OriginalController::default();
        // rate 0.6: e = 0.5, I = 0 before: 0.5 + 0.0015 * 0.5
        let first = original.update(0.6, TENTH).unwrap();
        assert!((first.threshold - 0.500_75).abs() < 1e-12);
        // EMA = 0.6 + 0.3 (0.4 - 0.6) = 0.54: e = 0.44, I = 0.5: + 0.00066 + 0.000025
        let second = original.update(0.4, TENTH).unwrap();
        assert!((second.threshold - 0.501_435).abs() < 1e-12);
        // EMA = 0.54 + 0.3 (0.1 - 0.54) = 0.408: e = 0.308, I = 0.94: + 0.000462 + 0.000047
        let third = original.update(0.1, TENTH).unwrap();
        assert!((third.threshold - 0.501_944).abs() < 1e-12);
    }

    #[test]
    fn refuses_nan_unchanged() {
        let mut original = OriginalController::default();
        let before = original.clone();
        assert!(original.update(f64::NAN, TENTH).is_err());
        assert_eq!(original, before);
    }
}
