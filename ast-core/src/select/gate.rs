use crate::random::Stream;
use crate::select::window::Quantile;

/// Finds the keys that pass: those above the quantile, and a share `quantile.ties` of those equal to it. Returns their
/// indices in `passed`, in order.
///
/// `passed` is overwritten. NaN never passes. The loop has one comparison and one store per key and no branch, because
/// it runs over *every* candidate.
pub fn pass(keys: &[f32], quantile: Quantile, ties: &mut Stream, passed: &mut Vec<u32>) {
    passed.resize(keys.len(), 0);
    let mut count = 0;
    for (i, key) in keys.iter().enumerate() {
        passed[count] = i as u32;
        count += usize::from(*key >= quantile.value);
    }
    passed.truncate(count);
    if quantile.ties < 1.0 {
        passed.retain(|i| keys[*i as usize] > quantile.value || ties.uniform() < quantile.ties);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random};
    use crate::select::window::Window;
    use proptest::prelude::*;

    fn stream(k: u64) -> Stream {
        Random::new(5).stream(Purpose::Gate, k, 0)
    }

    #[test]
    fn nan_never_passes_and_order_is_kept() {
        let mut passed = vec![7; 3];
        pass(&[3.0, f32::NAN, 1.0, 2.0, 9.0], Quantile { value: 2.0, ties: 1.0 }, &mut stream(0), &mut passed);
        assert_eq!(passed, [0, 3, 4]);
    }

    /// For any distribution of keys, including ties, the expected share that passes is 1 - theta.
    #[test]
    fn the_plant_is_one_minus_theta_even_if_all_keys_are_equal() {
        for distinct in [1u32, 3, 1000] {
            let keys: Vec<f32> = (0..1000).map(|i| (i % distinct) as f32).collect();
            let mut window = Window::new(1000);
            window.extend(keys.iter().copied());
            for theta in [0.0, 0.1, 0.5, 0.9, 0.99] {
                let (mut passed, mut total) = (Vec::new(), 0);
                for k in 0..50 {
                    pass(&keys, window.quantile(theta).unwrap(), &mut stream(k), &mut passed);
                    total += passed.len();
                }
                let rate = total as f64 / 50_000.0;
                assert!((rate - (1.0 - theta)).abs() < 0.01, "{distinct} values, theta {theta}: {rate}");
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_direct_implementation(keys in prop::collection::vec(-5i8..5, 0..200), value in -6i8..6) {
            let keys: Vec<f32> = keys.into_iter().map(f32::from).collect();
            let value = f32::from(value);
            let mut passed = Vec::new();
            for (ties, keep) in [(1.0, true), (0.0, false)] {
                pass(&keys, Quantile { value, ties }, &mut stream(1), &mut passed);
                let expected: Vec<u32> = (0..keys.len() as u32)
                    .filter(|i| keys[*i as usize] > value || (keep && keys[*i as usize] == value))
                    .collect();
                prop_assert_eq!(&passed, &expected);
            }
        }
    }
}
