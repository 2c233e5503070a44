//! The part of an image that a network sees, and how it gets the network's size.

use ast_core::data::{Taps, triangles};
use ast_core::random::Stream;

use super::rgb::Rgb;

/// Share of the image's area that a random crop has, least and most (torchvision's `RandomResizedCrop`).
const AREA: [f64; 2] = [0.08, 1.0];
/// Its width over its height, least and most.
const RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// Draws until one fits into the image.
const TRIES: usize = 10;

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// A part of an image of `[height, width]`, of random area, ratio and place, as torchvision's `RandomResizedCrop` draws
/// it.
pub(super) fn random_region([height, width]: [usize; 2], stream: &mut Stream) -> Region {
    let between = |[low, high]: [f64; 2], u: f64| low + (high - low) * u;
    for _ in 0..TRIES {
        let area = (height * width) as f64 * between(AREA, stream.uniform());
        let ratio = between(RATIO.map(f64::ln), stream.uniform()).exp();
        let [tall, wide] = [area / ratio, area * ratio].map(|square| square.sqrt().round_ties_even() as usize);
        if (1..=height).contains(&tall) && (1..=width).contains(&wide) {
            let [top, left] = [height - tall, width - wide].map(|room| stream.below(room + 1));
            return Region { top, left, height: tall, width: wide };
        }
    }
    middle([height, width])
}

/// The largest part in the middle of an image whose ratio a random crop may have.
fn middle([height, width]: [usize; 2]) -> Region {
    let ratio = width as f64 / height as f64;
    let [tall, wide] = match ratio {
        _ if ratio < RATIO[0] => [(width as f64 / RATIO[0]).round_ties_even() as usize, width],
        _ if ratio > RATIO[1] => [height, (height as f64 * RATIO[1]).round_ties_even() as usize],
        _ => [height, width],
    };
    Region { top: (height - tall) / 2, left: (width - wide) / 2, height: tall, width: wide }
}

/// How the pixels of a view follow from those of an image: for each row and column, those that it is a mean of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sampling {
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

impl Sampling {
    /// A region, scaled to `[height, width]`: torchvision's `resized_crop` with antialiasing.
    pub(super) fn of_region(region: Region, [height, width]: [usize; 2]) -> Self {
        let Region { top, left, .. } = region;
        Self {
            rows: moved(triangles(region.height, height), top),
            columns: moved(triangles(region.width, width), left),
        }
    }

    /// The middle `[height, width]` of the image after it is scaled so that its shorter side has `shorter` pixels, or as
    /// many more as the middle needs: torchvision's `Resize`, then `CenterCrop`.
    pub(super) fn of_middle([height, width]: [usize; 2], shorter: usize, out: [usize; 2]) -> Self {
        let scaled = |shorter: usize| match height <= width {
            true => [shorter, shorter * width / height],
            false => [shorter * height / width, shorter],
        };
        let large_enough = |shorter: &usize| scaled(*shorter)[0] >= out[0] && scaled(*shorter)[1] >= out[1];
        let whole = scaled((shorter..).find(large_enough).unwrap_or(shorter));
        let [rows, columns] = [0, 1].map(|side| {
            // Python rounds a half to even.
            let before = ((whole[side] - out[side]) as f64 / 2.0).round_ties_even() as usize;
            let mut taps = triangles([height, width][side], whole[side]);
            taps.drain(..before);
            taps.truncate(out[side]);
            taps
        });
        Self { rows, columns }
    }

    /// Writes the view of an image into `out`, `[3, height, width]`, as pixels in 0..=255: first the rows, then the
    /// columns.
    pub(super) fn write(&self, image: &Rgb, out: &mut [f32]) {
        let (height, width) = (self.rows.len(), self.columns.len());
        let end = self.columns.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or_default();
        let begin = self.columns.iter().map(|taps| taps.first).min().unwrap_or_default();
        let mut row = vec![0.0_f32; 3 * (end - begin)];
        let (red, rest) = out.split_at_mut(height * width);
        let (green, blue) = rest.split_at_mut(height * width);
        let planes = red.chunks_exact_mut(width).zip(green.chunks_exact_mut(width)).zip(blue.chunks_exact_mut(width));
        for (taps, ((red, green), blue)) in self.rows.iter().zip(planes) {
            row.fill(0.0);
            for (weight, above) in taps.weights.iter().zip(taps.first..) {
                let pixels = &image.pixels[3 * (above * image.width + begin)..][..row.len()];
                row.iter_mut().zip(pixels).for_each(|(sum, pixel)| *sum += weight * f32::from(*pixel));
            }
            let out = red.iter_mut().zip(green).zip(blue);
            for (taps, ((red, green), blue)) in self.columns.iter().zip(out) {
                let mut sums = [0.0_f32; 3];
                let pixels = row[3 * (taps.first - begin)..].chunks_exact(3);
                for (weight, pixel) in taps.weights.iter().zip(pixels) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, pixel)| *sum += weight * pixel);
                }
                (*red, *green, *blue) = (sums[0], sums[1], sums[2]);
            }
        }
    }
}

