//! Random flips and shifts of training images.

use serde::{Deserialize, Serialize};

use crate::random::{Purpose, Random};
use crate::select::Visit;

/// Whether left and right of an image are swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Flip {
    /// With probability 1/2 in every visit of a sample.
    #[default]
    Random,
    /// With probability 1/2 in the first visit of a sample; in every later visit the opposite of the visit before. Two
    /// visits in a row then never show the same image (K. Jordan, *94% on CIFAR-10 in 3.29 Seconds on a Single GPU*,
    /// 2024). The paper alternates by the parity of the epoch, which is the same if every sample is visited in every
    /// epoch.
    Alternate,
    /// Never.
    Off,
}

/// The pixels that a shift moves into an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Padding {
    /// Zeros: the mean, after normalisation.
    #[default]
    Zeros,
    /// The image reflected at its edge, without repeating the edge: PyTorch's `reflect`. The shift must be smaller than
    /// the image.
    Reflect,
}

/// Augmentation of training images: a horizontal flip, then a uniform shift in both directions.
///
/// What is drawn for a visit is a function of the randomness, the epoch and the sample (and of the sample's earlier visits
/// with [`Flip::Alternate`]). It does not depend on the order in which batches are assembled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Augment {
    /// The randomness of the run.
    pub random: Random,
    /// Horizontal flips.
    pub flip: Flip,
    /// Largest shift in each direction, in pixels.
    pub shift: usize,
    /// The pixels that a shift moves in.
    pub padding: Padding,
}

/// The augmentation of one visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Drawn {
    /// Whether left and right are swapped, before the shift.
    flip: bool,
    /// Number of rows that the image moves up.
    up: isize,
    /// Number of columns that the image moves left.
    left: isize,
}

impl Augment {
    /// The standard augmentation of small images: random flips, and shifts of up to 4 pixels, padded with zeros.
    #[must_use]
    pub fn standard(random: Random) -> Self {
        Self { random, flip: Flip::Random, shift: 4, padding: Padding::Zeros }
    }

    /// The same flips without shifts.
    pub(crate) fn without_shift(self) -> Self {
        Self { shift: 0, ..self }
    }

    fn draw(&self, visit: Visit) -> Drawn {
        let sample = u64::from(visit.id);
        let mut stream = self.random.stream(Purpose::Augment, u64::from(visit.epoch), sample);
        let mut shift = || stream.below(2 * self.shift + 1) as isize - self.shift as isize;
        let (up, left) = (shift(), shift());
        let flip = match self.flip {
            Flip::Random => stream.below(2) == 1,
            Flip::Alternate => {
                let first = self.random.stream(Purpose::FirstFlip, sample, 0).below(2) == 1;
                first != (visit.earlier % 2 == 1)
            }
            Flip::Off => false,
        };
        Drawn { flip, up, left }
    }

    /// The rows and columns of an image whose pixels are seen in `visit`; `None` for zeros.
    pub(crate) fn sources(&self, visit: Visit, mirrors: bool, [height, width]: [usize; 2]) -> [Vec<Option<usize>>; 2] {
        let Drawn { flip, up, left } = self.draw(visit);
        let rows = sources(height, up, self.padding);
        let mut columns = sources(width, left, self.padding);
        if flip && mirrors {
            columns.iter_mut().flatten().for_each(|column| *column = width - 1 - *column);
        }
        [rows, columns]
    }

    /// Writes `image` (`[channels, height, width]`) into `out` as it is seen in `visit`. It is flipped only if `mirrors`.
    pub(crate) fn write(&self, visit: Visit, mirrors: bool, image: &[f32], sides: [usize; 3], out: &mut [f32]) {
        let [_, height, width] = sides;
        let [rows, columns] = self.sources(visit, mirrors, [height, width]);
        let planes = image.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width));
        for (plane, out) in planes {
            for (row, out) in rows.iter().zip(out.chunks_exact_mut(width)) {
                match row {
                    None => out.fill(0.0),
                    Some(row) => {
                        let row = &plane[row * width..][..width];
                        let pixel = |column: &Option<usize>| column.map_or(0.0, |column| row[column]);
                        out.iter_mut().zip(&columns).for_each(|(out, column)| *out = pixel(column));
                    }
                }
            }
        }
    }
}

/// For each row (or column) of an image of `side` of them that moves by `shift` towards its start, the row that it shows;
/// `None` for zeros.
fn sources(side: usize, shift: isize, padding: Padding) -> Vec<Option<usize>> {
    let last = side as isize - 1;
    let source = |place: isize| match padding {
        _ if (0..=last).contains(&place) => Some(place as usize),
        Padding::Zeros => None,
        // Within the image, because a reflected shift is smaller than it.
        Padding::Reflect if place < 0 => Some((-place).min(last) as usize),
        Padding::Reflect => Some((2 * last - place).max(0) as usize),
    };
    (0..side as isize).map(|place| source(place + shift)).collect()
}

impl TryFrom<String> for Flip {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "random" => Ok(Self::Random),
            "alternate" => Ok(Self::Alternate),
            "off" => Ok(Self::Off),
            _ => Err(format!("\"{word}\" is not one of random, alternate, off")),
        }
    }
}

