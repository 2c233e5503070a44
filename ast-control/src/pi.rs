use serde::{Deserialize, Serialize};

use crate::controller::{ControlError, Controller, Output, Setpoint, finite};
use crate::ema::Ema;

/// Gains of a [`PiController`], unchecked.
///
/// | field | default | range |
/// |---|---|---|
/// | `kp` | 0.1 | finite, >= 0 |
/// | `ki` | 0.1 | finite, > 0 |
/// | `ema` | 0.3 | (0, 1] |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PiConfig {
    /// Proportional gain, in threshold per unit of activation rate.
    pub kp: f64,
    /// Integral gain per update.
    pub ki: f64,
    /// Weight of the newest chunk in the smoothed rate (alpha).
    pub ema: f64,
}

impl Default for PiConfig {
    fn default() -> Self {
        Self { kp: 0.1, ki: 0.1, ema: 0.3 }
    }
}

impl PiConfig {
    /// Checks the gains against a plant of absolute gain `plant` (rate lost per unit of threshold, 0..=1 in rank space).
    ///
    /// With rate `r = r0 - g theta`, smoothing `y += alpha (r - y)` and `theta = kp e + sum(ki e)`, the characteristic
    /// polynomial is `z^2 - (2 - alpha - alpha g (kp + ki)) z + (1 - alpha - alpha g kp)`. Jury's conditions reduce to
    /// `ki > 0` and `g (kp + ki/2) < (2 - alpha)/alpha`.
    ///
    /// # Errors
    /// [`ControlError::OutOfRange`] or [`ControlError::Unstable`].
    pub fn check(self, plant: f64) -> Result<PiController, ControlError> {
        let within = |name, value: f64, ok: bool, range| match ok && value.is_finite() {
            true => Ok(()),
            false => Err(ControlError::OutOfRange { name, value, range }),
        };
        within("kp", self.kp, self.kp >= 0.0, "0 and above")?;
        within("ki", self.ki, self.ki > 0.0, "above 0")?;
        within("ema", self.ema, self.ema > 0.0 && self.ema <= 1.0, "(0, 1]")?;
        let (actual, limit) = (plant.abs() * (self.kp + self.ki / 2.0), (2.0 - self.ema) / self.ema);
        if actual >= limit {
            return Err(ControlError::Unstable { actual, limit });
        }
        Ok(PiController { config: self, rate: Ema::new(self.ema), integral: 0.0 })
    }
}

/// Positional PI controller with feed-forward, on an exponentially smoothed rate.
///
/// `e = EMA(rate) - target`, `theta = clamp(bias + kp e + I, 0, 1)`, `I += ki e`.
///
/// Two remedies against wind-up (Åström & Hägglund, *Advanced PID Control*, 2006, section 3.5): *conditional
/// integration* keeps the integral unchanged while the output is saturated and the error would push it further;
/// *back-calculation* reduces the integral by what the clamp cut off, with tracking gain `min(1, ki/kp)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PiController {
    config: PiConfig,
    rate: Ema,
    integral: f64,
}

impl Controller for PiController {
    fn update(&mut self, rate: f64, setpoint: Setpoint) -> Result<Output, ControlError> {
        finite([("rate", rate), ("target", setpoint.target), ("bias", setpoint.bias)])?;
        let PiConfig { kp, ki, .. } = self.config;
        let rate = self.rate.update(rate);
        let error = rate - setpoint.target;
        let proportional = kp * error;
        let wanted = |integral: f64| setpoint.bias + proportional + integral;

        let integrated = wanted(self.integral + ki * error);
        let threshold = integrated.clamp(0.0, 1.0);
        let winds_up = (integrated > 1.0 && error > 0.0) || (integrated < 0.0 && error < 0.0);
        if !winds_up {
            self.integral += ki * error;
        }
        let unclamped = wanted(self.integral);
        self.integral += tracking_gain(self.config) * (unclamped.clamp(0.0, 1.0) - unclamped);

        Ok(Output { threshold, rate, error, proportional, integral: self.integral })
    }

    fn threshold(&self, setpoint: Setpoint) -> f64 {
        (setpoint.bias + self.integral).clamp(0.0, 1.0)
    }
}

