use serde::{Deserialize, Serialize};

/// Counts of executed work. All savings in samples and FLOPs are computed from them.
///
/// All costs share one unit: FLOPs in our trainer, else by default 1 for a forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Optimizer steps.
    pub steps: u64,
    /// Steps skipped or undone because of a NaN or an infinity, including those of auxiliary networks.
    pub skipped: u64,
    /// Samples offered to the policy.
    pub offered: u64,
    /// Samples accepted: trained, or waiting to be trained.
    pub accepted: u64,
    /// Samples trained on: forward pass, backward pass, update.
    pub trained: u64,
    /// Samples of skipped or undone steps, whose forward and backward pass were in vain.
    pub wasted: u64,
    /// Samples forwarded only to be scored.
    pub scored: u64,
    /// Samples of `scored` that were forwarded at half resolution.
    pub scored_half: u64,
    /// Samples in training steps of auxiliary networks.
    pub auxiliary_trained: u64,
    /// Samples in forward passes of auxiliary networks without a step.
    pub auxiliary_scored: u64,
    /// Cost of training all accepted samples.
    pub accepted_cost: u64,
    /// Cost of all steps, including skipped ones.
    pub training_cost: u64,
    /// Cost of forward passes made only for scoring, and of all work of auxiliary networks.
    pub probe_cost: u64,
    /// Cost of the guard, which measures what a pass is worth.
    pub watching_cost: u64,
}

/// The cost of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassCost {
    /// A forward pass.
    pub forward: u64,
    /// A training step: forward and backward pass.
    pub step: u64,
}

impl Counts {
    /// Cost of everything on the budget. Evaluation is not included.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.training_cost + self.scoring_cost()
    }

    /// Cost of everything that a plain training loop does not do: scoring passes, auxiliary networks, the guard.
    #[must_use]
    pub fn scoring_cost(&self) -> u64 {
        self.probe_cost + self.watching_cost
    }

    /// The cost once all accepted samples are trained; scoring is included if it is `charged`.
    pub(crate) fn committed(&self, charged: bool) -> u64 {
        // Accepted samples will cost as much for the guard as the executed ones did, on average.
        let executed = self.trained + self.wasted;
        let coming = (self.accepted - executed) * self.watching_cost / executed.max(1);
        let scoring = if charged { self.scoring_cost() + coming } else { 0 };
        scoring + self.accepted_cost
    }

    /// Adds the work of `abandoned`, a later state of the same run, after a rollback: a rollback refunds nothing.
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
    fn accepted_samples_count_as_spent() {
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
        // Twenty accepted samples are not trained yet; the guard will cost 2 for each.
        assert_eq!(counts.committed(true), 90 + 27 + 40);
        assert_eq!(counts.committed(false), 90);
    }

    #[test]
    fn a_rollback_refunds_nothing() {
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
