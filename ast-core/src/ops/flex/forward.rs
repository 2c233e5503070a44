//! Convolution, ReLU and max-pooling in memory, image by image, without an im2col matrix.
//!
//! Internally the channels are innermost (`[height, width, channels]`), so that every copy is of whole rows.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::product::{Product, Term};
use super::scratch::Scratch;
use super::sizes::{Images, Sizes, grid, pack, terms};

/// Marks an output that ReLU set to 0, in place of a position: its gradient is 0.
const CUT: u8 = u8::MAX;

/// The result of a forward pass.
pub(super) struct Output {
    /// `[images, height, width, channels]`.
    pub(super) values: Vec<f32>,
    /// Position within its pooling window that each output came from, or [`CUT`].
    pub(super) from: Vec<u8>,
}

/// `max_pool(relu(convolution(x, weight) + bias))`; weights `[channels out, channels in, height, width]`, contiguous.
pub(super) fn forward(sizes: &Sizes, x: Images<'_>, weight: &[f32], bias: &[f32]) -> Output {
    let [_, wide] = sizes.widths();
    let (windows, taps) = (sizes.windows(), sizes.taps());
    let weights = pack(sizes, weight, |[o, i, y, x]| (((y * sizes.kernel[1] + x) * sizes.channels[0] + i) * wide) + o);
    let mut padded_bias = bias.to_vec();
    padded_bias.resize(wide, 0.0);
    let pass = Forward { sizes, x, windows, terms: terms(&taps, wide), weights, bias: padded_bias };

    let [_, volume] = sizes.volumes();
    let mut values = vec![0.0; sizes.images * volume];
    let mut from = vec![0; values.len()];
    let arch = Arch::new();
    let images = values.par_chunks_mut(volume.max(1)).zip(from.par_chunks_mut(volume.max(1))).enumerate();
    images.for_each(|(image, (out, from))| arch.dispatch(OneForward { pass: &pass, image, out, from }));
    Output { values, from }
}

/// Inputs that the forward passes of all images share.
struct Forward<'a> {
    sizes: &'a Sizes,
    x: Images<'a>,
    windows: Vec<usize>,
    terms: Vec<Term>,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

struct OneForward<'a> {
    pass: &'a Forward<'a>,
    image: usize,
    out: &'a mut [f32],
    from: &'a mut [u8],
}

impl WithSimd for OneForward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { sizes, x, windows, terms, weights, bias } = self.pass;
        let (wide, channels) = (bias.len(), sizes.channels[1]);
        let mut scratch = Scratch::take();
        let padded = scratch.padded.zeros(sizes.padded()[0] * sizes.padded()[1] * sizes.channels[0]);
        pad(sizes, *x, self.image, padded);
        let direct = sizes.block.pool == 1 && wide == channels;
        let sums = if direct { &mut *self.out } else { scratch.convolved.any(sizes.places() * wide) };
        sums.chunks_exact_mut(wide).for_each(|place| place.copy_from_slice(bias));
        let product = Product { x: padded, rows: windows, terms, b: weights, width: wide, out: sums };
        product.compute(simd);
        if !direct {
            pool(sizes, &scratch.convolved.values, self.out, self.from);
        }
        relu(self.out, self.from);
        scratch.keep();
    }
}

/// Copies an image, channels innermost, into a zero-padded buffer.
#[inline(always)]
pub(super) fn pad(sizes: &Sizes, x: Images<'_>, image: usize, padded: &mut [f32]) {
    let [height, width] = sizes.input;
    let channels = sizes.channels[0];
    let [of_image, of_channel, of_row, of_column] = x.strides;
    for y in 0..height {
        let from = &x.values[image * of_image + y * of_row..];
        let to = ((y + sizes.block.padding[0]) * sizes.padded()[1] + sizes.block.padding[1]) * channels;
        let row = &mut padded[to..][..width * channels];
        if of_channel == 1 && of_column == channels {
            row.copy_from_slice(&from[..width * channels]);
        } else {
            for (column, place) in row.chunks_exact_mut(channels).enumerate() {
                for (channel, value) in place.iter_mut().enumerate() {
                    *value = from[column * of_column + channel * of_channel];
                }
            }
        }
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