fn tracking_gain(config: PiConfig) -> f64 {
    if config.kp > config.ki { config.ki / config.kp } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pi() -> PiController {
        PiConfig::default().check(1.0).unwrap()
    }

    const TENTH: Setpoint = Setpoint { target: 0.1, bias: 0.9 };

    #[test]
    fn a_high_rate_raises_the_threshold_and_a_low_rate_lowers_it() {
        assert!(pi().update(0.5, TENTH).unwrap().threshold > 0.9);
        assert!(pi().update(0.0, TENTH).unwrap().threshold < 0.9);
        assert_eq!(pi().update(0.1, TENTH).unwrap().threshold, 0.9);
    }

    #[test]
    fn parts_add_up_to_the_threshold() {
        let out = pi().update(0.2, TENTH).unwrap();
        assert!((out.threshold - (TENTH.bias + out.proportional + out.integral)).abs() < 1e-15);
        assert!((out.proportional - 0.1 * 0.1).abs() < 1e-15);
        assert!((out.integral - 0.1 * 0.1).abs() < 1e-15);
    }

    #[test]
    fn nan_is_refused_and_changes_nothing() {
        let mut controller = pi();
        controller.update(0.3, TENTH).unwrap();
        let before = controller.clone();
        for rate in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(matches!(controller.update(rate, TENTH), Err(ControlError::NotFinite { what: "rate", .. })));
        }
        let broken = Setpoint { target: f64::NAN, bias: 0.9 };
        assert!(matches!(controller.update(0.1, broken), Err(ControlError::NotFinite { what: "target", .. })));
        assert_eq!(controller, before);
    }

    #[test]
    fn gains_are_checked() {
        let with = |kp, ki, ema| PiConfig { kp, ki, ema }.check(1.0);
        assert!(matches!(with(-0.1, 0.1, 0.3), Err(ControlError::OutOfRange { name: "kp", .. })));
        assert!(matches!(with(0.1, 0.0, 0.3), Err(ControlError::OutOfRange { name: "ki", .. })));
        assert!(matches!(with(0.1, 0.1, 0.0), Err(ControlError::OutOfRange { name: "ema", .. })));
        assert!(matches!(with(f64::NAN, 0.1, 0.3), Err(ControlError::OutOfRange { name: "kp", .. })));
        assert!(matches!(with(6.0, 0.1, 0.3), Err(ControlError::Unstable { .. })));
        assert!(with(0.0, 0.1, 1.0).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn threshold_stays_in_bounds(rates in prop::collection::vec(0.0..=1.0f64, 1..200), target in 0.01..1.0f64) {
            let mut controller = pi();
            for rate in rates {
                let out = controller.update(rate, Setpoint { target, bias: 1.0 - target }).unwrap();
                prop_assert!((0.0..=1.0).contains(&out.threshold));
            }
        }

        /// However long the saturation lasts, the integral stays within what the clamp can use.
        #[test]
        fn the_integral_never_winds_up(steps in 1usize..2000, high in any::<bool>()) {
            let mut controller = pi();
            for _ in 0..steps {
                controller.update(f64::from(u8::from(high)), TENTH).unwrap();
            }
            let out = controller.update(f64::from(u8::from(high)), TENTH).unwrap();
            prop_assert!(out.integral.abs() <= 1.0, "{out:?}");
        }

        /// From the same state, a higher rate never gives a lower threshold.
        #[test]
        fn response_is_monotone(past in prop::collection::vec(0.0..=1.0f64, 0..50), a in 0.0..=1.0f64, b in 0.0..=1.0f64) {
            let mut controller = pi();
            for rate in past {
                controller.update(rate, TENTH).unwrap();
            }
            let mut twin = controller.clone();
            let (low, high) = (a.min(b), a.max(b));
            let low = controller.update(low, TENTH).unwrap().threshold;
            let high = twin.update(high, TENTH).unwrap().threshold;
            prop_assert!(low <= high + 1e-12);
        }

        /// A controller that is saved and restored continues with the same outputs.
        #[test]
        fn survives_serde(past in prop::collection::vec(0.0..=1.0f64, 0..50), next in 0.0..=1.0f64) {
            let mut controller = pi();
            for rate in past {
                controller.update(rate, TENTH).unwrap();
            }
            let text = serde_json::to_string(&controller).unwrap();
            let mut twin: PiController = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(controller.update(next, TENTH), twin.update(next, TENTH));
        }
    }
}
