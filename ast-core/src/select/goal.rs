use ast_control::{ControlError, PiConfig};

use super::budget::Budget;

/// How much of a dataset to train, and when the run ends.
///
/// Every schedule, such as that of the learning rate, is a function of the *spent* share of this. A policy of
/// [`RunLength::Whole`], such as `dense`, trains all epochs and ignores the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// The share of the offered samples to train, in (0, 1].
    pub target: f64,
    /// Nominal epochs: how often every sample is offered, 1 and more.
    pub epochs: u32,
    /// Ends the run instead of the number of nominal epochs, if set.
    pub limit: Option<Limit>,
    /// Whether passes made only for scoring count as spent. `false` is for ablations.
    pub charges_scoring: bool,
    /// Gains of the controller, for policies with a controller.
    pub control: PiConfig,
}

/// A limit other than the number of nominal epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// A share, in (0, 1], of the cost of a dense run of the goal's nominal epochs.
    Fraction(f64),
    /// Seconds of training, above 0, as told by [`Probe::seconds`](super::Probe::seconds).
    Seconds(f64),
}

/// How a policy uses the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunLength {
    /// It runs to the end of the budget, and schedules span the budget.
    Budget,
    /// It runs all nominal epochs and ignores the budget: the reference run.
    Whole,
    /// It stops at the end of the budget, but schedules span all nominal epochs.
    Cut,
}

/// An impossible goal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GoalError {
    /// A number is out of its range.
    #[error("{what} = {value} is not {allowed}")]
    OutOfRange {
        /// Name of the number.
        what: &'static str,
        /// The given value.
        value: f64,
        /// The allowed values.
        allowed: &'static str,
    },
    /// The gains of the controller are out of range.
    #[error("control: {0}")]
    Control(#[from] ControlError),
}

impl Goal {
    /// Trains a share `target` of the offered samples, for `epochs` nominal epochs.
    #[must_use]
    pub fn activation(target: f64, epochs: u32) -> Self {
        Self { target, epochs, limit: None, charges_scoring: true, control: PiConfig::default() }
    }

    /// Ends at a share `fraction` of the cost of a dense run of `epochs` epochs, scoring included.
    #[must_use]
    pub fn budget(fraction: f64, epochs: u32) -> Self {
        Self { limit: Some(Limit::Fraction(fraction)), ..Self::activation(fraction, epochs) }
    }

    /// Ends after `seconds` seconds of training; trains a share `target` of the samples offered until then.
    #[must_use]
    pub fn seconds(seconds: f64, target: f64) -> Self {
        Self { limit: Some(Limit::Seconds(seconds)), ..Self::activation(target, 1) }
    }

    /// Upper bound for how often each sample is trained on average over the whole run: target times nominal epochs.
    /// `None` if the limit is in seconds.
    #[must_use]
    pub fn visits(&self) -> Option<f64> {
        let known = !matches!(self.limit, Some(Limit::Seconds(_)));
        known.then_some(self.target * f64::from(self.epochs))
    }

    /// Checks that every number is in its range and the control loop is stable.
    ///
    /// # Errors
    /// [`GoalError`], which names the number.
    pub fn check(&self) -> Result<(), GoalError> {
        let share = |x: f64| x > 0.0 && x <= 1.0;
        let limit = match self.limit {
            None => ("limit", 1.0, true, ""),
            Some(Limit::Fraction(x)) => ("the budget", x, share(x), "a number in (0, 1]"),
            Some(Limit::Seconds(x)) => ("the seconds", x, x > 0.0 && x.is_finite(), "a number above 0"),
        };
        let target = ("the target", self.target, share(self.target), "a number in (0, 1]");
        let epochs = ("the epochs", f64::from(self.epochs), self.epochs > 0, "1 and more");
        for (what, value, fits, allowed) in [target, epochs, limit] {
            if !fits {
                return Err(GoalError::OutOfRange { what, value, allowed });
            }
        }
        Ok(self.control.check(1.0).map(|_| ())?)
    }

    /// The budget of a policy of that length on `samples` samples. A training step costs `step_cost` per sample in the
    /// dense run, and `cheapest` at the cheapest level of the run.
    pub(crate) fn budget_for(&self, length: RunLength, samples: usize, step_cost: u64, cheapest: u64) -> Budget {
        let offered = samples as u64 * u64::from(self.epochs);
        match (length, self.limit) {
            (RunLength::Whole, _) | (RunLength::Budget, None) => Budget::Offered(offered),
            (RunLength::Cut, None) => Budget::Offered((self.target * offered as f64) as u64),
            (_, Some(Limit::Seconds(seconds))) => Budget::Seconds(seconds),
            (_, Some(Limit::Fraction(fraction))) => Budget::Flops {
                allowed: (fraction * (offered as f64 * step_cost as f64)) as u64,
                offered: (offered as f64 / fraction * (step_cost as f64 / cheapest as f64)) as u64,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_impossible_number() {
        assert_eq!(Goal::activation(0.1, 40).check(), Ok(()));
        let unstable = Goal { control: PiConfig { ki: 50.0, ..PiConfig::default() }, ..Goal::activation(0.1, 40) };
        for (goal, named) in [
            (Goal::activation(0.0, 40), "the target = 0"),
            (Goal::activation(f64::NAN, 40), "the target = NaN"),
            (Goal::activation(0.1, 0), "the epochs"),
            (Goal { limit: Some(Limit::Fraction(1.5)), ..Goal::activation(0.1, 1) }, "the budget"),
            (Goal::seconds(f64::INFINITY, 0.1), "the seconds"),
            (unstable, "control"),
        ] {
            let message = goal.check().unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }

    #[test]
    fn visits_are_target_times_epochs() {
        assert_eq!(Goal::activation(0.25, 20).visits(), Some(5.0));
        assert_eq!(Goal::seconds(60.0, 0.25).visits(), None);
    }

    /// 100 samples, 10 epochs, a step costs 3.
    #[test]
    fn the_budget_follows_the_goal() {
        let goal = Goal::activation(0.2, 10);
        assert_eq!(goal.budget_for(RunLength::Budget, 100, 3, 3), Budget::Offered(1000));
        assert_eq!(goal.budget_for(RunLength::Cut, 100, 3, 3), Budget::Offered(200));
        let goal = Goal::budget(0.2, 10);
        assert_eq!(goal.budget_for(RunLength::Budget, 100, 3, 3), Budget::Flops { allowed: 600, offered: 5000 });
        let cheaper = Budget::Flops { allowed: 600, offered: 15_000 };
        assert_eq!(goal.budget_for(RunLength::Budget, 100, 3, 1), cheaper, "at a third of the cost, it lasts longer");
        assert_eq!(goal.budget_for(RunLength::Whole, 100, 3, 3), Budget::Offered(1000));
    }
}
