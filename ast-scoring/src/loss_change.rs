//! How much a sample's loss has been moving: what is learned, or unlearned, moves; what is known, or hopeless, does not.
//!
//! Smoothed absolute difference between the losses of successive visits, as in evolved sampling and instance-dependent early
//! stopping, the newest with weight 0.3. The first time, the loss before is that of a guess, `ln classes`.

use ast_core::burn::tensor::Tensor;
use ast_core::score::{Context, History, Needs, Observation, ScoreError, Scorer};

/// Weight of the newest change: that of the ledger.
const NEWEST: f64 = 0.3;

ast_core::register_scorer! {
    name: "loss-change",
    summary: "smoothed |loss - loss the time before|: what is being learned or unlearned",
    params: &[],
    build: |_| Ok(Box::new(LossChange)),
}

struct LossChange;

impl Scorer for LossChange {
    fn needs(&self) -> Needs {
        Needs { history: true, ..Needs::default() }
    }

    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        let History { loss, change, .. } = seen.history.clone().ok_or(ScoreError::Missing("history"))?;
        let now = (seen.loss.clone() - loss).abs();
        // Before the second visit there is no average yet.
        let first = change.clone().equal_elem(0.0).float();
        Ok(change.clone() + (now - change) * (first * (1.0 - NEWEST) + NEWEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::values;
    use ast_core::burn::tensor::Device;
    use ast_core::testing::{context, observation};

    #[test]
    fn is_the_smoothed_change() {
        let seen = observation(7, 10, 5, &Device::flex());
        let got = values(LossChange.score(&seen, &context()).unwrap());
        let history = seen.history.clone().unwrap();
        let (loss, before, change) = (values(seen.loss), values(history.loss), values(history.change));
        assert_eq!(change[0], 0.0, "one of them has no average yet");
        for i in 0..7 {
            let now = (loss[i] - before[i]).abs();
            let expected = if i == 0 { now } else { 0.7 * change[i] + 0.3 * now };
            assert!((got[i] - expected).abs() < 1e-5, "{} {expected}", got[i]);
        }
    }
}
