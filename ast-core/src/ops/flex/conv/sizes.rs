//! Sizes of a convolution, and its memory offsets.

use std::ops::Range;

use super::product::LANES;
use super::scratch::Buffer;
use crate::ops::Block;

/// Sizes of a convolution's input, weights and output.
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

    /// Number of values of a padded image.
    pub(super) fn padded_volume(&self) -> usize {
        self.padded()[0] * self.padded()[1] * self.channels[0]
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

    /// Number of small images that one product takes together, so that it has so many places.
    pub(super) fn together(&self, places: usize) -> usize {
        places.div_ceil(self.places().max(1)).min(self.images.max(1))
    }

    /// Start of each output's window in so many padded images.
    pub(super) fn windows(&self, images: usize) -> Vec<usize> {
        let [_, width] = self.padded();
        let [down, right] = self.block.stride;
        let volume = self.padded_volume();
        let windows = |image| {
            grid(self.convolved).map(move |[y, x]| image * volume + (y * down * width + x * right) * self.channels[0])
        };
        (0..images).flat_map(windows).collect()
    }

    /// Offsets within a window: kernel row, kernel column, channel.
    pub(super) fn taps(&self) -> Vec<usize> {
        let [_, width] = self.padded();
        let channels = self.channels[0];
        grid(self.kernel).flat_map(|[y, x]| (0..channels).map(move |c| (y * width + x) * channels + c)).collect()
    }
}

impl<'a> Images<'a> {
    /// These images, zero-padded, with the channels innermost: their own memory if it is so already, else a copy in
    /// `buffer`.
    #[inline(always)]
    pub(super) fn padded<'b>(self, sizes: &Sizes, images: Range<usize>, buffer: &'b mut Buffer) -> &'b [f32]
    where
        'a: 'b,
    {
        let [volume, _] = sizes.volumes();
        let [_, width] = sizes.input;
        let channels = sizes.channels[0];
        if sizes.block.padding == [0, 0] && self.strides == [volume, 1, width * channels, channels] {
            return &self.values[images.start * volume..images.end * volume];
        }
        let padded = buffer.zeros(images.len() * sizes.padded_volume());
        for (image, padded) in images.zip(padded.chunks_exact_mut(sizes.padded_volume().max(1))) {
            self.pad(sizes, image, padded);
        }
        padded
    }

    /// Copies an image, channels innermost, into a zero-padded buffer.
    #[inline(always)]
    fn pad(self, sizes: &Sizes, image: usize, padded: &mut [f32]) {
        let [height, width] = sizes.input;
        let channels = sizes.channels[0];
        let [of_image, of_channel, of_row, of_column] = self.strides;
        for y in 0..height {
            let from = &self.values[image * of_image + y * of_row..];
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
}

/// All `[y, x]`, row by row.
pub(super) fn grid([height, width]: [usize; 2]) -> impl Iterator<Item = [usize; 2]> {
    (0..height).flat_map(move |y| (0..width).map(move |x| [y, x]))
}
