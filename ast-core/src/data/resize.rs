//! Images of a smaller size, for runs whose image size grows.

use serde::{Deserialize, Serialize};

use crate::random::{Purpose, Random};
use crate::select::Visit;

/// How an image becomes smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Resize {
    /// Bilinear interpolation with antialiasing: a triangle filter as wide as the scale, as PyTorch's `F.interpolate(...,
    /// mode="bilinear", antialias=True)`.
    #[default]
    Scale,
    /// A window at a random place.
    Crop,
}

/// The size of the images of a batch. They are resized after augmentation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageSize {
    /// Height and width, at most those of the dataset.
    pub sides: [usize; 2],
    /// How an image becomes as small.
    pub by: Resize,
    /// The randomness of the run, for the places of windows.
    pub random: Random,
}

/// A size with what is computed once per batch.
pub(crate) struct Resizer {
    size: ImageSize,
    from: [usize; 2],
    /// For each row of the result, the rows that it is a mean of; empty for windows.
    rows: Vec<Taps>,
    /// The same for columns.
    columns: Vec<Taps>,
    /// One channel with all columns but only the rows of the result.
    scratch: Vec<f32>,
}

/// Consecutive pixels and their weights, which add up to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Taps {
    /// The first of the pixels.
    pub first: usize,
    /// The weight of each.
    pub weights: Vec<f32>,
}

impl Resizer {
    /// For images of `from` (height and width).
    pub(crate) fn new(size: ImageSize, from: [usize; 2]) -> Self {
        let taps = |which: usize| match size.by {
            Resize::Scale => triangles(from[which], size.sides[which]),
            Resize::Crop => Vec::new(),
        };
        Self { rows: taps(0), columns: taps(1), scratch: vec![0.0; size.sides[0] * from[1]], size, from }
    }

    /// Writes `image` (`[channels, height, width]`) at its size into `out`. A window is a function of the visit.
    pub(crate) fn write(&mut self, visit: Visit, image: &[f32], out: &mut [f32]) {
        let ([height, width], [small_height, small_width]) = (self.from, self.size.sides);
        let channels = image.chunks_exact(height * width).zip(out.chunks_exact_mut(small_height * small_width));
        if self.size.by == Resize::Scale {
            channels.for_each(|(channel, out)| self.scale(channel, out));
            return;
        }
        let mut stream = self.size.random.stream(Purpose::Crop, u64::from(visit.epoch), u64::from(visit.id));
        let [top, left] =
            [height - small_height.min(height), width - small_width.min(width)].map(|room| stream.below(room + 1));
        for (channel, out) in channels {
            for (row, out) in channel.chunks_exact(width).skip(top).zip(out.chunks_exact_mut(small_width)) {
                out.copy_from_slice(&row[left..][..small_width]);
            }
        }
    }

    /// Scales one channel: first the rows, then the columns.
    fn scale(&mut self, channel: &[f32], out: &mut [f32]) {
        let (width, small_width) = (self.from[1], self.size.sides[1]);
        for (taps, out) in self.rows.iter().zip(self.scratch.chunks_exact_mut(width)) {
            out.fill(0.0);
            for (weight, row) in taps.weights.iter().zip(channel.chunks_exact(width).skip(taps.first)) {
                out.iter_mut().zip(row).for_each(|(out, pixel)| *out += weight * pixel);
            }
        }
        for (row, out) in self.scratch.chunks_exact(width).zip(out.chunks_exact_mut(small_width)) {
            for (taps, out) in self.columns.iter().zip(out) {
                *out = taps.weights.iter().zip(&row[taps.first..]).map(|(weight, pixel)| weight * pixel).sum();
            }
        }
    }
}

