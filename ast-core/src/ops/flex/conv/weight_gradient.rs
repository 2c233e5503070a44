//! The gradients of a convolution's weight and bias.
//!
//! A task has a group of images and a block of output channels. The groups depend on the shapes alone and are added in
//! order, so results do not depend on the number of threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::backward::Upstream;
use super::product::{BLOCK, LANES, Product, TERMS, blocks};
use super::scratch::Scratch;
use super::sizes::{Images, Sizes};

/// Number of tasks to aim at. Each has a partial sum as large as its block of the weights, so blocks come first.
const TASKS: usize = 16;

/// The gradients of a convolution's parameters.
pub(super) struct Gradients {
    /// `[channels out, channels in, kernel height, kernel width]`.
    pub(super) weight: Vec<f32>,
    /// `[channels out]`; zeros if it is not needed.
    pub(super) bias: Vec<f32>,
}

/// The gradients with respect to weight and bias.
pub(super) fn gradients(sizes: &Sizes, x: Images<'_>, upstream: Upstream<'_>, of_bias: bool) -> Gradients {
    let [_, wide] = sizes.widths();
    // The places are the terms of the sums.
    let together = sizes.together(TERMS);
    let (windows, taps) = (sizes.windows(together), sizes.taps());
    let pass = WeightGradient { sizes, x, upstream, of_bias, together, windows, taps };
    let taps = pass.taps.len();
    let group = sizes.images.div_ceil((TASKS / wide.div_ceil(BLOCK)).max(2)).max(1);
    let groups = sizes.images.div_ceil(group);
    let (mut weight, mut bias) = (vec![0.0; groups * taps * wide], vec![0.0; groups * wide]);
    let (mut weights, mut biases) = (weight.as_mut_slice(), bias.as_mut_slice());
    let mut tasks = Vec::new();
    for number in 0..groups {
        let images = number * group..sizes.images.min((number + 1) * group);
        for (first, width) in blocks(wide) {
            let (weight, other_weights) = weights.split_at_mut(taps * width);
            let (bias, other_biases) = biases.split_at_mut(width);
            (weights, biases) = (other_weights, other_biases);
            tasks.push(Task { pass: &pass, images: images.clone(), first, weight, bias });
        }
    }
    let arch = Arch::new();
    tasks.into_par_iter().for_each(|task| arch.dispatch(task));
    Gradients { weight: unpack(sizes, &weight), bias: total_bias(sizes, &bias) }
}

/// Inputs that all tasks share.
struct WeightGradient<'a> {
    sizes: &'a Sizes,
    x: Images<'a>,
    upstream: Upstream<'a>,
    /// Whether the gradient of the bias is needed.
    of_bias: bool,
    /// Number of images of a product.
    together: usize,
    windows: Vec<usize>,
    taps: Vec<usize>,
}

/// Some images and a block of output channels.
struct Task<'a> {
    pass: &'a WeightGradient<'a>,
    images: std::ops::Range<usize>,
    /// First channel of the block.
    first: usize,
    /// `[kernel row, kernel column, channel in, channel out]`.
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let WeightGradient { sizes, x, upstream, of_bias, together, windows, taps } = self.pass;
        let (width, [_, columns]) = (self.bias.len(), sizes.convolved);
        let mut scratch = Scratch::take();
        for start in self.images.clone().step_by(*together) {
            let images = start..self.images.end.min(start + together);
            let places = images.len() * sizes.places();
            let through = scratch.convolved.zeros(places * width);
            let row = scratch.row.any(width);
            for (image, through) in images.clone().zip(through.chunks_exact_mut((sizes.places() * width).max(1))) {
                let place = |y, x| (y * columns + x) * width;
                upstream.write(sizes, image, [self.first, width], row, through, place);
            }
            if *of_bias {
                for place in through.chunks_exact(width) {
                    for (sum, value) in self.bias.iter_mut().zip(place) {
                        *sum += value;
                    }
                }
            }
            let padded = x.padded(sizes, images, &mut scratch.padded);
            let (rows, terms) = (taps.as_slice(), &windows[..places]);
            Product { x: padded, rows, terms, b: through, width, out: &mut *self.weight, stride: width }.compute(simd);
        }
        scratch.keep();
    }
}

/// Adds up the groups, in order, and brings the weights into the order of the parameter.
fn unpack(sizes: &Sizes, parts: &[f32]) -> Vec<f32> {
    let ([inputs, outputs], [_, wide]) = (sizes.channels, sizes.widths());
    let kernel = sizes.kernel[0] * sizes.kernel[1];
    let taps = kernel * inputs;
    let mut weight = vec![0.0; outputs * taps];
    // A cache line of each row at a time.
    weight.par_chunks_mut((LANES * taps).max(1)).enumerate().for_each(|(number, weight)| {
        let first = number * LANES;
        let (block, column) = (first / BLOCK * BLOCK, first % BLOCK);
        let width = BLOCK.min(wide - block);
        let channels = weight.len() / taps;
        for tap in 0..kernel {
            for input in 0..inputs {
                let mut sum = [0.0_f32; LANES];
                for part in parts.chunks_exact(taps * wide) {
                    let row = &part[block * taps + (tap * inputs + input) * width + column..][..LANES];
                    sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
                }
                for (channel, sum) in sum.iter().enumerate().take(channels) {
                    weight[(channel * inputs + input) * kernel + tap] = *sum;
                }
            }
        }
    });
    weight
}

fn total_bias(sizes: &Sizes, parts: &[f32]) -> Vec<f32> {
    let mut sum = vec![0.0; sizes.channels[1]];
    for part in parts.chunks_exact(sizes.widths()[1]) {
        sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    sum
}
