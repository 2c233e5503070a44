//! The inner loop of convolution on the CPU: a matrix product that reads its left operand through offsets.
//!
//! A convolution is the product of the matrix of all its windows ("im2col") and the weights. That matrix is `k * k`
//! times as large as the image and is never built: its element `[row, term]` is read from the image at the sum of two
//! offsets.

#![expect(clippy::needless_range_loop, reason = "loops over the constants M and N unroll into registers")]

use pulp::Simd;

/// Lanes of the widest vector (AVX-512). The widths of blocks are multiples of it.
pub(super) const LANES: usize = 16;
/// Largest width of a block of columns: as many sums as fit into the registers.
pub(super) const BLOCK: usize = 64;

/// Rows that a product should have at least, or most of its time goes into loading `b`.
pub(super) const ROWS: usize = 96;

/// Terms per panel: their rows of `b` stay in the L2 cache while all rows of `x` are processed. With fewer, loading and
/// storing the sums takes a larger share of the time.
pub(super) const TERMS: usize = 384;

/// `out[r][c] += sum over t of x[rows[r] + terms[t]] * b[t][c]`, terms in order, for a block of columns.
///
/// Every element is one chain of fused multiply-adds, so its bits do not depend on the tiling.
pub(super) struct Product<'a> {
    pub(super) x: &'a [f32],
    pub(super) rows: &'a [usize],
    pub(super) terms: &'a [usize],
    /// `[terms, width]`.
    pub(super) b: &'a [f32],
    /// Columns of the block: a multiple of [`LANES`], at most [`BLOCK`].
    pub(super) width: usize,
    /// From the block's first column of the first row to its last column of the last row.
    pub(super) out: &'a mut [f32],
    /// Distance of two rows of `out`.
    pub(super) stride: usize,
}

/// The blocks of `width` columns: their first column and their width.
pub(super) fn blocks(width: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..width).step_by(BLOCK).map(move |first| (first, BLOCK.min(width - first)))
}

impl Product<'_> {
    /// Computes the product with the vectors of `S`. It is inlined, so that it is compiled for them.
    #[inline(always)]
    pub(super) fn compute<S: Simd>(mut self, simd: S) {
        let (terms, b) = (self.terms, self.b);
        for (terms, b) in terms.chunks(TERMS).zip(b.chunks(TERMS * self.width)) {
            (self.terms, self.b) = (terms, b);
            self.panel(simd);
        }
    }

    #[inline(always)]
    fn panel<S: Simd>(&mut self, simd: S) {
        let mut column = 0;
        while column < self.width {
            // As many sums as fit into the registers beside one row of `b` and one broadcast value.
            column += S::F32_LANES
                * match (S::REGISTER_COUNT >= 32, (self.width - column) / S::F32_LANES) {
                    (true, 4..) => self.columns::<S, 6, 4>(simd, column),
                    (true, 3) => self.columns::<S, 8, 3>(simd, column),
                    (true, 2) => self.columns::<S, 8, 2>(simd, column),
                    (true, _) => self.columns::<S, 24, 1>(simd, column),
                    (false, 2..) => self.columns::<S, 6, 2>(simd, column),
                    (false, _) => self.columns::<S, 12, 1>(simd, column),
                };
        }
    }

    /// All rows of `N` vectors of columns, `M` rows at a time. Returns `N`.
    #[inline(always)]
    fn columns<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, column: usize) -> usize {
        for first in (0..self.rows.len()).step_by(M) {
            let present = M.min(self.rows.len() - first);
            let mut rows = [0; M];
            let mut sums = [[simd.splat_f32s(0.0); N]; M];
            for i in 0..M {
                // Rows past the end repeat the last one and are dropped.
                let row = first + i.min(present - 1);
                rows[i] = self.rows[row];
                for j in 0..N {
                    sums[i][j] = load::<S>(self.out, row * self.stride + column + j * S::F32_LANES);
                }
            }
            self.sum(simd, column, &rows, &mut sums);
            for i in 0..present {
                for j in 0..N {
                    let at = (first + i) * self.stride + column + j * S::F32_LANES;
                    store::<S>(self.out, at, sums[i][j]);
                }
            }
        }
        N
    }

    #[inline(always)]
    fn sum<S: Simd, const M: usize, const N: usize>(
        &self,
        simd: S,
        column: usize,
        rows: &[usize; M],
        sums: &mut [[S::f32s; N]; M],
    ) {
        let mut acc = *sums;
        for (term, b) in self.terms.iter().zip(self.b.chunks_exact(self.width)) {
            let b = &b[column..][..N * S::F32_LANES];
            let x = &self.x[*term..];
            let mut row = [simd.splat_f32s(0.0); N];
            for j in 0..N {
                row[j] = load::<S>(b, j * S::F32_LANES);
            }
            for i in 0..M {
                let value = simd.splat_f32s(x[rows[i]]);
                for j in 0..N {
                    acc[i][j] = simd.mul_add_f32s(value, row[j], acc[i][j]);
                }
            }
        }
        *sums = acc;
    }
}

#[inline(always)]
fn load<S: Simd>(from: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&from[at..at + S::F32_LANES]).0[0]
}

#[inline(always)]
fn store<S: Simd>(to: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut to[at..at + S::F32_LANES]).0[0] = value;
}
