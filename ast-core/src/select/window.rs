use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The last values of a stream, for ranks and quantiles.
///
/// Ranks make scores comparable: a loss is unbounded and falls during training, a margin lies in 0..1, but a rank
/// within a sliding window means the same for every scorer at every time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Window {
    recent: VecDeque<f32>,
    capacity: usize,
    sorted: Vec<f32>,
}

/// The value at a quantile of a [`Window`], with the share of its ties that lies above the quantile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantile {
    /// Smallest value `x` of the window with `F(x) >= theta`.
    pub value: f32,
    /// Share of the values equal to `value` whose randomised rank is at least `theta`, 0..=1.
    pub ties: f64,
}

impl Window {
    /// An empty window for the last `capacity` values.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { recent: VecDeque::with_capacity(capacity), capacity, sorted: Vec::with_capacity(capacity) }
    }

    /// Adds values and drops the oldest. NaN is ignored, because it has no rank.
    ///
    /// Only the new and the dropped values are sorted, then merged: `k log k` for `k` values, and one copy of the
    /// window.
    pub fn extend(&mut self, values: impl IntoIterator<Item = f32>) {
        let mut new: Vec<f32> = values.into_iter().filter(|value| !value.is_nan()).collect();
        let surplus = new.len().saturating_sub(self.capacity);
        new.drain(..surplus);
        let gone = (self.recent.len() + new.len()).saturating_sub(self.capacity);
        let mut gone: Vec<f32> = self.recent.drain(..gone).collect();
        self.recent.extend(&new);
        gone.sort_unstable_by(f32::total_cmp);
        new.sort_unstable_by(f32::total_cmp);
        self.sorted = merged(&self.sorted, &gone, &new);
    }

    /// Mid-rank of `value`, 0..=1: the share of smaller values plus half the share of equal ones; 1/2 if empty.
    #[must_use]
    pub fn rank(&self, value: f32) -> f32 {
        if self.sorted.is_empty() {
            return 0.5;
        }
        let below = self.sorted.partition_point(|x| *x < value);
        let up_to = self.sorted.partition_point(|x| *x <= value);
        (below + up_to) as f32 / (2 * self.sorted.len()) as f32
    }

    /// The rank of `value` with ties broken at random, 0..=1: `F(x-) + V (F(x) - F(x-))`, `V` uniform on [0, 1) from
    /// `draw`; 1/2 if empty. Unlike the mid-rank it is uniform for any distribution, also with ties. A value without
    /// ties gets its mid-rank, and `draw` is not called.
    #[must_use]
    pub fn random_rank(&self, value: f32, draw: &mut dyn FnMut() -> f64) -> f32 {
        let below = self.sorted.partition_point(|x| *x < value);
        let equal = self.sorted.partition_point(|x| *x <= value) - below;
        if equal < 2 {
            return self.rank(value);
        }
        ((below as f64 + draw() * equal as f64) / self.sorted.len() as f64) as f32
    }

    /// The `theta`-quantile, `theta` in 0..=1; `None` if empty.
    ///
    /// With `F` the empirical distribution, a value is above the quantile if its randomised rank
    /// `F(x-) + V (F(x) - F(x-))`, `V` uniform, reaches `theta`. The randomised rank is uniform even with ties, so a
    /// share `1 - theta` passes even if all values are equal.
    #[must_use]
    pub fn quantile(&self, theta: f64) -> Option<Quantile> {
        let n = self.sorted.len();
        let place = ((theta * n as f64).ceil() as usize).clamp(1, n.max(1)) - 1;
        let value = *self.sorted.get(place)?;
        let below = self.sorted.partition_point(|x| *x < value) as f64 / n as f64;
        let up_to = self.sorted.partition_point(|x| *x <= value) as f64 / n as f64;
        Some(Quantile { value, ties: ((up_to - theta) / (up_to - below)).clamp(0.0, 1.0) })
    }
}

/// `sorted` without the values `gone`, which it contains, and with the values `new`. All three are in order.
fn merged(sorted: &[f32], gone: &[f32], new: &[f32]) -> Vec<f32> {
    let mut out = Vec::with_capacity(sorted.len() + new.len());
    let (mut rest, mut gone, mut new) = (sorted, gone, new);
    loop {
        let removes = match (gone.first(), new.first()) {
            (None, None) => break,
            (Some(old), Some(value)) => old.total_cmp(value).is_le(),
            (removed, _) => removed.is_some(),
        };
        let from = if removes { &mut gone } else { &mut new };
        let Some((value, others)) = from.split_first() else { break };
        *from = others;
        let (before, after) = rest.split_at(rest.partition_point(|x| x.total_cmp(value).is_lt()));
        out.extend_from_slice(before);
        if removes {
            rest = after.get(1..).unwrap_or_default();
        } else {
            out.push(*value);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_of_a_small_example() {
        let mut window = Window::new(4);
        assert_eq!(window.rank(1.0), 0.5);
        window.extend([9.0, 1.0, 2.0, 2.0, f32::NAN, 3.0]); // 9 has dropped out: 1 2 2 3
        assert_eq!(window.rank(0.0), 0.0);
        assert_eq!(window.rank(1.0), 0.125);
        assert_eq!(window.rank(2.0), 0.5);
        assert_eq!(window.rank(9.0), 1.0);
    }

    #[test]
    fn equal_values_share_the_quantile() {
        let mut window = Window::new(8);
        window.extend([5.0; 8]);
        let quantile = window.quantile(0.9).unwrap();
        assert_eq!(quantile.value, 5.0);
        assert!((quantile.ties - 0.1).abs() < 1e-12);
    }

    proptest! {
        /// For any sequence of values, the ordered window equals the sorted last values.
        #[test]
        fn the_order_equals_a_sort(
            portions in prop::collection::vec(prop::collection::vec(prop_oneof![
                Just(f32::NAN), Just(0.0), Just(-0.0), (-3i8..3).prop_map(f32::from), any::<f32>(),
            ], 0..30), 0..20),
            capacity in 1usize..40,
        ) {
            let mut window = Window::new(capacity);
            let mut all: Vec<f32> = Vec::new();
            for portion in portions {
                window.extend(portion.iter().copied());
                all.extend(portion.iter().filter(|value| !value.is_nan()));
                let mut last = all[all.len().saturating_sub(capacity)..].to_vec();
                last.sort_unstable_by(f32::total_cmp);
                let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(&window.sorted), bits(&last));
            }
        }

        /// The mass above the quantile, with ties counted by their share, is exactly 1 - theta.
        #[test]
        fn mass_above_the_quantile_is_one_minus_theta(
            values in prop::collection::vec(0u8..20, 1..200), theta in 0.0..=1.0f64,
        ) {
            let mut window = Window::new(200);
            window.extend(values.iter().map(|v| f32::from(*v)));
            let Quantile { value, ties } = window.quantile(theta).unwrap();
            let above = values.iter().filter(|v| f32::from(**v) > value).count() as f64;
            let equal = values.iter().filter(|v| f32::from(**v) == value).count() as f64;
            let mass = (above + ties * equal) / values.len() as f64;
            prop_assert!((mass - (1.0 - theta)).abs() < 1e-9, "{mass} {theta}");
        }
    }
}
