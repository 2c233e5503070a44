use serde::{Deserialize, Serialize};

/// The setpoint of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Setpoint {
    /// Desired activation rate, 0..=1.
    pub target: f64,
    /// Feed-forward: the threshold, 0..=1, that would give `target` if the plant were exactly known.
    pub bias: f64,
}

/// A controller's output and its parts. A log of them is enough to tune from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The threshold to use for the next chunk, within the controller's bounds.
    pub threshold: f64,
    /// The smoothed activation rate.
    pub rate: f64,
    /// Smoothed rate minus target. Positive: too many pass.
    pub error: f64,
    /// Proportional part of the threshold.
    pub proportional: f64,
    /// The integral that is kept for the next update. `bias + proportional + integral` is the threshold, unless the
    /// threshold is at a bound: anti-windup may then reduce the integral.
    pub integral: f64,
}

/// A feedback controller: moves a threshold so that a measured rate approaches a target.
pub trait Controller {
    /// Takes the rate measured over the last chunk (0..=1) and returns the threshold for the next one.
    ///
    /// # Errors
    /// [`ControlError::NotFinite`] if any number is NaN or infinite; the controller is then unchanged.
    fn update(&mut self, rate: f64, setpoint: Setpoint) -> Result<Output, ControlError>;

    /// The threshold to use before the first update.
    fn threshold(&self, setpoint: Setpoint) -> f64;
}

/// Why a controller refused an input or its parameters.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ControlError {
    /// A measurement or setpoint is NaN or infinite.
    #[error("{what} is {value}, not a finite number")]
    NotFinite {
        /// Which quantity.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A parameter lies outside its range.
    #[error("{name} = {value} is outside {range}")]
    OutOfRange {
        /// The parameter's name.
        name: &'static str,
        /// Its value.
        value: f64,
        /// The range it must lie in.
        range: &'static str,
    },
    /// The gains would make the loop oscillate with growing amplitude.
    #[error(
        "the loop would be unstable: gain x (kp + ki/2) = {actual:.3} must stay below (2 - ema)/ema = {limit:.3}; lower kp, ki or ema"
    )]
    Unstable {
        /// `g (kp + ki/2)`.
        actual: f64,
        /// `(2 - alpha)/alpha`.
        limit: f64,
    },
}

/// Checks that every named value is finite; the error names the first that is not.
pub(crate) fn finite(values: [(&'static str, f64); 3]) -> Result<(), ControlError> {
    match values.into_iter().find(|(_, value)| !value.is_finite()) {
        Some((what, value)) => Err(ControlError::NotFinite { what, value }),
        None => Ok(()),
    }
}

/// A constant threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fixed(
    /// The threshold.
    pub f64,
);

impl Controller for Fixed {
    fn update(&mut self, rate: f64, setpoint: Setpoint) -> Result<Output, ControlError> {
        finite([("rate", rate), ("target", setpoint.target), ("bias", setpoint.bias)])?;
        Ok(Output { threshold: self.0, rate, error: rate - setpoint.target, proportional: 0.0, integral: 0.0 })
    }

    fn threshold(&self, _: Setpoint) -> f64 {
        self.0
    }
}
