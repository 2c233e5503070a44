//! Convolution, ReLU and max-pooling in memory, a few images at a time, without an im2col matrix.
//!
//! Internally the channels are innermost (`[height, width, channels]`), so that every copy is of whole rows.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::{Product, ROWS, blocks};
use super::scratch::Scratch;
use super::sizes::{Images, Sizes, grid};

/// Marks an output that ReLU set to 0, in place of a position: its gradient is 0.
pub(super) const CUT: u8 = u8::MAX;

/// The result of a forward pass.
pub(super) struct Output {
    /// `[images, height, width, channels]`.
    pub(super) values: Vec<f32>,
    /// Position within its pooling window that each output came from, or [`CUT`]. Empty without pooling and ReLU.
    pub(super) from: Vec<u8>,
}

/// `max_pool(relu(convolution(x, weight) + bias))`; weights `[channels out, channels in, height, width]`, contiguous.
///
/// `finish` gets the output of some images while it is in the cache, and the position of its first value. Its results are
/// in order.
pub(super) fn forward<R: Send>(
    sizes: &Sizes,
    x: Images<'_>,
    weight: &[f32],
    bias: &[f32],
    finish: impl Fn(usize, &mut [f32]) -> R + Sync,
) -> (Output, Vec<R>) {
    let [_, wide] = sizes.widths();
    let mut padded_bias = bias.to_vec();
    padded_bias.resize(wide, 0.0);
    let together = sizes.together(ROWS);
    let (windows, taps) = (sizes.windows(together), sizes.taps());
    let pass = Forward { sizes, x, windows, taps, weights: pack(sizes, weight), bias: padded_bias };

    let [_, volume] = sizes.volumes();
    let mut values = vec![0.0; sizes.images * volume];
    let marks = sizes.block.relu || sizes.block.pool > 1;
    let mut from = vec![0; if marks { values.len() } else { 0 }];
    if volume == 0 {
        return (Output { values, from }, Vec::new());
    }
    let (arch, chunk) = (Arch::new(), together * volume);
    let mut parts_of: Vec<&mut [u8]> = from.chunks_mut(chunk).collect();
    parts_of.resize_with(values.len().div_ceil(chunk), Default::default);
    let parts = values.par_chunks_mut(chunk).zip(parts_of).enumerate();
    let finished = parts.map(|(number, (out, from))| {
        arch.dispatch(SomeForward { pass: &pass, first: number * together, out: &mut *out, from });
        finish(number * chunk, out)
    });
    let finished = finished.collect();
    (Output { values, from }, finished)
}

/// The weights by block of output channels: `[block, kernel row, kernel column, channel in, channel out]`.
fn pack(sizes: &Sizes, weight: &[f32]) -> Vec<f32> {
    let ([inputs, outputs], [_, wide]) = (sizes.channels, sizes.widths());
    let kernel = sizes.kernel[0] * sizes.kernel[1];
    let mut packed = vec![0.0; kernel * inputs * wide];
    let mut rest = packed.as_mut_slice();
    for (first, width) in blocks(wide) {
        let (block, others) = rest.split_at_mut(kernel * inputs * width);
        rest = others;
        block.par_chunks_exact_mut(inputs * width).enumerate().for_each(|(tap, rows)| {
            for (input, row) in rows.chunks_exact_mut(width).enumerate() {
                let channels = (first..outputs).zip(row);
                channels.for_each(|(output, to)| *to = weight[(output * inputs + input) * kernel + tap]);
            }
        });
    }
    packed
}

/// Inputs that the forward passes of all images share.
struct Forward<'a> {
    sizes: &'a Sizes,
    x: Images<'a>,
    windows: Vec<usize>,
    taps: Vec<usize>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

/// Some consecutive images.
struct SomeForward<'a> {
    pass: &'a Forward<'a>,
    first: usize,
    out: &'a mut [f32],
    from: &'a mut [u8],
}

impl WithSimd for SomeForward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { sizes, x, windows, taps, weights, bias } = self.pass;
        let (wide, channels, [_, volume]) = (bias.len(), sizes.channels[1], sizes.volumes());
        let images = self.first..self.first + self.out.len() / volume;
        let places = images.len() * sizes.places();
        let mut scratch = Scratch::take();
        let padded = x.padded(sizes, images, &mut scratch.padded);
        let direct = sizes.block.pool == 1 && wide == channels;
        let sums = if direct { &mut *self.out } else { scratch.convolved.any(places * wide) };
        sums.chunks_exact_mut(wide).for_each(|place| place.copy_from_slice(bias));
        for (first, width) in blocks(wide) {
            let (rows, terms) = (&windows[..places], taps.as_slice());
            let b = &weights[first * taps.len()..][..width * taps.len()];
            Product { x: padded, rows, terms, b, width, out: &mut sums[first..], stride: wide }.compute(simd);
        }
        if !direct {
            let sums = scratch.convolved.values.chunks_exact(sizes.places() * wide);
            if sizes.block.pool == 1 {
                for (sums, out) in sums.zip(self.out.chunks_exact_mut(volume)) {
                    narrow(sums, wide, out, channels);
                }
            } else {
                // A loop, not a closure: the code inside a closure is compiled for the oldest processor.
                let outputs = self.out.chunks_exact_mut(volume).zip(self.from.chunks_exact_mut(volume));
                for (sums, (out, from)) in sums.zip(outputs) {
                    pool(sizes, sums, out, from);
                }
            }
        }
        if sizes.block.relu {
            relu(self.out, self.from);
        }
        scratch.keep();
    }
}

/// Removes the padding of the channels.
#[inline(always)]
fn narrow(wide: &[f32], width: usize, out: &mut [f32], channels: usize) {
    for (from, to) in wide.chunks_exact(width).zip(out.chunks_exact_mut(channels)) {
        to.copy_from_slice(&from[..channels]);
    }
}

/// Sets values that are not above 0 to 0 and marks them [`CUT`]; NaN stays.
#[inline(always)]
fn relu(values: &mut [f32], from: &mut [u8]) {
    for (value, from) in values.iter_mut().zip(from) {
        let cut = *value <= 0.0;
        *value = if cut { 0.0 } else { *value };
        *from = if cut { CUT } else { *from };
    }
}

/// The maximum of each window and its position in it. Of equal values it is the first, as in Burn's pooling.
#[inline(always)]
fn pool(sizes: &Sizes, sums: &[f32], out: &mut [f32], from: &mut [u8]) {
    let (side, channels, wide) = (sizes.block.pool, sizes.channels[1], sizes.widths()[1]);
    let outputs = out.chunks_exact_mut(channels).zip(from.chunks_exact_mut(channels));
    for ([y, x], (out, from)) in grid(sizes.pooled).zip(outputs) {
        for (number, [down, right]) in grid([side, side]).enumerate() {
            let place = (y * side + down) * sizes.convolved[1] + x * side + right;
            let values = &sums[place * wide..][..channels];
            if number == 0 {
                out.copy_from_slice(values);
                continue;
            }
            for ((best, from), value) in out.iter_mut().zip(from.iter_mut()).zip(values) {
                // NaN is kept.
                let better = *value > *best || value.is_nan();
                *best = if better { *value } else { *best };
                *from = if better { number as u8 } else { *from };
            }
        }
    }
}
