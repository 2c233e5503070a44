//! Estimates to first order how much a step reduces the loss over all data, from the per-sample gradients of one batch.
//!
//! The gradient of a sample with respect to the last linear layer is `g = (p - onehot(y)) [h, 1]`. The inner product of
//! two samples' gradients is therefore `((p_i - y_i) . (p_j - y_j)) (h_i . h_j + 1)` (`g` is the vector whose norm is
//! the scorer `grad-norm`). The coverage samples of a batch are a uniform sample of the data. The mean product over
//! pairs of coverage samples estimates the squared norm of the gradient of the whole loss. The mean product over pairs
//! of one selected and one coverage sample estimates how much a selected sample reduces that loss. With `b` samples, a
//! share `lambda` of them selected, a step of fixed length (roughly true for Adam) reduces the whole loss, to first
//! order, in proportion to
//!
//! `progress = <G, E g> / sqrt(E |mean of b g|^2)`, `E |mean|^2 = |E g|^2 + (E |g|^2 - |E g|^2)/b`
//!

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Pairwise inner products of a batch's per-sample gradients: sums over pairs of different samples, and over samples.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Alignment {
    /// Number of coverage samples, and of selected samples.
    pub samples: [f64; 2],
    /// Sums of inner products over pairs: both coverage; one selected, one coverage; both selected.
    pub products: [f64; 3],
    /// Number of pairs in each sum.
    pub pairs: [f64; 3],
    /// Sums of squared norms: of coverage samples, and of selected samples.
    pub squares: [f64; 2],
}

impl Alignment {
    /// Builds it from five sums over a batch, in this order: products of two coverage samples, of a coverage and a
    /// selected sample, of two selected samples (each including a sample with itself); squared norms of coverage
    /// samples, and of selected samples. `None` if there are not exactly five sums.
    #[must_use]
    pub fn of_sums(sums: &[f32], coverage: &[bool]) -> Option<Self> {
        let &[cc, cs, ss, c2, s2] = sums.iter().map(|x| f64::from(*x)).collect::<Vec<_>>().as_slice() else {
            return None;
        };
        let covered = coverage.iter().filter(|is| **is).count() as f64;
        let selected = coverage.len() as f64 - covered;
        Some(Self {
            samples: [covered, selected],
            products: [cc - c2, cs, ss - s2],
            pairs: [covered * (covered - 1.0), covered * selected, selected * (selected - 1.0)],
            squares: [c2, s2],
        })
    }

    /// Builds it from the error of each sample, `p - onehot(y)` (for a regression: prediction minus target), and the
    /// input of the last layer. Both are row-major with one row per sample; `coverage` has one entry per sample. For
    /// use with [`Selector::watch`](super::Selector::watch) in your own loop. Computes `n^2` inner products. `None` if
    /// the number of values is not a multiple of the number of samples.
    #[must_use]
    pub fn of(errors: &[f32], features: &[f32], coverage: &[bool]) -> Option<Self> {
        let n = coverage.len();
        if n == 0 || errors.is_empty() || !errors.len().is_multiple_of(n) || !features.len().is_multiple_of(n) {
            return None;
        }
        let row = |values: &[f32], i: usize| {
            let width = values.len() / n;
            values[i * width..(i + 1) * width].iter().map(|x| f64::from(*x)).collect::<Vec<_>>()
        };
        let rows: Vec<_> = (0..n).map(|i| (row(errors, i), row(features, i))).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut sums = [0.0; 5];
        for (i, (error, input)) in rows.iter().enumerate() {
            for (j, (other_error, other_input)) in rows.iter().enumerate() {
                let product = dot(error, other_error) * (dot(input, other_input) + 1.0);
                match (coverage[i], coverage[j]) {
                    (true, true) => sums[0] += product,
                    (true, false) => sums[1] += product,
                    (false, true) => {}
                    (false, false) => sums[2] += product,
                }
                if i == j {
                    sums[if coverage[i] { 3 } else { 4 }] += product;
                }
            }
        }
        Self::of_sums(&sums.map(|sum| sum as f32), coverage)
    }

