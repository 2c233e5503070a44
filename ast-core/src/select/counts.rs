use serde::{Deserialize, Serialize};

/// What was executed: the only source of savings in samples and in floating-point operations.
///
/// Costs are in one unit, whichever: floating-point operations in our trainer, 1 for a forward pass in a selector that was
/// told no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Optimizer steps.
    pub steps: u64,
    /// Steps that were not made, or were undone, because of a NaN or an infinity, those of auxiliary networks included.
    pub skipped: u64,
    /// Samples put before the policy.
    pub offered: u64,
    /// Samples accepted, trained or on their way.
    pub accepted: u64,
    /// Samples trained on: forward, backward, update.
    pub trained: u64,
    /// Samples of skipped steps: forward and backward for nothing.
    pub wasted: u64,
    /// Samples given an extra forward pass to be scored.
    pub scored: u64,
    /// Of these: at half the resolution.
    pub scored_half: u64,
    /// Samples that auxiliary networks were given a step on.
    pub auxiliary_trained: u64,
    /// Samples that auxiliary networks were given a forward pass on, without a step.
    pub auxiliary_scored: u64,
    /// Of the samples accepted.
    pub accepted_cost: u64,
    /// Of steps, skipped ones too.
    pub training_cost: u64,
    /// Of passes that were only for scoring, and of all that auxiliary networks did.
    pub probe_cost: u64,
    /// Of finding out whether selection pays.
    pub watching_cost: u64,
}

/// What one sample costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassCost {
    /// A forward pass.
    pub forward: u64,
    /// A training step: forward and backward.
    pub step: u64,
}

impl Counts {
    /// Of everything executed on the budget. Evaluation is outside.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.training_cost + self.scoring_cost()
    }

    /// Of what a plain training loop would not do: scoring passes, auxiliary networks, watching whether selection pays.
    #[must_use]
    pub fn scoring_cost(&self) -> u64 {
        self.probe_cost + self.watching_cost
    }

    /// What is spent once all accepted samples are trained; scoring only if that is `charged`.
    pub(crate) fn committed(&self, charged: bool) -> u64 {
        // Batches on their way will be watched as those before were.
        let executed = self.trained + self.wasted;
        let coming = (self.accepted - executed) * self.watching_cost / executed.max(1);
        let scoring = if charged { self.scoring_cost() + coming } else { 0 };
        scoring + self.accepted_cost
    }

    /// Takes over what `abandoned`, a later state of the same run, has cost: going back in a run gives nothing back.
    pub(crate) fn abandon(&mut self, abandoned: &Self) {
        let executed = |counts: &Self| counts.trained + counts.wasted;
        let wasted = executed(abandoned) - executed(self);
        let skipped = abandoned.skipped + abandoned.steps - self.steps;
        let wasted_cost = abandoned.training_cost - self.training_cost;
        *self = Self {
            steps: self.steps,
            skipped,
            offered: self.offered,
            accepted: self.accepted + wasted,
            trained: self.trained,
            wasted: self.wasted + wasted,
            accepted_cost: self.accepted_cost + wasted_cost,
            ..*abandoned
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_is_spent_already() {
        let counts = Counts {
            accepted: 30,
            trained: 10,
            accepted_cost: 90,
            training_cost: 30,
            probe_cost: 7,
            watching_cost: 20,
            ..Counts::default()
        };
        assert_eq!((counts.cost(), counts.scoring_cost()), (57, 27));
        // Twenty on their way, each to be watched at a cost of 2.
        assert_eq!(counts.committed(true), 90 + 27 + 40);
        assert_eq!(counts.committed(false), 90);
    }

    #[test]
    fn going_back_gives_nothing_back() {
        let saved =
            Counts { steps: 2, trained: 20, accepted: 30, training_cost: 60, accepted_cost: 90, ..Counts::default() };
        let later =
            Counts { steps: 5, trained: 50, wasted: 10, skipped: 1, training_cost: 180, probe_cost: 4, ..saved };
        let mut now = saved;
        now.abandon(&later);
        assert_eq!((now.steps, now.trained, now.wasted, now.skipped), (2, 20, 40, 4));
        assert_eq!((now.accepted, now.accepted_cost, now.training_cost, now.probe_cost), (70, 210, 180, 4));
    }
}
