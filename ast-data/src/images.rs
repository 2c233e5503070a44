use ast_core::data::Dataset;
use ast_core::random::{Purpose, Random, Stream};
use ast_core::select::SampleId;
use sha2::{Digest, Sha256};

use crate::augment::Augmentation;

/// Labelled images held once, as bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    shape: [usize; 3],
    classes: usize,
    pixels: Vec<u8>,
    labels: Vec<u8>,
    groups: Vec<&'static str>,
    input_deviation: Vec<f32>,
    /// Per channel: the normalised value of every byte, so that writing an image is a table look-up a pixel.
    normalised: Vec<[f32; 256]>,
}

impl Images {
    /// Images of `shape` (`[channels, height, width]`), their bytes one after the other, channels first.
    ///
    /// # Panics
    /// If the lengths do not fit: readers check their files before.
    #[must_use]
    pub fn new(shape: [usize; 3], classes: usize, pixels: Vec<u8>, labels: Vec<u8>) -> Self {
        let size: usize = shape.iter().product();
        assert_eq!(pixels.len(), labels.len() * size, "an image is {shape:?}");
        let input_deviation = pixels.chunks_exact(size).map(deviation).collect();
        let plain = std::array::from_fn(|byte| byte as f32 / 255.0);
        Self { normalised: vec![plain; shape[0]], shape, classes, pixels, labels, groups: Vec::new(), input_deviation }
    }

    /// Normalises each channel by its mean and standard deviation, both for pixels in 0..1.
    #[must_use]
    pub fn normalise(mut self, mean: &[f32], deviation: &[f32]) -> Self {
        for (table, (mean, deviation)) in self.normalised.iter_mut().zip(mean.iter().zip(deviation)) {
            *table = std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / deviation);
        }
        self
    }

    /// Names the group of each image.
    ///
    /// # Panics
    /// If there is not one name for each.
    #[must_use]
    pub fn with_groups(self, groups: Vec<&'static str>) -> Self {
        assert_eq!(groups.len(), self.labels.len());
        Self { groups, ..self }
    }

    /// The first `samples` of them.
    #[must_use]
    pub fn limit(mut self, samples: usize) -> Self {
        let samples = samples.min(self.labels.len());
        self.pixels.truncate(samples * self.shape.iter().product::<usize>());
        self.labels.truncate(samples);
        self.input_deviation.truncate(samples);
        self.groups.truncate(samples);
        self
    }

    /// Those from `at` on, which are taken away here.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let size: usize = self.shape.iter().product();
        let groups = if self.groups.is_empty() { Vec::new() } else { self.groups.split_off(at) };
        Self {
            pixels: self.pixels.split_off(at * size),
            labels: self.labels.split_off(at),
            input_deviation: self.input_deviation.split_off(at),
            normalised: self.normalised.clone(),
            groups,
            ..*self
        }
    }

    /// A share (0..=1) of the labels flipped to another class at random, and the images put into the group `mislabelled`,
    /// the others into `clean` unless they are in a group already. Which and to what is a function of `random` and the image's place.
    #[must_use]
    pub fn with_label_noise(mut self, share: f64, random: Random) -> Self {
        let (classes, groups) = (self.classes, std::mem::take(&mut self.groups));
        let flip = |(id, label): (usize, &mut u8)| {
            let mut stream = random.stream(Purpose::LabelNoise, id as u64, 0);
            let flipped = classes > 1 && stream.uniform() < share;
            if flipped {
                *label = ((usize::from(*label) + 1 + stream.below(classes - 1)) % classes) as u8;
            }
            if flipped { "mislabelled" } else { groups.get(id).copied().unwrap_or("clean") }
        };
        self.groups = self.labels.iter_mut().enumerate().map(flip).collect();
        self
    }

    /// sha256 of labels and pixels, in hexadecimal: which data a result was obtained on.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::new().chain_update(&self.labels).chain_update(&self.pixels).finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes of an image, channels first.
    #[must_use]
    pub fn bytes(&self, id: SampleId) -> &[u8] {
        let size: usize = self.shape.iter().product();
        &self.pixels[id as usize * size..][..size]
    }
}

