//! The backward pass of `forward`.
//!
//! Each image is processed by one thread. Sums over images are taken in groups that depend on the number of images
//! alone, so results do not depend on the number of threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::forward::pad;
use super::product::{Product, Term};
use super::scratch::Scratch;
use super::sizes::{Images, Sizes, grid, pack, terms};

/// Maximum number of image groups whose weight gradients are summed separately.
const GROUPS: usize = 16;

/// The gradients of a block's input, weight and bias.
pub(super) struct Gradients {
    /// `[images, height, width, channels]`; `None` if not requested.
    pub(super) input: Option<Vec<f32>>,
    /// `[channels out, channels in, kernel height, kernel width]`.
    pub(super) weight: Vec<f32>,
    /// `[channels out]`.
    pub(super) bias: Vec<f32>,
}

/// The gradients of a block, given the gradient of its output. `from` is [`Output::from`](super::forward::Output::from)
/// of the forward pass.
pub(super) fn backward(
    sizes: &Sizes,
    x: Images<'_>,
    weight: &[f32],
    from: &[u8],
    gradient: Images<'_>,
    input_needed: bool,
) -> Gradients {
    let [wide_in, wide_out] = sizes.widths();
    let [kernel_height, kernel_width] = sizes.kernel;
    let [inputs, outputs] = sizes.channels;
    let dilated_width = sizes.input[1] + kernel_width - 1;
    let offset = |y, x| (y * dilated_width + x) * wide_out;
    let flipped: Vec<usize> =
        grid(sizes.kernel).flat_map(|[y, x]| (0..outputs).map(move |o| offset(y, x) + o)).collect();
    let weights = pack(sizes, weight, |[o, i, y, x]| {
        let [y, x] = [kernel_height - 1 - y, kernel_width - 1 - x];
        ((y * kernel_width + x) * outputs + o) * wide_in + i
    });
    let pass = Backward {
        sizes,
        x,
        from,
        gradient,
        taps: sizes.taps(),
        places: terms(&sizes.windows(), wide_out),
        pixels: grid(sizes.input).map(|[y, x]| offset(y, x)).collect(),
        flipped: terms(&flipped, wide_in),
        weights,
    };

    let group = sizes.images.div_ceil(GROUPS).max(1);
    let groups = sizes.images.div_ceil(group);
    let [volume, _] = sizes.volumes();
    let (taps, arch) = (pass.taps.len(), Arch::new());
    let mut input = vec![0.0; if input_needed { sizes.images * volume } else { 0 }];
    let mut weight = vec![0.0; groups * taps * wide_out];
    let mut bias = vec![0.0; groups * wide_out];
    let mut inputs_of: Vec<&mut [f32]> = input.chunks_mut(group * volume).collect();
    inputs_of.resize_with(groups, Default::default);
    let parts = weight.par_chunks_mut(taps * wide_out).zip(bias.par_chunks_mut(wide_out)).zip(inputs_of).enumerate();
    parts.for_each(|(number, ((weight, bias), input))| {
        let images = number * group..sizes.images.min((number + 1) * group);
        for (place, image) in images.enumerate() {
            let input = if input_needed { &mut input[place * volume..][..volume] } else { &mut [] };
            arch.dispatch(OneBackward { pass: &pass, image, input, weight: &mut *weight, bias: &mut *bias });
        }
    });

    let weight = total(&weight, taps * wide_out);
    let unpacked = (0..outputs).flat_map(|o| (0..inputs).map(move |i| (o, i)));
    let weight = unpacked
        .flat_map(|(o, i)| (0..kernel_height * kernel_width).map(move |tap| (tap * inputs + i) * wide_out + o))
        .map(|at| weight[at])
        .collect();
    let mut bias = total(&bias, wide_out);
    bias.truncate(outputs);
    Gradients { input: input_needed.then_some(input), weight, bias }
}

/// The sum of consecutive parts of length `part`, first to last.
fn total(parts: &[f32], part: usize) -> Vec<f32> {
    let mut sum = vec![0.0; part];
    for part in parts.chunks_exact(part) {
        sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    sum
}

/// Inputs that the backward passes of all images share.
struct Backward<'a> {
    sizes: &'a Sizes,
    x: Images<'a>,
    from: &'a [u8],
    gradient: Images<'a>,
    /// Offset of each kernel position within a window.
    taps: Vec<usize>,
    /// The windows, each with the gradients of its outputs.
    places: Vec<Term>,
    /// Start of each input's window in the dilated output gradient.
    pixels: Vec<usize>,
    /// Offsets within that window, each with a row of the flipped weights.
    flipped: Vec<Term>,
    weights: Vec<f32>,
}

