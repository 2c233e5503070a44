use std::borrow::Cow;

use ast_core::data::{Dataset, Preprocessing, Shape};
use ast_core::select::SampleId;

/// Labelled images, kept in memory as bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Images {
    shape: [usize; 3],
    classes: usize,
    class_names: Vec<String>,
    pixels: Vec<u8>,
    labels: Vec<u32>,
    groups: Vec<&'static str>,
    mirrors: bool,
    input_deviation: Vec<f32>,
    /// Mean and standard deviation of each channel.
    normalisation: Vec<[f32; 2]>,
    /// Per channel, the normalised value of every byte: writing an image is one table look-up per pixel.
    normalised: Vec<[f32; 256]>,
}

impl Images {
    /// Images of `shape` (`[channels, height, width]`). `pixels` has the bytes of all images in sequence, channels
    /// first.
    ///
    /// # Panics
    /// If the lengths do not match; readers check their files before.
    #[must_use]
    pub fn new(shape: [usize; 3], classes: usize, pixels: Vec<u8>, labels: Vec<impl Into<u32>>) -> Self {
        let labels: Vec<u32> = labels.into_iter().map(Into::into).collect();
        let size: usize = shape.iter().product();
        assert_eq!(pixels.len(), labels.len() * size, "an image is {shape:?}");
        let input_deviation = pixels.chunks_exact(size).map(deviation).collect();
        let plain = std::array::from_fn(|byte| byte as f32 / 255.0);
        let (normalisation, normalised) = (vec![[0.0, 1.0]; shape[0]], vec![plain; shape[0]]);
        Self {
            shape,
            classes,
            class_names: Vec::new(),
            pixels,
            labels,
            groups: Vec::new(),
            mirrors: true,
            input_deviation,
            normalisation,
            normalised,
        }
    }

    /// Sets the normalisation of each channel by its mean and standard deviation, both for pixels in 0..1.
    #[must_use]
    pub fn normalise(mut self, mean: &[f32], deviation: &[f32]) -> Self {
        for (table, (mean, deviation)) in self.normalised.iter_mut().zip(mean.iter().zip(deviation)) {
            *table = std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / deviation);
        }
        self.normalisation = mean.iter().zip(deviation).map(|(mean, deviation)| [*mean, *deviation]).collect();
        self
    }

    /// [`normalise`](Self::normalise)s as an earlier run did, or else by `mean` and `deviation`.
    #[must_use]
    pub(crate) fn normalised(self, given: Option<&Preprocessing>, mean: &[f32], deviation: &[f32]) -> Self {
        let given = given.and_then(|given| given.normalisation(self.shape[0]));
        let [mean, deviation] = given.unwrap_or([mean, deviation]);
        self.normalise(mean, deviation)
    }

    /// Says whether the mirror image of a sample is of the same class; of digits it is not. By default it is.
    #[must_use]
    pub fn with_mirrors(self, mirrors: bool) -> Self {
        Self { mirrors, ..self }
    }

    /// Sets the names of the classes, in their order; without names they are numbers.
    ///
    /// # Panics
    /// If there are names, but not exactly one per class.
    #[must_use]
    pub fn with_class_names(self, names: &[&str]) -> Self {
        assert!(names.is_empty() || names.len() == self.classes);
        Self { class_names: names.iter().map(ToString::to_string).collect(), ..self }
    }

    /// Sets the group of each image.
    ///
    /// # Panics
    /// If there is not exactly one group per image.
    #[must_use]
    pub fn with_groups(self, groups: Vec<&'static str>) -> Self {
        assert_eq!(groups.len(), self.labels.len());
        Self { groups, ..self }
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

    fn class_names(&self) -> &[String] {
        &self.class_names
    }

    fn shape(&self) -> Shape {
        Shape::Image(self.shape)
    }

    fn label(&self, id: SampleId) -> usize {
        self.labels[id as usize] as usize
    }

    fn write(&self, id: SampleId, out: &mut [f32]) {
        let places = self.shape[1] * self.shape[2];
        let planes = self.bytes(id).chunks_exact(places).zip(out.chunks_exact_mut(places));
        for ((bytes, out), table) in planes.zip(&self.normalised) {
            out.iter_mut().zip(bytes).for_each(|(out, byte)| *out = table[usize::from(*byte)]);
        }
    }

    fn normalisation(&self) -> Vec<[f32; 2]> {
        self.normalisation.clone()
    }

    fn mirrors(&self) -> bool {
        self.mirrors
    }

    fn input_deviation(&self, id: SampleId) -> f32 {
        self.input_deviation[id as usize]
    }

    fn group(&self, id: SampleId) -> Option<&'static str> {
        self.groups.get(id as usize).copied()
    }

    fn content(&self, id: SampleId) -> Cow<'_, [u8]> {
        self.bytes(id).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let pixels = (0..2 * 3 * 8 * 8).map(|i| (i * 37 % 256) as u8).collect();
        Images::new([3, 8, 8], 2, pixels, vec![0_u8, 1]).normalise(&[0.5; 3], &[0.25; 3])
    }

    #[test]
    fn pixels_are_normalised_by_channel() {
        let images = images();
        let mut out = vec![0.0; 192];
        images.write(1, &mut out);
        for (byte, out) in images.bytes(1).iter().zip(out) {
            assert!((out - (f32::from(*byte) / 255.0 - 0.5) / 0.25).abs() < 1e-6);
        }
    }

    #[test]
    fn the_input_deviation_is_computed_from_the_bytes() {
        let images = images();
        let values: Vec<f64> = images.bytes(1).iter().map(|byte| f64::from(*byte) / 255.0).collect();
        let mean = values.iter().sum::<f64>() / 192.0;
        let expected = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 192.0).sqrt();
        assert!((f64::from(images.input_deviation(1)) - expected).abs() < 1e-6);
    }
}
