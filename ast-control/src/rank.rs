use serde::{Deserialize, Serialize};

use crate::controller::{ControlError, Controller, Output, Setpoint, finite};
use crate::ema::Ema;
use crate::original::OriginalController;
use crate::pi::PiController;

/// Three ways to hold a rate in rank space, where the plant is known; for comparison under one gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RankControl {
    /// Feed-forward and PI. The number is the proportional part of the last output.
    Pi(PiController, f64),
    /// Feed-forward alone: the exact quantile. The measured rate is smoothed and reported but not used.
    Quantile(Ema),
    /// The original script's incremental update, without feed-forward.
    #[serde(rename = "Seed")] // its name in checkpoints
    Original(OriginalController),
}

impl RankControl {
    /// Feed-forward and PI.
    #[must_use]
    pub fn pi(controller: PiController) -> Self {
        Self::Pi(controller, 0.0)
    }

    /// Feed-forward alone; `ema` in (0, 1] smooths the rate that is reported.
    #[must_use]
    pub fn quantile(ema: f64) -> Self {
        Self::Quantile(Ema::new(ema))
    }

    /// The original script's incremental update.
    #[must_use]
    pub fn original() -> Self {
        Self::Original(OriginalController::default())
    }
}

impl Controller for RankControl {
    fn update(&mut self, rate: f64, setpoint: Setpoint) -> Result<Output, ControlError> {
        match self {
            Self::Pi(controller, proportional) => {
                let output = controller.update(rate, setpoint)?;
                *proportional = output.proportional;
                Ok(output)
            }
            Self::Quantile(smoothed) => {
                finite([("rate", rate), ("target", setpoint.target), ("bias", setpoint.bias)])?;
                let rate = smoothed.update(rate);
                let threshold = setpoint.bias.clamp(0.0, 1.0);
                Ok(Output { threshold, rate, error: rate - setpoint.target, proportional: 0.0, integral: 0.0 })
            }
            Self::Original(controller) => controller.update(rate, setpoint),
        }
    }

    /// The threshold for the next chunk. It uses the current bias, because the setpoint may have moved since the last
    /// update.
    fn threshold(&self, setpoint: Setpoint) -> f64 {
        match self {
            Self::Pi(controller, proportional) => (controller.threshold(setpoint) + proportional).clamp(0.0, 1.0),
            Self::Quantile(_) => setpoint.bias.clamp(0.0, 1.0),
            Self::Original(controller) => controller.threshold(setpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pi::PiConfig;
    use crate::simulate::simulate;

    const TENTH: Setpoint = Setpoint { target: 0.1, bias: 0.9 };

    /// On the ideal plant, `rate = 1 - threshold`, feed-forward is exact from the start and PI has nothing to correct.
    /// The original's incremental update starts at 0.5 and needs thousands of chunks.
    #[test]
    fn on_the_ideal_plant_only_the_original_is_off_target() {
        let end = |mut control: RankControl, steps| {
            simulate(&mut control, steps, |_| TENTH, |_, threshold| 1.0 - threshold).unwrap().pop().unwrap().rate
        };
        assert!((end(RankControl::quantile(0.3), 1) - 0.1).abs() < 1e-12);
        assert!((end(RankControl::pi(PiConfig::default().check(1.0).unwrap()), 1) - 0.1).abs() < 1e-12);
        assert!(end(RankControl::original(), 100) > 0.3);
    }

    /// A fifth of the candidates above the threshold is not eligible. Feed-forward stays a fifth short of the target;
    /// PI corrects it.
    #[test]
    fn only_feedback_corrects_ineligible_candidates() {
        let end = |mut control: RankControl| {
            simulate(&mut control, 400, |_| TENTH, |_, threshold| 0.8 * (1.0 - threshold)).unwrap().pop().unwrap().rate
        };
        assert!((end(RankControl::quantile(0.3)) - 0.08).abs() < 1e-12);
        assert!((end(RankControl::pi(PiConfig::default().check(1.0).unwrap())) - 0.1).abs() < 1e-4);
    }

    /// The original's update keeps its first name in checkpoints.
    #[test]
    fn the_name_in_checkpoints_stays() {
        let saved = serde_json::to_string(&RankControl::original()).unwrap();
        assert!(saved.starts_with("{\"Seed\":"), "{saved}");
        assert_eq!(serde_json::from_str::<RankControl>(&saved).unwrap(), RankControl::original());
    }

    /// The bias may move between two chunks. The threshold in force then uses the new bias.
    #[test]
    fn a_moved_bias_takes_effect_at_once() {
        let mut control = RankControl::pi(PiConfig::default().check(1.0).unwrap());
        let output = control.update(0.2, TENTH).unwrap();
        assert!((control.threshold(TENTH) - output.threshold).abs() < 1e-12);
        let moved = Setpoint { bias: 0.8, ..TENTH };
        assert!((control.threshold(moved) - (output.threshold - 0.1)).abs() < 1e-12);
        assert!(RankControl::quantile(0.3).update(f64::NAN, TENTH).is_err());
    }
}
