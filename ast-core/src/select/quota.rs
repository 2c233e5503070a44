use serde::{Deserialize, Serialize};

/// Turns a share of a stream into whole numbers, for a policy that keeps its target. The fraction is carried over from one
/// chunk to the next.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Quota(f64);

impl Quota {
    /// How many of the next `offered` samples are due for a share `rate` (0..=1).
    pub fn due(&mut self, rate: f64, offered: usize) -> usize {
        self.0 += rate * offered as f64;
        // The small addend absorbs rounding: ten times 0.1 must give 1, not 0.999.
        let due = (self.0 + 1e-6).floor();
        self.0 -= due;
        due as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_carries_its_fraction_over() {
        let mut quota = Quota::default();
        let due: Vec<usize> = (0..10).map(|_| quota.due(0.1, 128)).collect();
        assert_eq!(due, [12, 13, 13, 13, 13, 12, 13, 13, 13, 13]);
        assert_eq!(due.iter().sum::<usize>(), 128);
    }
}
