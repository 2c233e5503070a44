/// The budget of a run. The share spent drives every schedule, for every policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// A number of samples offered, i.e. of nominal epochs. The activation rate decides how many of them are trained.
    Offered(u64),
    /// A compute cost, scoring included, in the unit of the costs. The number of nominal epochs follows from it.
    Flops {
        /// The cost that may be spent.
        allowed: u64,
        /// Number of samples offered at which the run ends in any case, because a policy that accepts nothing spends
        /// nothing.
        offered: u64,
    },
    /// Seconds, without evaluation and checkpoints. The number of nominal epochs follows from them.
    Seconds(f64),
}

/// The cost of a run so far. Accepted samples count as trained.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Samples offered to the policy.
    pub offered: u64,
    /// Compute in the unit of the costs: FLOPs in our trainer.
    pub flops: u64,
    /// Seconds of wall-clock time.
    pub seconds: f64,
}

impl Budget {
    /// The share spent, 0 and above.
    #[must_use]
    pub fn spent(self, cost: Cost) -> f64 {
        match self {
            Self::Offered(all) => cost.offered as f64 / all as f64,
            Self::Flops { allowed, .. } => cost.flops as f64 / allowed as f64,
            Self::Seconds(allowed) => cost.seconds / allowed,
        }
    }

    /// Whether the budget is used up.
    #[must_use]
    pub fn is_over(self, cost: Cost) -> bool {
        match self {
            Self::Offered(all) => cost.offered >= all,
            Self::Flops { allowed, offered } => cost.flops >= allowed || cost.offered >= offered,
            Self::Seconds(allowed) => cost.seconds >= allowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_budget_uses_its_own_cost() {
        let (epochs, flops) = (Budget::Offered(200), Budget::Flops { allowed: 1000, offered: 900 });
        let cost = |offered, flops, seconds| Cost { offered, flops, seconds };
        assert_eq!((epochs.spent(cost(50, 1_000_000, 9.0)), flops.spent(cost(500, 250, 9.0))), (0.25, 0.25));
        assert!(!epochs.is_over(cost(199, u64::MAX, 1e9)) && epochs.is_over(cost(200, 0, 0.0)));
        assert!(!flops.is_over(cost(899, 999, 1e9)));
        assert!(flops.is_over(cost(0, 1000, 0.0)) && flops.is_over(cost(900, 0, 0.0)));
        let seconds = Budget::Seconds(10.0);
        assert_eq!(seconds.spent(cost(5, 5, 2.5)), 0.25);
        assert!(!seconds.is_over(cost(u64::MAX, u64::MAX, 9.9)) && seconds.is_over(cost(0, 0, 10.0)));
    }
}