/// The triangle filter from `from` pixels to `to`, both above 0: for each pixel of the result, those that it is a mean of.
///
/// Pixel `i` of the result has its centre at `(i + 1/2) scale`, `scale = from/to`; the weight of a pixel falls linearly to
/// 0 at a distance of `scale` from there, and of 1 where the result is larger. This is PyTorch's `F.interpolate(...,
/// mode="bilinear", antialias=True)`.
#[must_use]
pub fn triangles(from: usize, to: usize) -> Vec<Taps> {
    let scale = (from as f64 / to as f64).max(1.0);
    let pixel = |i: usize| {
        let centre = (i as f64 + 0.5) * (from as f64 / to as f64);
        let first = (centre - scale + 0.5).max(0.0) as usize;
        let end = ((centre + scale + 0.5) as usize).min(from);
        let weight = |pixel: usize| (1.0 - ((pixel as f64 + 0.5 - centre) / scale).abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        Taps { first, weights: weights.into_iter().map(|weight| (weight / sum) as f32).collect() }
    };
    (0..to).map(pixel).collect()
}

impl TryFrom<String> for Resize {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "scale" => Ok(Self::Scale),
            "crop" => Ok(Self::Crop),
            _ => Err(format!("\"{word}\" is not one of scale, crop")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resized(sides: [usize; 2], by: Resize, from: [usize; 2], channels: usize, visit: Visit) -> Vec<f32> {
        let image: Vec<f32> = (0..channels * from[0] * from[1]).map(|i| (0.37 * i as f64).sin() as f32).collect();
        let mut out = vec![f32::NAN; channels * sides[0] * sides[1]];
        Resizer::new(ImageSize { sides, by, random: Random::new(1) }, from).write(visit, &image, &mut out);
        out
    }

    const FIRST: Visit = Visit { id: 3, epoch: 0, earlier: 0 };

    /// `F.interpolate(x, size=..., mode="bilinear", antialias=True)` of PyTorch 2, second of two channels of 9 x 7 pixels.
    #[test]
    fn scaled_images_are_those_of_pytorch() {
        let expected: [(_, &[f32]); 2] = [
            (
                [6, 5],
                &[
                    -0.323419, -0.223367, -0.049907, 0.136776, 0.267893, 0.050314, -0.043344, -0.139942, -0.19946,
                    -0.206009, 0.075199, 0.152562, 0.201929, 0.197792, 0.149462, -0.197595, -0.206684, -0.1633,
                    -0.076646, 0.015912, 0.200287, 0.154158, 0.06085, -0.048582, -0.132588, -0.139695, 0.018582,
                    0.196071, 0.321608, 0.357838,
                ],
            ),
            (
                [4, 4],
                &[
                    -0.096808, -0.05914, 0.007494, 0.0632, 0.011368, 0.033353, 0.045163, 0.039726, -0.045542,
                    -0.039562, -0.016944, 0.008771, -0.02123, 0.037695, 0.089974, 0.104309,
                ],
            ),
        ];
        for (sides, expected) in expected {
            let got = resized(sides, Resize::Scale, [9, 7], 2, FIRST);
            for (got, expected) in got[expected.len()..].iter().zip(expected) {
                assert!((got - expected).abs() < 1e-5, "{sides:?}: {got} {expected}");
            }
        }
    }

    /// The sum over all values, of their squares, and of each times its place, as PyTorch computes them.
    #[test]
    fn sizes_of_a_recipe_are_those_of_pytorch() {
        for (side, expected) in [
            (20, [0.315_587_28, 456.004_682_8, -926.828_447_985]),
            (26, [0.538_382_34, 861.856_421_7, -2_658.702_932_437]),
            (5, [0.033_631_334, 0.442_277_727, -6.889_188_445]),
        ] {
            let got: Vec<f64> =
                resized([side; 2], Resize::Scale, [32; 2], 3, FIRST).into_iter().map(f64::from).collect();
            let sums = [
                got.iter().sum::<f64>(),
                got.iter().map(|value| value * value).sum(),
                got.iter().enumerate().map(|(place, value)| place as f64 * value).sum(),
            ];
            for (got, expected) in sums.into_iter().zip(expected) {
                assert!((got - expected).abs() < 1e-5 * expected.abs().max(30.0), "{side}: {got} {expected}");
            }
        }
    }

    #[test]
    fn at_its_own_size_an_image_stays() {
        let image = resized([9, 7], Resize::Crop, [9, 7], 2, FIRST);
        assert_eq!(resized([9, 7], Resize::Scale, [9, 7], 2, FIRST), image);
        assert_eq!(image[10], (0.37 * 10.0_f64).sin() as f32);
    }

    /// Every window is a part of the image; all six places occur, and a visit always has the same.
    #[test]
    fn windows_are_at_random_places_keyed_by_visit() {
        let mut places = std::collections::BTreeSet::new();
        for epoch in 0..200 {
            let visit = Visit { epoch, ..FIRST };
            let window = resized([3, 2], Resize::Crop, [4, 4], 2, visit);
            assert_eq!(window, resized([3, 2], Resize::Crop, [4, 4], 2, Visit { earlier: 5, ..visit }));
            let at = |i: usize| (0.37 * i as f64).sin() as f32;
            let place = (0..32).find(|i| at(*i) == window[0]).unwrap();
            let expected: Vec<f32> = (0..12).map(|i| at(place + i / 6 * 16 + i % 6 / 2 * 4 + i % 2)).collect();
            assert_eq!(window, expected, "both channels have the same window");
            places.insert(place);
        }
        assert_eq!(places.into_iter().collect::<Vec<_>>(), [0, 1, 2, 4, 5, 6]);
    }
}
