/// What a run may spend. The share that is spent drives every schedule, for every policy alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// So many samples offered: nominal epochs. How many of them are trained is the activation.
    Offered(u64),
    /// So much computed, scoring included; nominal epochs follow from it.
    Flops {
        /// Floating-point operations.
        allowed: u64,
        /// Samples offered at which the run ends all the same: a policy that lets nothing through spends nothing.
        offered: u64,
    },
}

impl Budget {
    /// The share spent, 0 and above, after `offered` samples and `flops` operations.
    #[must_use]
    pub fn spent(self, offered: u64, flops: u64) -> f64 {
        match self {
            Self::Offered(all) => offered as f64 / all as f64,
            Self::Flops { allowed, .. } => flops as f64 / allowed as f64,
        }
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_over(self, offered: u64, flops: u64) -> bool {
        match self {
            Self::Offered(all) => offered >= all,
            Self::Flops { allowed, offered: all } => flops >= allowed || offered >= all,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_looks_at_its_own_cost() {
        let (epochs, flops) = (Budget::Offered(200), Budget::Flops { allowed: 1000, offered: 900 });
        assert_eq!((epochs.spent(50, 1_000_000), flops.spent(500, 250)), (0.25, 0.25));
        assert!(!epochs.is_over(199, u64::MAX) && epochs.is_over(200, 0));
        assert!(!flops.is_over(899, 999) && flops.is_over(0, 1000) && flops.is_over(900, 0));
    }
}
