//! The gradient of a convolution's input: the convolution of the output's gradient with the flipped weights.
//!
//! With a stride of `s`, the pixels of an input form `s * s` classes, by their position modulo the stride. Each class is
//! reached by its own part of the kernel, and is one product without zeros in it.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::backward::Upstream;
use super::product::{Product, ROWS, blocks};
use super::scratch::Scratch;
use super::sizes::{Sizes, grid};

/// The gradient of the input, `[images, height, width, channels]`; weights `[channels out, channels in, height,
/// width]`, contiguous.
pub(super) fn gradient(sizes: &Sizes, weight: &[f32], upstream: Upstream<'_>) -> Vec<f32> {
    let [volume, _] = sizes.volumes();
    let mut gradient = vec![0.0; sizes.images * volume];
    if volume == 0 {
        return gradient;
    }
    let together = ROWS.div_ceil(sizes.input[0] * sizes.input[1]).min(sizes.images.max(1));
    let borders = [0, 1].map(|axis| Border::new(sizes, axis));
    let classes =
        grid(sizes.block.stride).filter_map(|class| Class::new(sizes, borders, class, together, weight)).collect();
    let pass = InputGradient { sizes, upstream, together, borders, classes };
    let arch = Arch::new();
    gradient.par_chunks_mut(together * volume).enumerate().for_each(|(number, input)| {
        arch.dispatch(SomeImages { pass: &pass, first: number * together, input });
    });
    gradient
}

/// Zeros around the output's gradient, along one axis, so that the window of every pixel fits.
#[derive(Clone, Copy)]
struct Border {
    before: usize,
    side: usize,
}

impl Border {
    fn new(sizes: &Sizes, axis: usize) -> Self {
        let (stride, padding) = (sizes.block.stride[axis], sizes.block.padding[axis]);
        let (kernel, convolved) = (sizes.kernel[axis], sizes.convolved[axis]);
        let before = (kernel - 1).saturating_sub(padding).div_ceil(stride);
        // The last pixel, seen through the first tap, lies at this output.
        let last = (sizes.input[axis] - 1 + padding) / stride;
        Self { before, side: before + convolved.max(last + 1) }
    }

    /// For pixels of a class, the kernel positions that reach them, last to first, each with its distance to the row of
    /// the class's first pixel.
    fn taps(self, sizes: &Sizes, axis: usize, class: usize) -> Vec<[usize; 2]> {
        let (stride, padding) = (sizes.block.stride[axis], sizes.block.padding[axis]);
        let reach = |tap: &usize| (class + padding + stride * self.before).checked_sub(*tap);
        let taps = (0..sizes.kernel[axis]).rev();
        taps.filter_map(|tap| reach(&tap).filter(|at| at % stride == 0).map(|at| [tap, at / stride])).collect()
    }
}

/// The pixels at one position modulo the stride.
struct Class {
    /// Pixels of [`Sizes::input`], for all images of a product.
    pixels: Vec<usize>,
    /// Start of each pixel's window in the bordered gradient.
    rows: Vec<usize>,
    /// Offsets within that window.
    terms: Vec<usize>,
    /// `[block, term, channel in]`.
    weights: Vec<f32>,
}

