//! The policies: one per file, or several that differ only in their kind and parameters. Each registers itself.

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

/// Turns a share of a stream into whole numbers. The fraction is carried over.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Quota(f64);

impl Quota {
    /// How many of the next `offered` samples are due for a share `rate` (0..=1).
    fn due(&mut self, rate: f64, offered: usize) -> usize {
        self.0 += rate * offered as f64;
        // The small addend absorbs rounding: ten times 0.1 must give 1, not 0.999.
        let due = (self.0 + 1e-6).floor();
        self.0 -= due;
        due as usize
    }
}

/// Indices of the `n` largest values, the largest first, equal ones in order. NaN is excluded.
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
    fn a_quota_carries_its_fraction_over() {
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
