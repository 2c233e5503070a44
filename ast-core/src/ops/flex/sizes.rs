//! Sizes of a block, and the memory offsets of its convolution.

use crate::ops::Block;

use super::product::{LANES, Term};

/// Sizes of a block's input, weights and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) images: usize,
    pub(super) channels: [usize; 2],
    pub(super) input: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) block: Block,
    /// Height and width after the convolution.
    pub(super) convolved: [usize; 2],
    /// Height and width after pooling.
    pub(super) pooled: [usize; 2],
}

/// Images `[images, channels, height, width]` in any memory order.
#[derive(Clone, Copy)]
pub(super) struct Images<'a> {
    pub(super) values: &'a [f32],
    pub(super) strides: [usize; 4],
}

impl Sizes {
    /// The sizes for an input `[images, channels, height, width]` and weights `[channels out, channels in, height,
    /// width]`.
    pub(super) fn new(input: [usize; 4], weight: [usize; 4], block: Block) -> Self {
        assert_eq!(input[1], weight[1], "a convolution of {} channels got {}", weight[1], input[1]);
        assert!((1..=15).contains(&block.pool), "a pooling window of {0} x {0}", block.pool);
        let along = |axis: usize| {
            let padded = input[2 + axis] + 2 * block.padding[axis];
            assert!(padded >= weight[2 + axis], "a kernel of {} does not fit in {padded}", weight[2 + axis]);
            (padded - weight[2 + axis]) / block.stride[axis] + 1
        };
        let convolved = [along(0), along(1)];
        Self {
            images: input[0],
            channels: [weight[1], weight[0]],
            input: [input[2], input[3]],
            kernel: [weight[2], weight[3]],
            block,
            convolved,
            pooled: convolved.map(|side| side / block.pool),
        }
    }

    /// Shape of the output, `[images, channels, height, width]`.
    pub(super) fn output(&self) -> [usize; 4] {
        [self.images, self.channels[1], self.pooled[0], self.pooled[1]]
    }

    pub(super) fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.input[axis] + 2 * self.block.padding[axis])
    }

    /// Input and output channels, padded to whole vectors.
    pub(super) fn widths(&self) -> [usize; 2] {
        self.channels.map(|channels| channels.next_multiple_of(LANES))
    }

    /// Positions of the convolution's output.
    pub(super) fn places(&self) -> usize {
        self.convolved[0] * self.convolved[1]
    }

    /// Number of values per image, of the input and of the output.
    pub(super) fn volumes(&self) -> [usize; 2] {
        [self.channels[0] * self.input[0] * self.input[1], self.channels[1] * self.pooled[0] * self.pooled[1]]
    }

    /// Start of each output's window in a padded image.
    pub(super) fn windows(&self) -> Vec<usize> {
        let [_, width] = self.padded();
        let [down, right] = self.block.stride;
        grid(self.convolved).map(|[y, x]| (y * down * width + x * right) * self.channels[0]).collect()
    }

    /// Offsets within a window, in the order of the packed weights.
    pub(super) fn taps(&self) -> Vec<usize> {
        let [_, width] = self.padded();
        let channels = self.channels[0];
        grid(self.kernel).flat_map(|[y, x]| (0..channels).map(move |c| (y * width + x) * channels + c)).collect()
    }
}

/// All `[y, x]`, row by row.
pub(super) fn grid([height, width]: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    (0..height).flat_map(move |y| (0..width).map(move |x| [y, x]))
}

/// Pairs the offsets of a sum's terms with the rows of `b`, which are `width` apart.
pub(super) fn terms(offsets: &[usize], width: usize) -> Vec<Term> {
    offsets.iter().enumerate().map(|(row, x)| Term { x: *x, b: row * width }).collect()
}

/// The weights in the order given by `place`, rows padded with zeros.
pub(super) fn pack(sizes: &Sizes, weight: &[f32], place: impl Fn([usize; 4]) -> usize) -> Vec<f32> {
    let [input, output] = sizes.channels;
    let kernel = sizes.kernel[0] * sizes.kernel[1];
    // Large enough for rows of input channels and rows of output channels.
    let mut packed = vec![0.0; kernel * (input * sizes.widths()[1]).max(output * sizes.widths()[0])];
    let mut values = weight.iter();
    for o in 0..output {
        for i in 0..input {
            for ([y, x], value) in grid(sizes.kernel).zip(values.by_ref()) {
                packed[place([o, i, y, x])] = *value;
            }
        }
    }
    packed
}
