use ast_core::random::Stream;

/// Largest shift, in pixels, in each direction.
pub const MAX_SHIFT: usize = 4;

/// The standard augmentation of small images: a horizontal flip with probability 1/2, and a shift of up to
/// [`MAX_SHIFT`] pixels in each direction, padded with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// Whether left and right are swapped, before the shift.
    pub flip: bool,
    /// Number of rows that the image moves up, `-4..=4`.
    pub up: isize,
    /// Number of columns that the image moves left, `-4..=4`.
    pub left: isize,
}

impl Augmentation {
    /// No augmentation.
    pub const NONE: Self = Self { flip: false, up: 0, left: 0 };

    /// Draws an augmentation: a flip with probability 1/2, and uniform shifts.
    pub fn draw(stream: &mut Stream) -> Self {
        let mut shift = || stream.below(2 * MAX_SHIFT + 1) as isize - MAX_SHIFT as isize;
        let (up, left) = (shift(), shift());
        Self { flip: stream.below(2) == 1, up, left }
    }

    /// Source of the pixel at `(row, column)` of the augmented image, in an image of `height` x `width`; `None` in the
    /// padding.
    #[must_use]
    pub fn source(self, row: usize, column: usize, height: usize, width: usize) -> Option<(usize, usize)> {
        let row = row.checked_add_signed(self.up).filter(|row| *row < height)?;
        let column = column.checked_add_signed(self.left).filter(|column| *column < width)?;
        Some((row, if self.flip { width - 1 - column } else { column }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::random::{Purpose, Random};

    #[test]
    fn sources_of_a_small_image() {
        let flip = Augmentation { flip: true, ..Augmentation::NONE };
        assert_eq!(flip.source(0, 0, 2, 3), Some((0, 2)));
        let shifted = Augmentation { flip: false, up: 1, left: -1 };
        assert_eq!(shifted.source(0, 1, 2, 3), Some((1, 0)));
        assert_eq!(shifted.source(1, 1, 2, 3), None);
        assert_eq!(shifted.source(0, 0, 2, 3), None);
    }

    /// All 162 augmentations occur, about equally often.
    #[test]
    fn draws_are_uniform() {
        let mut counts = std::collections::HashMap::new();
        for k in 0..16_200 {
            let drawn = Augmentation::draw(&mut Random::new(0).stream(Purpose::Augment, 0, k));
            *counts.entry((drawn.flip, drawn.up, drawn.left)).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 162);
        assert!(counts.values().all(|count| (40..=170).contains(count)), "{counts:?}");
    }
}