struct OneBackward<'a> {
    pass: &'a Backward<'a>,
    image: usize,
    /// Gradient of the image; empty if not requested.
    input: &'a mut [f32],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

impl WithSimd for OneBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pass = self.pass;
        let sizes = pass.sizes;
        let [wide_in, wide_out] = sizes.widths();
        let mut scratch = Scratch::take();
        let through = scratch.convolved.any(sizes.places() * wide_out);
        gradient_of_sums(pass, self.image, through, scratch.row.any(sizes.channels[1]));
        for place in through.chunks_exact(wide_out) {
            self.bias.iter_mut().zip(place).for_each(|(sum, value)| *sum += value);
        }
        let padded = scratch.padded.zeros(sizes.padded()[0] * sizes.padded()[1] * sizes.channels[0]);
        pad(sizes, pass.x, self.image, padded);
        let (rows, terms) = (&pass.taps, &pass.places);
        Product { x: padded, rows, terms, b: through, width: wide_out, out: self.weight }.compute(simd);
        if self.input.is_empty() {
            return scratch.keep();
        }
        let [height, width] = [0, 1].map(|axis| sizes.input[axis] + sizes.kernel[axis] - 1);
        let spread = scratch.spread.zeros(height * width * wide_out);
        spread_out(sizes, through, spread, wide_out);
        let (rows, terms, direct) = (&pass.pixels, &pass.flipped, wide_in == sizes.channels[0]);
        let sums = if direct { &mut *self.input } else { scratch.input.any(rows.len() * wide_in) };
        sums.fill(0.0);
        Product { x: spread, rows, terms, b: &pass.weights, width: wide_in, out: sums }.compute(simd);
        if !direct {
            narrow(&scratch.input.values, wide_in, self.input, sizes.channels[0]);
        }
        scratch.keep();
    }
}

/// From the gradient of the block's output to the gradient of the convolution's output: back through pooling and ReLU.
#[inline(always)]
fn gradient_of_sums(pass: &Backward<'_>, image: usize, through: &mut [f32], row: &mut [f32]) {
    let sizes = pass.sizes;
    let (side, channels, wide) = (sizes.block.pool, sizes.channels[1], sizes.widths()[1]);
    if wide > channels || [0, 1].iter().any(|axis| !sizes.convolved[*axis].is_multiple_of(side)) {
        // Padding lanes, and positions that pooling drops, have no output.
        through.fill(0.0);
    }
    let [of_image, of_channel, of_row, of_column] = pass.gradient.strides;
    let [_, volume] = sizes.volumes();
    let from = pass.from[image * volume..][..volume].chunks_exact(channels);
    for ([y, x], from) in grid(sizes.pooled).zip(from) {
        let gradient = &pass.gradient.values[image * of_image + y * of_row + x * of_column..];
        let gradient = if of_channel == 1 {
            &gradient[..channels]
        } else {
            row.iter_mut().enumerate().for_each(|(channel, to)| *to = gradient[channel * of_channel]);
            &*row
        };
        for (number, [down, right]) in grid([side, side]).enumerate() {
            let place = (y * side + down) * sizes.convolved[1] + x * side + right;
            let to = &mut through[place * wide..][..channels];
            for ((to, from), value) in to.iter_mut().zip(from).zip(gradient) {
                *to = if *from == number as u8 { *value } else { 0.0 };
            }
        }
    }
}

/// Dilates the gradient of the convolution's output. The input's gradient is the convolution of the result with the
/// flipped weights.
#[inline(always)]
fn spread_out(sizes: &Sizes, through: &[f32], spread: &mut [f32], wide: usize) {
    let reach = [0, 1].map(|axis| sizes.input[axis] + sizes.kernel[axis] - 1);
    for ([y, x], place) in grid(sizes.convolved).zip(through.chunks_exact(wide)) {
        let at = |axis: usize, index: usize| {
            (index * sizes.block.stride[axis] + sizes.kernel[axis] - 1)
                .checked_sub(sizes.block.padding[axis])
                .filter(|at| *at < reach[axis])
        };
        // Windows that lie in the padding do not contribute to the input's gradient.
        if let (Some(y), Some(x)) = (at(0, y), at(1, x)) {
            spread[(y * reach[1] + x) * wide..][..wide].copy_from_slice(place);
        }
    }
}

/// Removes the padding of the channels.
#[inline(always)]
fn narrow(wide: &[f32], width: usize, out: &mut [f32], channels: usize) {
    for (from, to) in wide.chunks_exact(width).zip(out.chunks_exact_mut(channels)) {
        to.copy_from_slice(&from[..channels]);
    }
}