/// Standard deviation of pixels in 0..1.
fn deviation(bytes: &[u8]) -> f32 {
    let n = bytes.len() as f64;
    let (sum, squares) =
        bytes.iter().fold((0u64, 0u64), |(s, q), b| (s + u64::from(*b), q + u64::from(*b) * u64::from(*b)));
    let mean = sum as f64 / n;
    ((squares as f64 / n - mean * mean).max(0.0).sqrt() / 255.0) as f32
}

impl Dataset for Images {
    fn samples(&self) -> usize {
        self.labels.len()
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn label(&self, id: SampleId) -> usize {
        usize::from(self.labels[id as usize])
    }

    fn write(&self, id: SampleId, augment: Option<&mut Stream>, out: &mut [f32]) {
        let augmentation = augment.map_or(Augmentation::NONE, Augmentation::draw);
        let [_, height, width] = self.shape;
        let planes = self.bytes(id).chunks_exact(height * width).zip(out.chunks_exact_mut(height * width));
        for ((bytes, out), table) in planes.zip(&self.normalised) {
            for (place, out) in out.iter_mut().enumerate() {
                let source = augmentation.source(place / width, place % width, height, width);
                // What moves in is 0 after normalisation: the mean.
                *out = source.map_or(0.0, |(row, column)| table[usize::from(bytes[row * width + column])]);
            }
        }
    }

    fn input_deviation(&self, id: SampleId) -> f32 {
        self.input_deviation[id as usize]
    }

    fn group(&self, id: SampleId) -> Option<&'static str> {
        self.groups.get(id as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::random::{Purpose, Random};

    fn images() -> Images {
        let pixels = (0..2 * 3 * 8 * 8).map(|i| (i * 37 % 256) as u8).collect();
        Images::new([3, 8, 8], 2, pixels, vec![0, 1]).normalise(&[0.5; 3], &[0.25; 3])
    }

    fn numbered(n: usize) -> Images {
        Images::new([1, 1, 1], 10, (0..n).map(|i| i as u8).collect(), (0..n).map(|i| (i % 10) as u8).collect())
    }

    #[test]
    fn a_split_keeps_every_image_once() {
        let mut head = numbered(10);
        let tail = head.split_off(7);
        assert_eq!((head.samples(), tail.samples(), tail.bytes(0), tail.label(2)), (7, 3, &[7u8][..], 9));
    }

    /// A fifth of 10,000 labels, five standard deviations of 40; each to another class, each class as often.
    #[test]
    fn flipped_labels_are_wrong_and_even() {
        let (plain, noisy) = (numbered(10_000), numbered(10_000).with_label_noise(0.2, Random::new(3)));
        let mut shifts = [0usize; 10];
        for id in 0..10_000 {
            let shift = (noisy.label(id) + 10 - plain.label(id)) % 10;
            assert_eq!(noisy.group(id), Some(if shift == 0 { "clean" } else { "mislabelled" }));
            shifts[shift] += 1;
        }
        assert!((shifts[0] as i64 - 8000).abs() < 200, "{shifts:?}");
        assert!(shifts[1..].iter().all(|n| (*n as i64 - 222).abs() < 75), "{shifts:?}");
    }

    #[test]
    fn pixels_are_normalised_by_channel() {
        let images = images();
        let mut out = vec![0.0; 192];
        images.write(1, None, &mut out);
        for (byte, out) in images.bytes(1).iter().zip(out) {
            assert!((out - (f32::from(*byte) / 255.0 - 0.5) / 0.25).abs() < 1e-6);
        }
    }

    #[test]
    fn the_deviation_is_that_of_the_bytes() {
        let images = images();
        let values: Vec<f64> = images.bytes(1).iter().map(|byte| f64::from(*byte) / 255.0).collect();
        let mean = values.iter().sum::<f64>() / 192.0;
        let expected = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 192.0).sqrt();
        assert!((f64::from(images.input_deviation(1)) - expected).abs() < 1e-6);
    }

    #[test]
    fn augmentation_is_replayed_by_its_key() {
        let images = images();
        let written = |epoch| {
            let mut out = vec![0.0; 192];
            images.write(0, Some(&mut Random::new(1).stream(Purpose::Augment, epoch, 0)), &mut out);
            out
        };
        assert_eq!(written(3), written(3));
        assert!((0..10).any(|epoch| written(epoch) != written(3)));
    }
}
