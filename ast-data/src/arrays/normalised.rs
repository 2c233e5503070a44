//! The samples of arrays as a dataset: normalised by what the training images are like.

use std::path::PathBuf;
use std::sync::Arc;

use ast_core::data::{Dataset, Preprocessing, Shape};
use ast_core::select::SampleId;

use super::npy::Values;
use crate::images::Images;

/// The samples of a split.
pub(super) struct Split {
    /// Where its images were.
    pub(super) file: PathBuf,
    /// `[channels, height, width]`.
    pub(super) sides: [usize; 3],
    pub(super) values: Values,
    pub(super) labels: Vec<u32>,
}

/// What the training images say about their values; bytes count as 0..1.
pub(super) struct Scale {
    /// By channel.
    mean: Vec<f32>,
    deviation: Vec<f32>,
    /// From the smallest value to the largest: 1 for bytes.
    range: f32,
}

impl Scale {
    pub(super) fn of(Split { sides: [channels, height, width], values, .. }: &Split) -> Self {
        let plane = height * width;
        let (mut sums, mut squares) = (vec![0.0; *channels], vec![0.0; *channels]);
        for place in 0..values.len() {
            let (channel, value) = (place / plane % channels, values.at(place));
            sums[channel] += value;
            squares[channel] += value * value;
        }
        let n = (values.len() / channels) as f64;
        let mean: Vec<f64> = sums.iter().map(|sum| sum / n).collect();
        let deviation = squares.iter().zip(&mean).map(|(squares, mean)| (squares / n - mean * mean).max(0.0).sqrt());
        // A channel without differences stays as it is.
        let deviation = deviation.map(|deviation| if deviation > 0.0 { deviation as f32 } else { 1.0 }).collect();
        let range = match values {
            Values::Bytes(_) => 1.0,
            Values::Floats(_) => {
                let [least, most] = values.range();
                if least == most { 1.0 } else { (most - least) as f32 }
            }
        };
        Self { mean: mean.into_iter().map(|mean| mean as f32).collect(), deviation, range }
    }

    /// The same, with the mean and the deviation of an earlier run if they are given.
    pub(super) fn given(self, given: Option<&Preprocessing>) -> Self {
        match given.and_then(|given| given.normalisation(self.mean.len())) {
            Some([mean, deviation]) => Self { mean: mean.to_vec(), deviation: deviation.to_vec(), ..self },
            None => self,
        }
    }

    pub(super) fn dataset(&self, split: Split, classes: usize, mirrors: bool) -> Arc<dyn Dataset> {
        let Split { sides, values, labels, .. } = split;
        match values {
            Values::Bytes(pixels) => {
                let images = Images::new(sides, classes, pixels, labels).normalise(&self.mean, &self.deviation);
                Arc::new(images.with_mirrors(mirrors))
            }
            Values::Floats(mut values) => {
                let input_deviation = self.deviations(&values, sides.iter().product());
                for (place, value) in values.iter_mut().enumerate() {
                    let channel = place / (sides[1] * sides[2]) % sides[0];
                    *value = (*value - self.mean[channel]) / self.deviation[channel];
                }
                let normalisation = self.mean.iter().zip(&self.deviation).map(|(mean, by)| [*mean, *by]).collect();
                Arc::new(Floats { sides, classes, values, labels, mirrors, input_deviation, normalisation })
            }
        }
    }

    /// The standard deviation of each image's values, all values being in 0..1 after they are shifted and divided by
    /// their range.
    fn deviations(&self, values: &[f32], size: usize) -> Vec<f32> {
        let deviation = |image: &[f32]| {
            let mean = image.iter().map(|value| f64::from(*value)).sum::<f64>() / size as f64;
            let squares = image.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>();
            ((squares / size as f64).sqrt() / f64::from(self.range)) as f32
        };
        values.chunks_exact(size).map(deviation).collect()
    }
}

/// Labelled images, kept in memory as normalised numbers.
struct Floats {
    sides: [usize; 3],
    classes: usize,
    values: Vec<f32>,
    labels: Vec<u32>,
    mirrors: bool,
    input_deviation: Vec<f32>,
    normalisation: Vec<[f32; 2]>,
}

impl Dataset for Floats {
    fn samples(&self) -> usize {
        self.labels.len()
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn shape(&self) -> Shape {
        Shape::Image(self.sides)
    }

    fn label(&self, id: SampleId) -> usize {
        self.labels[id as usize] as usize
    }

    fn write(&self, id: SampleId, out: &mut [f32]) {
        let size: usize = self.sides.iter().product();
        out.copy_from_slice(&self.values[id as usize * size..][..size]);
    }

    fn mirrors(&self) -> bool {
        self.mirrors
    }

    fn normalisation(&self) -> Vec<[f32; 2]> {
        self.normalisation.clone()
    }

    fn has_pixels(&self) -> bool {
        false
    }

    fn input_deviation(&self, id: SampleId) -> f32 {
        self.input_deviation[id as usize]
    }
}
