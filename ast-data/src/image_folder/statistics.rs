//! What is known of the pixels of a folder from some of its images.

use ast_core::random::{Purpose, Random};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::error::ImageError;
use super::rgb::Rgb;
use super::store::Store;

/// Images that are measured. Nothing decodes a whole dataset.
const MEASURED: usize = 2048;
/// Largest side of images that are trained on as they are, if all measured ones have one size.
const SMALL: usize = 64;

/// The mean over the measured images, each with the same weight, whole and at its own size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Statistics {
    /// Number of images that were measured.
    pub(super) images: usize,
    /// Mean of the pixels of each channel, in 0..1.
    pub(super) mean: [f64; 3],
    /// Standard deviation of the pixels of each channel; 1 for a channel without differences.
    pub(super) deviation: [f64; 3],
    /// Mean of [`deviation`](deviation) over the images.
    pub(super) input_deviation: f64,
    /// Height and width, if all have the same.
    pub(super) sides: Option<[usize; 2]>,
}

impl Statistics {
    /// Of at most 2,048 images, which depend on the number of images alone. Broken images are left out if they `may` be.
    pub(super) fn of(store: &dyn Store, may: bool) -> Result<Self, ImageError> {
        let chosen = chosen(store.samples());
        let pool = rayon::ThreadPoolBuilder::new().build();
        let measure = |image: &usize| match store.image(*image) {
            Ok((image, _)) => Ok(Some(Moments::of(&image))),
            Err(error) if error.broken && may => Ok(None),
            Err(error) => Err(error),
        };
        let all = || chosen.par_iter().map(measure).collect::<Vec<_>>();
        let measured = match &pool {
            Ok(pool) => pool.install(all),
            Err(_) => chosen.iter().map(measure).collect(),
        };
        // In the order of the images: the sums and the first error depend on neither threads nor time.
        let measured: Vec<Moments> = measured.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let n = measured.len().max(1) as f64;
        let mean_of = |value: &dyn Fn(&Moments) -> f64| measured.iter().map(value).sum::<f64>() / n;
        let mean = [0, 1, 2].map(|channel| mean_of(&|moments| moments.mean[channel]));
        let deviation = [0, 1, 2].map(|channel| {
            let variance = mean_of(&|moments| moments.square[channel]) - mean[channel] * mean[channel];
            let deviation = variance.max(0.0).sqrt();
            if deviation > 1e-6 { deviation } else { 1.0 }
        });
        let first = measured.first().map(|moments| moments.sides);
        let sides = first.filter(|first| measured.iter().all(|moments| moments.sides == *first));
        let input_deviation = mean_of(&|moments| f64::from(moments.deviation));
        Ok(Self { images: measured.len(), mean, deviation, input_deviation, sides })
    }

    /// Height and width of the images, if all have the same and are small.
    pub(super) fn small(&self) -> Option<[usize; 2]> {
        self.sides.filter(|sides| sides.iter().all(|side| *side <= SMALL))
    }
}

/// The images to measure, in order.
fn chosen(images: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..images).collect();
    if images > MEASURED {
        let key = |image: &usize| Random::new(0).stream(Purpose::Measured, *image as u64, 0).uniform().to_bits();
        all.sort_by_cached_key(key);
        all.truncate(MEASURED);
        all.sort_unstable();
    }
    all
}

/// Of one image.
struct Moments {
    sides: [usize; 2],
    mean: [f64; 3],
    square: [f64; 3],
    deviation: f32,
}

impl Moments {
    fn of(image: &Rgb) -> Self {
        let (sums, squares) = sums(image);
        let n = (image.height * image.width) as f64;
        let (mean, square) = (sums.map(|sum| sum as f64 / n / 255.0), squares.map(|sum| sum as f64 / n / 65_025.0));
        Self { sides: [image.height, image.width], mean, square, deviation: deviation(image) }
    }
}

/// The sums of the bytes and of their squares, by channel.
fn sums(image: &Rgb) -> ([u64; 3], [u64; 3]) {
    let (mut sums, mut squares) = ([0; 3], [0; 3]);
    for pixel in image.pixels.chunks_exact(3) {
        for channel in 0..3 {
            let byte = u64::from(pixel[channel]);
            sums[channel] += byte;
            squares[channel] += byte * byte;
        }
    }
    (sums, squares)
}

/// Standard deviation of all pixels of an image, in 0..1.
pub(super) fn deviation(image: &Rgb) -> f32 {
    let (sums, squares) = sums(image);
    let n = image.pixels.len() as f64;
    let mean = sums.iter().sum::<u64>() as f64 / n;
    ((squares.iter().sum::<u64>() as f64 / n - mean * mean).max(0.0).sqrt() / 255.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_images_depend_on_their_number_alone() {
        assert_eq!(chosen(5), [0, 1, 2, 3, 4]);
        let some = chosen(100_000);
        assert!(some.len() == MEASURED && some.is_sorted() && some == chosen(100_000));
        let early = some.iter().filter(|image| **image < 50_000).count();
        // Within five standard deviations of a half.
        assert!((early as i64 - 1024).abs() < 113, "{early}");
    }

    /// Grey and two colours, by hand.
    #[test]
    fn the_moments_of_an_image_are_their_definitions() {
        let image = Rgb { height: 1, width: 2, pixels: vec![0, 51, 255, 255, 51, 0] };
        let Moments { mean, square, deviation, sides } = Moments::of(&image);
        let close = |got: [f64; 3], expected: [f64; 3]| got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(close(mean, [0.5, 0.2, 0.5]) && close(square, [0.5, 0.04, 0.5]) && sides == [1, 2]);
        // 0, 0.2, 1, 1, 0.2, 0: the mean is 0.4.
        let expected = ((2.0 * 0.16 + 2.0 * 0.04 + 2.0 * 0.36) / 6.0_f64).sqrt();
        assert!((f64::from(deviation) - expected).abs() < 1e-6, "{deviation} {expected}");
    }
}
