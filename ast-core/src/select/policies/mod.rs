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
    fn the_largest_come_first() {
        assert_eq!(top_k(&[1.0, f64::NAN, 3.0, 3.0, 2.0], 3), [2, 3, 4]);
    }
}
