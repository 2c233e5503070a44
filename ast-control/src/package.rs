use serde::{Deserialize, Serialize};

use crate::controller::{ControlError, Controller, Output, Setpoint, finite};

const KP: f64 = 0.005;
const KI: f64 = 0.0001;
const SMOOTHING: f64 = 0.1;
const START: f64 = 3.0;
const LOWEST: f64 = 0.5;
const HIGHEST: f64 = 10.0;
const INTEGRAL_LIMIT: f64 = 100.0;
const INTEGRAL_DECAY: f64 = 0.9;

/// The controller of the PyPI package `adaptive-sparse-training` 1.0.1, on raw scores; kept for comparison.
///
/// `I += e` while `0.5 < theta < 10` (within +-100), else `I *= 0.9`; then `theta = clamp(theta + 0.005 e + 0.0001 I,
/// 0.5, 10)`. The start is `theta = 3`. The rate is smoothed with alpha = 0.1, starting at the target. Like
/// [`OriginalController`] it adds its terms to the previous threshold. [`Setpoint::bias`] is ignored.
///
/// [`OriginalController`]: crate::OriginalController
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PackageController {
    threshold: f64,
    rate: Option<f64>,
    integral: f64,
}

impl Default for PackageController {
    fn default() -> Self {
        Self { threshold: START, rate: None, integral: 0.0 }
    }
}

impl Controller for PackageController {
    fn update(&mut self, rate: f64, setpoint: Setpoint) -> Result<Output, ControlError> {
        finite([("rate", rate), ("target", setpoint.target), ("bias", setpoint.bias)])?;
        let rate = SMOOTHING * rate + (1.0 - SMOOTHING) * self.rate.unwrap_or(setpoint.target);
        self.rate = Some(rate);
        let error = rate - setpoint.target;
        if self.threshold > LOWEST && self.threshold < HIGHEST {
            self.integral = (self.integral + error).clamp(-INTEGRAL_LIMIT, INTEGRAL_LIMIT);
        } else {
            self.integral *= INTEGRAL_DECAY;
        }
        let (proportional, integral) = (KP * error, KI * self.integral);
        self.threshold = (self.threshold + proportional + integral).clamp(LOWEST, HIGHEST);
        Ok(Output { threshold: self.threshold, rate, error, proportional, integral })
    }

    fn threshold(&self, _: Setpoint) -> f64 {
        self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENTH: Setpoint = Setpoint { target: 0.1, bias: 0.0 };

    /// Two updates worked out by hand.
    #[test]
    fn follows_the_package_s_formula() {
        let mut package = PackageController::default();
        // EMA = 0.1 x 0.6 + 0.9 x 0.1 = 0.15: e = 0.05 = I: 3 + 0.00025 + 0.000005
        let first = package.update(0.6, TENTH).unwrap();
        assert!((first.threshold - 3.000_255).abs() < 1e-12);
        // EMA = 0.1 x 0.1 + 0.9 x 0.15 = 0.145: e = 0.045, I = 0.095: + 0.000225 + 0.0000095
        let second = package.update(0.1, TENTH).unwrap();
        assert!((second.threshold - 3.000_489_5).abs() < 1e-12);
    }

    /// At a bound the integral decays instead of growing.
    #[test]
    fn the_integral_decays_at_a_bound() {
        let mut package = PackageController { threshold: 0.5, rate: Some(0.0), integral: -10.0 };
        let output = package.update(0.0, TENTH).unwrap();
        assert_eq!((package.integral, output.threshold), (-9.0, 0.5));
    }

    #[test]
    fn refuses_nan_unchanged() {
        let mut package = PackageController::default();
        let before = package.clone();
        assert!(package.update(f64::NAN, TENTH).is_err());
        assert_eq!(package, before);
    }
}
