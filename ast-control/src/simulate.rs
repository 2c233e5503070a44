use serde::{Deserialize, Serialize};

use crate::controller::{ControlError, Controller, Output, Setpoint};

/// One step of the closed loop.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The setpoint at this chunk.
    pub setpoint: Setpoint,
    /// The threshold in force during this chunk.
    pub threshold: f64,
    /// The rate that the plant gave for that threshold.
    pub rate: f64,
    /// The controller's output, in force from the next chunk on.
    pub output: Output,
}

/// Runs a controller against a plant for `steps` chunks.
///
/// `setpoint(k)` is the setpoint at chunk `k`. `plant(k, threshold)` is the rate (0..=1) of chunk `k` under that
/// threshold; it may drift, lag or be noisy.
///
/// # Errors
/// The first error of the controller.
pub fn simulate(
    controller: &mut dyn Controller,
    steps: usize,
    mut setpoint: impl FnMut(usize) -> Setpoint,
    mut plant: impl FnMut(usize, f64) -> f64,
) -> Result<Vec<Record>, ControlError> {
    let mut threshold = controller.threshold(setpoint(0));
    (0..steps)
        .map(|k| {
            let setpoint = setpoint(k);
            let rate = plant(k, threshold);
            let output = controller.update(rate, setpoint)?;
            let record = Record { setpoint, threshold, rate, output };
            threshold = output.threshold;
            Ok(record)
        })
        .collect()
}
