//! One file per policy, or for several that differ in their kind and parameters; each registers itself.

mod ast;
mod curriculum;
mod dense;
mod fixed_threshold;
mod importance;
mod infobatch;
mod original;
mod original_package;
mod pool_top;
mod random;
mod selective_backprop;
mod static_el2n;
mod static_random;

use serde::{Deserialize, Serialize};

/// A share of a stream in whole numbers: what rounding leaves over is owed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Quota(f64);

impl Quota {
    /// How many make up the share `rate` (0..=1) of `offered` more.
    fn due(&mut self, rate: f64, offered: usize) -> usize {
        self.0 += rate * offered as f64;
        // A hair above the sum: ten times 0.1 are 1, not 0.999.
        let due = (self.0 + 1e-6).floor();
        self.0 -= due;
        due as usize
    }
}

/// Indices of the `n` largest values, the largest first; equal ones in order. NaN is never among them.
fn top_k(values: &[f64], n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).filter(|i| !values[*i].is_nan()).collect();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(n);
    order
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

    #[test]
    fn the_largest_come_first() {
        assert_eq!(top_k(&[1.0, f64::NAN, 3.0, 3.0, 2.0], 3), [2, 3, 4]);
    }
}
