//! From the gradient of a block's output to the gradient of its convolution's output: back through pooling and ReLU.

use super::sizes::{Images, Sizes, grid};

/// The gradient of a block's output, and where each output came from.
#[derive(Clone, Copy)]
pub(super) struct Upstream<'a> {
    pub(super) gradient: Images<'a>,
    /// [`Output::from`](super::forward::Output::from) of the forward pass.
    pub(super) from: &'a [u8],
}

impl Upstream<'_> {
    /// Writes the gradient of `width` channels from `first` on, of one image, into `to`. `place` maps a position of the
    /// convolution's output to the start of its row in `to`, `to` is zero before:
    /// positions that pooling drops have no gradient.
    #[inline(always)]
    pub(super) fn write(
        self,
        sizes: &Sizes,
        image: usize,
        [first, width]: [usize; 2],
        row: &mut [f32],
        to: &mut [f32],
        place: impl Fn(usize, usize) -> usize,
    ) {
        let (side, channels) = (sizes.block.pool, sizes.channels[1]);
        let width = width.min(channels - first);
        let [of_image, of_channel, of_row, of_column] = self.gradient.strides;
        let [_, volume] = sizes.volumes();
        for (output, [y, x]) in grid(sizes.pooled).enumerate() {
            let gradient = &self.gradient.values[image * of_image + y * of_row + x * of_column..];
            let gradient = if of_channel == 1 {
                &gradient[first..][..width]
            } else {
                let row = &mut row[..width];
                row.iter_mut().enumerate().for_each(|(i, to)| *to = gradient[(first + i) * of_channel]);
                &*row
            };
            if self.from.is_empty() {
                to[place(y, x)..][..width].copy_from_slice(gradient);
                continue;
            }
            let from = &self.from[image * volume + output * channels + first..][..width];
            for (number, [down, right]) in grid([side, side]).enumerate() {
                let to = &mut to[place(y * side + down, x * side + right)..][..width];
                for ((to, from), value) in to.iter_mut().zip(from).zip(gradient) {
                    *to = if *from == number as u8 { *value } else { 0.0 };
                }
            }
        }
    }
}