impl TryFrom<String> for Padding {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "zeros" => Ok(Self::Zeros),
            "reflect" => Ok(Self::Reflect),
            _ => Err(format!("\"{word}\" is not one of zeros, reflect")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn visit(id: u32, epoch: u32, earlier: u32) -> Visit {
        Visit { id, epoch, earlier }
    }

    /// The image 0, 1, ..., 5 of two rows, as it is seen with this augmentation.
    fn seen(augment: Augment, mirrors: bool, visit: Visit) -> Vec<f32> {
        let mut out = vec![f32::NAN; 6];
        augment.write(visit, mirrors, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [1, 2, 3], &mut out);
        out
    }

    #[test]
    fn shifts_move_in_zeros_or_the_reflected_image() {
        let some = Some;
        assert_eq!(sources(4, 0, Padding::Zeros), [some(0), some(1), some(2), some(3)]);
        assert_eq!(sources(4, 1, Padding::Zeros), [some(1), some(2), some(3), None]);
        assert_eq!(sources(4, -3, Padding::Zeros), [None, None, None, some(0)]);
        assert_eq!(sources(3, 9, Padding::Zeros), [None; 3]);
        // As `torch.nn.functional.pad(x, (3, 3), "reflect")` of 0, 1, 2, 3: 3 2 1 0 1 2 3 2 1 0.
        assert_eq!(sources(4, -3, Padding::Reflect), [some(3), some(2), some(1), some(0)]);
        assert_eq!(sources(4, 2, Padding::Reflect), [some(2), some(3), some(2), some(1)]);
        assert_eq!(sources(4, 3, Padding::Reflect), [some(3), some(2), some(1), some(0)]);
        assert_eq!(sources(1, 0, Padding::Reflect), [some(0)]);
    }

    /// Every visit of a small image is the one that its draw describes.
    #[test]
    fn the_flip_comes_before_the_shift() {
        let (mut flips, image) = (0, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
        for padding in [Padding::Zeros, Padding::Reflect] {
            let augment = Augment { shift: 1, padding, ..Augment::standard(Random::new(7)) };
            for epoch in 0..50 {
                let Drawn { flip, up, left } = augment.draw(visit(3, epoch, 0));
                let turned = image.map(|row| if flip { [row[2], row[1], row[0]] } else { row });
                let at = |place: isize, last: isize| match padding {
                    Padding::Zeros => (0..=last).contains(&place).then_some(place as usize),
                    Padding::Reflect => Some((if place > last { 2 * last - place } else { place.abs() }) as usize),
                };
                let pixel = |row: isize, column: isize| {
                    at(row + up, 1).zip(at(column + left, 2)).map_or(0.0, |(row, column)| turned[row][column])
                };
                let expected: Vec<f32> = (0..6).map(|i| pixel(i / 3, i % 3)).collect();
                assert_eq!(seen(augment, true, visit(3, epoch, 0)), expected, "{padding:?} {flip} {up} {left}");
                flips += u32::from(flip);
            }
        }
        assert!((20..80).contains(&flips), "{flips}");
    }

    /// All 162 standard augmentations occur, about equally often.
    #[test]
    fn draws_are_uniform() {
        let augment = Augment::standard(Random::new(0));
        let mut counts = HashMap::new();
        (0..16_200).for_each(|id| *counts.entry(augment.draw(visit(id, 0, 0))).or_insert(0u32) += 1);
        assert_eq!(counts.len(), 162);
        assert!(counts.values().all(|count| (40..=170).contains(count)), "{counts:?}");
    }

    /// The draws of earlier versions: the shifts up and left, then the flip, from one stream.
    #[test]
    fn the_standard_draws_are_those_of_earlier_versions() {
        let random = Random::new(5);
        for (id, epoch) in [(0, 0), (3, 1), (49_999, 39)] {
            let mut stream = random.stream(Purpose::Augment, u64::from(epoch), u64::from(id));
            let [up, left] = [0; 2].map(|_| stream.below(9) as isize - 4);
            let expected = Drawn { flip: stream.below(2) == 1, up, left };
            assert_eq!(Augment::standard(random).draw(visit(id, epoch, 7)), expected);
        }
    }

    /// The first flip is a fair coin of the sample; each visit is the opposite of the one before, in whatever epoch.
    #[test]
    fn alternating_flips_follow_the_visits() {
        let augment = Augment { flip: Flip::Alternate, shift: 0, ..Augment::standard(Random::new(1)) };
        let flipped = |id, epoch, earlier| augment.draw(visit(id, epoch, earlier)).flip;
        let first: Vec<bool> = (0..1000).map(|id| flipped(id, 0, 0)).collect();
        let count = first.iter().filter(|flip| **flip).count();
        assert!((400..600).contains(&count), "{count}");
        for (id, first) in (0..1000).zip(first) {
            for (earlier, epoch) in [(0, 9), (1, 9), (2, 17), (3, 18), (4, 40)] {
                assert_eq!(flipped(id, epoch, earlier), first != (earlier % 2 == 1), "{id} {epoch} {earlier}");
            }
        }
    }

    #[test]
    fn nothing_is_flipped_without_flips_or_where_a_mirror_image_is_of_another_class() {
        let still = Augment { shift: 0, ..Augment::standard(Random::new(1)) };
        let plain = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let off = Augment { flip: Flip::Off, ..still };
        assert!((0..20).all(|epoch| seen(off, true, visit(0, epoch, 0)) == plain));
        assert!((0..20).all(|epoch| seen(still, false, visit(0, epoch, 0)) == plain));
        assert!((0..20).any(|epoch| seen(still, true, visit(0, epoch, 0)) == [2.0, 1.0, 0.0, 5.0, 4.0, 3.0]));
    }
}
