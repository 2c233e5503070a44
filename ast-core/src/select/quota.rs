use serde::{Deserialize, Serialize};

/// A share of a stream in whole numbers, for a policy that keeps its target: what rounding leaves over in one chunk is owed in
/// the next.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Quota(f64);

impl Quota {
    /// How many samples make up the share `rate` (0..=1) of `offered` more.
    pub fn due(&mut self, rate: f64, offered: usize) -> usize {
        self.0 += rate * offered as f64;
        // A hair above the sum: ten times 0.1 are 1, not 0.999.
        let due = (self.0 + 1e-6).floor();
        self.0 -= due;
        due as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_owes_what_rounding_leaves() {
        let mut quota = Quota::default();
        let due: Vec<usize> = (0..10).map(|_| quota.due(0.1, 128)).collect();
        assert_eq!(due, [12, 13, 13, 13, 13, 12, 13, 13, 13, 13]);
        assert_eq!(due.iter().sum::<usize>(), 128);
    }
}
