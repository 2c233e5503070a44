use ast_control::{ControlError, PiConfig};

use super::budget::Budget;

/// How much of a dataset is to be trained, and what ends the run.
///
/// Everything that is scheduled, the learning rate too, follows the share of this that is *spent*. A policy of
/// [`RunLength::Whole`], such as `dense`, trains all epochs whatever the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// The share of offered samples to be trained, in (0, 1].
    pub target: f64,
    /// Nominal epochs: how often every sample is offered, 1 and more.
    pub epochs: u32,
    /// What ends the run instead of its nominal epochs, if anything does.
    pub limit: Option<Limit>,
    /// Whether passes that are only for scoring count as spent. Not to count them is an ablation.
    pub charges_scoring: bool,
    /// Gains of the controller, for policies that have one.
    pub control: PiConfig,
}

/// What ends a run other than its nominal epochs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// A share of what the dense run of the goal's nominal epochs costs, in (0, 1].
    Fraction(f64),
    /// Seconds of training, above 0. The [`Probe`](super::Probe) tells the time.
    Seconds(f64),
}

/// How much of the run a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunLength {
    /// The budget, on which every schedule depends.
    Budget,
    /// All nominal epochs, whatever the budget: the reference run.
    Whole,
    /// The schedule of all nominal epochs, broken off at the share that is the budget.
    Cut,
}

/// A goal that nobody can have.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GoalError {
    /// A number is out of its range.
    #[error("{what} = {value} is not {allowed}")]
    OutOfRange {
        /// Which.
        what: &'static str,
        /// As given.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The gains were refused.
    #[error("control: {0}")]
    Control(#[from] ControlError),
}

impl Goal {
    /// Trains a share `target` of what is offered, for `epochs` nominal epochs.
    #[must_use]
    pub fn activation(target: f64, epochs: u32) -> Self {
        Self { target, epochs, limit: None, charges_scoring: true, control: PiConfig::default() }
    }

    /// Ends when a share `fraction` of what a dense run of `epochs` epochs costs is spent, scoring included.
    #[must_use]
    pub fn budget(fraction: f64, epochs: u32) -> Self {
        Self { limit: Some(Limit::Fraction(fraction)), ..Self::activation(fraction, epochs) }
    }

    /// Ends after so many seconds of training, and trains a share `target` of what is offered until then.
    #[must_use]
    pub fn seconds(seconds: f64, target: f64) -> Self {
        Self { limit: Some(Limit::Seconds(seconds)), ..Self::activation(target, 1) }
    }

    /// How often each sample is trained on average over the whole run, at most: the target times the nominal epochs; `None`
    /// where seconds are the limit.
    #[must_use]
    pub fn visits(&self) -> Option<f64> {
        let known = !matches!(self.limit, Some(Limit::Seconds(_)));
        known.then_some(self.target * f64::from(self.epochs))
    }

    /// Whether every number is in its range and the control loop stable.
    ///
    /// # Errors
    /// [`GoalError`], naming the number.
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

    /// What a policy of that length may spend on `samples` samples, at `step_cost` a training step on one of them.
    pub(crate) fn budget_for(&self, length: RunLength, samples: usize, step_cost: u64) -> Budget {
        let offered = samples as u64 * u64::from(self.epochs);
        match (length, self.limit) {
            (RunLength::Whole, _) | (RunLength::Budget, None) => Budget::Offered(offered),
            (RunLength::Cut, None) => Budget::Offered((self.target * offered as f64) as u64),
            (_, Some(Limit::Seconds(seconds))) => Budget::Seconds(seconds),
            (_, Some(Limit::Fraction(fraction))) => Budget::Flops {
                allowed: (fraction * (offered as f64 * step_cost as f64)) as u64,
                offered: (offered as f64 / fraction) as u64,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_nobody_can_have_is_named() {
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
        assert_eq!(goal.budget_for(RunLength::Budget, 100, 3), Budget::Offered(1000));
        assert_eq!(goal.budget_for(RunLength::Cut, 100, 3), Budget::Offered(200));
        let goal = Goal::budget(0.2, 10);
        assert_eq!(goal.budget_for(RunLength::Budget, 100, 3), Budget::Flops { allowed: 600, offered: 5000 });
        assert_eq!(goal.budget_for(RunLength::Whole, 100, 3), Budget::Offered(1000));
    }
}