impl Class {
    /// `None` if no window reaches these pixels.
    fn new(sizes: &Sizes, borders: [Border; 2], class: [usize; 2], together: usize, weight: &[f32]) -> Option<Self> {
        let ([inputs, outputs], [wide_in, wide_out]) = (sizes.channels, sizes.widths());
        let [down, right] = sizes.block.stride;
        let [height, width] =
            [0, 1].map(|axis| sizes.input[axis].saturating_sub(class[axis]).div_ceil(sizes.block.stride[axis]));
        let [ys, xs] = [0, 1].map(|axis| borders[axis].taps(sizes, axis, class[axis]));
        let taps: Vec<[[usize; 2]; 2]> = ys.iter().flat_map(|y| xs.iter().map(move |x| [*y, *x])).collect();
        if taps.is_empty() || height * width == 0 {
            return None;
        }
        let columns = borders[1].side;
        let pixel = |[y, x]: [usize; 2]| (class[0] + y * down) * sizes.input[1] + class[1] + x * right;
        let images = |each: usize| (0..together).map(move |image| image * each);
        let places = || grid([height, width]);
        let (plane, bordered) = (sizes.input[0] * sizes.input[1], borders[0].side * columns);
        let pixels = images(plane).flat_map(|of| places().map(move |at| of + pixel(at))).collect();
        let rows =
            images(bordered).flat_map(|of| places().map(move |[y, x]| (of + y * columns + x) * wide_out)).collect();
        let terms =
            taps.iter().flat_map(|[[_, y], [_, x]]| (0..outputs).map(move |o| (y * columns + x) * wide_out + o));
        let terms: Vec<usize> = terms.collect();

        let kernel = sizes.kernel[0] * sizes.kernel[1];
        let mut weights = vec![0.0; terms.len() * wide_in];
        let mut rest = weights.as_mut_slice();
        for (first, width) in blocks(wide_in) {
            let (block, others) = rest.split_at_mut(terms.len() * width);
            rest = others;
            block.par_chunks_exact_mut(outputs * width).zip(&taps).for_each(|(rows, [[y, _], [x, _]])| {
                let tap = y * sizes.kernel[1] + x;
                for (output, row) in rows.chunks_exact_mut(width).enumerate() {
                    let channels = (first..inputs).zip(row);
                    channels.for_each(|(input, to)| *to = weight[(output * inputs + input) * kernel + tap]);
                }
            });
        }
        Some(Self { pixels, rows, terms, weights })
    }
}

/// Inputs that all images share.
struct InputGradient<'a> {
    sizes: &'a Sizes,
    upstream: Upstream<'a>,
    /// Number of images of a product.
    together: usize,
    borders: [Border; 2],
    classes: Vec<Class>,
}

/// Some consecutive images.
struct SomeImages<'a> {
    pass: &'a InputGradient<'a>,
    first: usize,
    input: &'a mut [f32],
}

impl WithSimd for SomeImages<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let InputGradient { sizes, upstream, together, borders, classes } = self.pass;
        let ([wide_in, wide_out], [channels, _]) = (sizes.widths(), sizes.channels);
        let images = self.first..self.first + self.input.len() / sizes.volumes()[0];
        let mut scratch = Scratch::take();
        let [rows, columns] = borders.map(|border| border.side);
        let bordered = scratch.spread.zeros(images.len() * rows * columns * wide_out);
        let row = scratch.row.any(sizes.channels[1]);
        for (image, bordered) in images.clone().zip(bordered.chunks_exact_mut(rows * columns * wide_out)) {
            let place = |y: usize, x: usize| ((y + borders[0].before) * columns + x + borders[1].before) * wide_out;
            upstream.write(sizes, image, [0, wide_out], row, bordered, place);
        }
        for class in classes {
            let each = class.rows.len() / together;
            let rows = &class.rows[..images.len() * each];
            let direct = wide_in == channels && classes.len() == 1 && sizes.block.stride == [1, 1];
            // The gradient is zero before.
            let sums = if direct { &mut *self.input } else { scratch.input.zeros(rows.len() * wide_in) };
            for (first, width) in blocks(wide_in) {
                let terms = class.terms.as_slice();
                let b = &class.weights[first * terms.len()..][..width * terms.len()];
                Product { x: bordered, rows, terms, b, width, out: &mut sums[first..], stride: wide_in }.compute(simd);
            }
            if !direct {
                for (pixel, sums) in class.pixels.iter().zip(scratch.input.values.chunks_exact(wide_in)) {
                    self.input[pixel * channels..][..channels].copy_from_slice(&sums[..channels]);
                }
            }
        }
        scratch.keep();
    }
}