/// The same pixels of an image that begins `by` pixels earlier.
fn moved(taps: Vec<Taps>, by: usize) -> Vec<Taps> {
    taps.into_iter().map(|taps| Taps { first: taps.first + by, ..taps }).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use ast_core::random::{Purpose, Random};

    use super::*;
    use crate::image_folder::decode::decode;

    fn photo() -> Rgb {
        decode(&fs::read("tests/image_folder/colour.png").unwrap()).unwrap()
    }

    fn transposed(image: &Rgb) -> Rgb {
        let pixel = |at: usize| &image.pixels[3 * (at % image.height * image.width + at / image.height)..][..3];
        let pixels = (0..image.height * image.width).flat_map(pixel).copied().collect();
        Rgb { height: image.width, width: image.height, pixels }
    }

    /// Largest difference to a view by torchvision, of 0..255, in floating point.
    fn difference(number: usize, image: &Rgb, sampling: &Sampling) -> f32 {
        let bytes = fs::read(format!("tests/image_folder/colour.view-{number}.f32")).unwrap();
        let expected: Vec<f32> = bytes.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        let mut out = vec![f32::NAN; expected.len()];
        sampling.write(image, &mut out);
        out.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// `Resize` and `CenterCrop`, smaller and larger, of wide and tall images; and `resized_crop`, smaller and larger.
    #[test]
    fn views_are_those_of_torchvision() {
        let image = photo();
        let whole = |shorter, side, image: &Rgb| Sampling::of_middle([image.height, image.width], shorter, [side; 2]);
        let region =
            |top, left, height, width, side| Sampling::of_region(Region { top, left, height, width }, [side; 2]);
        let tall = transposed(&image);
        for (number, image, sampling) in [
            (0, &image, whole(20, 16, &image)),
            (1, &image, whole(64, 56, &image)),
            (2, &tall, whole(21, 20, &tall)),
            (3, &image, region(3, 5, 30, 40, 16)),
            (4, &image, region(20, 31, 9, 7, 24)),
        ] {
            let difference = difference(number, image, &sampling);
            assert!(difference < 1e-3, "{number}: {difference}");
        }
    }

    /// An image of the network's size is its pixels, exactly.
    #[test]
    fn an_image_of_the_right_size_stays() {
        let image = photo();
        let mut out = vec![f32::NAN; image.pixels.len()];
        Sampling::of_middle([37, 50], 37, [37, 50]).write(&image, &mut out);
        let (places, channels) = (37 * 50, 3);
        let expected: Vec<f32> = (0..channels)
            .flat_map(|c| (0..places).map(move |at| (at, c)))
            .map(|(at, c)| f32::from(image.pixels[3 * at + c]))
            .collect();
        assert_eq!(out, expected);
    }

    /// An image that is smaller than the network's input, or has another ratio, is scaled up as far as needed.
    #[test]
    fn every_image_fills_the_view() {
        for (from, shorter, out) in
            [([1, 1], 4, [4, 4]), ([1, 900], 8, [8, 8]), ([37, 50], 10, [20, 12]), ([5, 3], 7, [7, 7])]
        {
            let sampling = Sampling::of_middle(from, shorter, out);
            let image = Rgb { height: from[0], width: from[1], pixels: vec![7; 3 * from[0] * from[1]] };
            let mut values = vec![f32::NAN; 3 * out[0] * out[1]];
            sampling.write(&image, &mut values);
            assert!(values.iter().all(|value| (value - 7.0).abs() < 1e-5), "{from:?}");
        }
    }

    /// Means over 40,000 draws against those of torchvision's `RandomResizedCrop.get_params` (`tests/image_folder/make`
    /// prints them): share of the area, logarithm of the ratio, place, and how often the full height is taken. Within six
    /// standard errors of both.
    #[test]
    #[allow(clippy::approx_constant)] // a mean area that happens to look like one
    fn random_crops_are_distributed_like_those_of_torchvision() {
        let random = Random::new(9);
        for (sides, [area, area_sd, ratio, ratio_sd, top, left, full]) in [
            ([375, 500], [0.4342, 0.2172, 0.0317, 0.1640, 52.2927, 108.717, 0.0058]),
            ([60, 1000], [0.0800, 0.0, 0.2877, 0.0001, 0.0, 459.9596, 1.0]),
            ([33, 32], [0.4871, 0.2402, -0.0036, 0.1611, 5.4948, 5.0563, 0.0285]),
        ] {
            let n = 40_000;
            let draw = |i: u64| random_region(sides, &mut random.stream(Purpose::ResizedCrop, i, sides[0] as u64));
            let draws: Vec<Region> = (0..n).map(draw).collect();
            assert!(draws.iter().all(|region| {
                let Region { top, left, height, width } = *region;
                height > 0 && width > 0 && top + height <= sides[0] && left + width <= sides[1]
            }));
            let moments = |value: &dyn Fn(&Region) -> f64| {
                let mean = draws.iter().map(value).sum::<f64>() / n as f64;
                let variance = draws.iter().map(|draw| (value(draw) - mean).powi(2)).sum::<f64>() / n as f64;
                (mean, variance.sqrt())
            };
            let close = |what: &str, (mean, deviation): (f64, f64), expected: f64| {
                let error = 6.0 * deviation * (2.0 / n as f64).sqrt() + 1e-4;
                assert!((mean - expected).abs() < error, "{sides:?} {what}: {mean} {expected} {error}");
            };
            let areas = moments(&|draw| (draw.height * draw.width) as f64 / (sides[0] * sides[1]) as f64);
            let ratios = moments(&|draw| (draw.width as f64 / draw.height as f64).ln());
            close("area", areas, area);
            close("ratio", ratios, ratio);
            close("top", moments(&|draw| draw.top as f64), top);
            close("left", moments(&|draw| draw.left as f64), left);
            close("full", moments(&|draw| f64::from(u8::from(draw.height == sides[0]))), full);
            assert!((areas.1 - area_sd).abs() < 0.004 && (ratios.1 - ratio_sd).abs() < 0.004, "{areas:?} {ratios:?}");
        }
    }
}