    /// First-order reduction of the whole loss by a step on `batch` samples: with a share `lambda` selected, and
    /// without selection. `None` if it cannot be computed.
    #[must_use]
    pub fn progress(&self, lambda: f64, batch: f64) -> Option<[f64; 2]> {
        let mean = |sum: f64, n: f64| if n > 0.0 { sum / n } else { f64::NAN };
        let [cc, cs, ss] = [0, 1, 2].map(|i| mean(self.products[i], self.pairs[i]));
        let [c2, s2] = [0, 1].map(|i| mean(self.squares[i], self.samples[i]));
        let progress = |share: f64| {
            let kept = 1.0 - share;
            let mean = if share > 0.0 { kept * kept * cc + 2.0 * kept * share * cs + share * share * ss } else { cc };
            let (along, square) = if share > 0.0 { (kept * cc + share * cs, kept * c2 + share * s2) } else { (cc, c2) };
            along / (mean + (square - mean) / batch).sqrt()
        };
        let both = [progress(lambda), progress(0.0)];
        both.iter().all(|progress| progress.is_finite()).then_some(both)
    }
}

impl AddAssign for Alignment {
    fn add_assign(&mut self, other: Self) {
        let add = |to: &mut [f64], from: &[f64]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        add(&mut self.samples, &other.samples);
        add(&mut self.products, &other.products);
        add(&mut self.pairs, &other.pairs);
        add(&mut self.squares, &other.squares);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand with errors 1, -1, 2 and inputs 3, 0, 1. A gradient is the error times the input with a 1
    /// appended.
    #[test]
    fn alignment_of_a_worked_example() {
        // Gradients [3, 1], [0, -1], [2, 2]: products 1x2: -1, 1x3: 8, 2x3: -2; squares 10, 1, 8.
        let alignment = Alignment::of(&[1.0, -1.0, 2.0], &[3.0, 0.0, 1.0], &[true, false, true]).unwrap();
        assert_eq!((alignment.samples, alignment.pairs), ([2.0, 1.0], [2.0, 2.0, 0.0]));
        assert_eq!((alignment.products, alignment.squares), ([16.0, -3.0, 0.0], [18.0, 1.0]));
        assert_eq!(Alignment::of(&[1.0; 4], &[1.0; 3], &[true; 3]), None);
        assert_eq!(Alignment::of(&[], &[], &[]), None);
    }

    /// One-dimensional gradients. If all are equal, the gain is 1. Selected gradients of 3 beside coverage gradients of
    /// 1 give 2/sqrt(4 + 1/4); the 1/4 comes from their scatter. Opposite gradients have a negative gain.
    #[test]
    fn the_gain_of_worked_examples() {
        // Without an input of the last layer, the gradient is the error itself.
        let of = |coverage: [f32; 2], selected: [f32; 2]| {
            let alignment = Alignment::of(&[coverage, selected].concat(), &[], &[true, true, false, false]);
            let [mixed, uniform] = alignment.unwrap().progress(0.5, 4.0).unwrap();
            mixed / uniform
        };
        assert!((of([2.0, 2.0], [2.0, 2.0]) - 1.0).abs() < 1e-12);
        assert!((of([1.0, 1.0], [3.0, 3.0]) - 2.0 / 4.25_f64.sqrt()).abs() < 1e-12);
        // cc = 1, c2 = 5/2 for 1/2 and 2: uniform 1/sqrt(1 + 1.125/4). cs = ss = s2 = 1.5625:
        // mean (1 + 2 x 1.5625 + 1.5625)/4 = 1.421875, square (2.125 + 1.5625)/2 = 1.84375, along (1 + 1.5625)/2.
        let uniform = 1.0 / (1.0_f64 + (2.125 - 1.0) / 4.0).sqrt();
        let mixed = 1.281_25 / (1.421_875_f64 + (1.843_75 - 1.421_875) / 4.0).sqrt();
        assert!((of([0.5, 2.0], [1.25, 1.25]) - mixed / uniform).abs() < 1e-12);
        assert!(of([1.0, 1.0], [-3.0, -3.0]) < 0.0);
        assert_eq!(Alignment::default().progress(0.5, 4.0), None);
    }
}
