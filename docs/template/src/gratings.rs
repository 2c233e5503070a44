//! Gratings: grey stripes at four angles, in noise. The phase is random, so the mean image of every class is the same.
//!
//! The images are generated: each is a function of the seed, the split and its number. A dataset that is made of files reads
//! them in [`DataSource::read`], from the folder in the request.

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use ast_core::data::{DataError, DataSource, Dataset, ReadRequest, Shape, Splits};
use ast_core::plugin::{ParamKind, ParamSpec};
use ast_core::random::{Purpose, Random};
use ast_core::select::SampleId;

const SIDE: usize = 16;
const ANGLES: usize = 4;
/// Pixels from one stripe to the next.
const PERIOD: f64 = 6.0;

ast_core::register_dataset! {
    name: "gratings",
    summary: "generated stripes at four angles, 16 x 16 pixels, in noise; no download",
    params: &[ParamSpec {
        name: "noise",
        summary: "standard deviation of the noise of a pixel in 0..1",
        kind: ParamKind::Number { default: 0.2, min: 0.0, max: 1.0 },
    }],
    build: |params| Ok(Box::new(Gratings { noise: params.number("noise")? })),
}

struct Gratings {
    noise: f64,
}

impl DataSource for Gratings {
    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let Self { noise } = *self;
        let images = |split, samples| Arc::new(Images { random: request.random, split, samples, noise });
        Ok(Splits { train: images(0, request.samples.unwrap_or(2000)), test: Some(images(1, 500)) })
    }
}

/// One of the two splits.
struct Images {
    random: Random,
    split: u64,
    samples: usize,
    noise: f64,
}

impl Images {
    /// Grey values in 0..1, row by row.
    fn grey(&self, id: SampleId) -> Vec<f64> {
        let mut stream = self.random.stream(Purpose::Data, self.split, u64::from(id));
        let (sin, cos) = (PI * self.label(id) as f64 / ANGLES as f64).sin_cos();
        let phase = TAU * stream.uniform();
        let mut pixel = |place: usize| {
            let across = (place % SIDE) as f64 * cos + (place / SIDE) as f64 * sin;
            let stripes = 0.5 + 0.25 * (TAU * across / PERIOD + phase).sin();
            (stripes + self.noise * stream.normal()).clamp(0.0, 1.0)
        };
        (0..SIDE * SIDE).map(&mut pixel).collect()
    }
}

impl Dataset for Images {
    fn samples(&self) -> usize {
        self.samples
    }

    fn classes(&self) -> usize {
        ANGLES
    }

    /// Three channels, all the same, because many networks take no other number.
    fn shape(&self) -> Shape {
        Shape::Image([3, SIDE, SIDE])
    }

    fn label(&self, id: SampleId) -> usize {
        id as usize % ANGLES
    }

    fn write(&self, id: SampleId, out: &mut [f32]) {
        let normalised: Vec<f32> = self.grey(id).into_iter().map(|grey| ((grey - 0.5) / 0.25) as f32).collect();
        out.chunks_exact_mut(SIDE * SIDE).for_each(|channel| channel.copy_from_slice(&normalised));
    }

    /// The mirror image of a slanted grating is of another class.
    fn mirrors(&self) -> bool {
        false
    }

    fn input_deviation(&self, id: SampleId) -> f32 {
        let (grey, n) = (self.grey(id), (SIDE * SIDE) as f64);
        let mean = grey.iter().sum::<f64>() / n;
        (grey.iter().map(|grey| (grey - mean).powi(2)).sum::<f64>() / n).sqrt() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::testing::check_dataset;

    fn request() -> ReadRequest<'static> {
        ReadRequest { dir: None, random: Random::new(1), samples: Some(100), preprocessing: None }
    }

    /// Without noise, images of class 0 are constant along a column and those of class 2 along a row.
    #[test]
    fn stripes_are_at_the_angle_of_their_class() {
        let train = Gratings { noise: 0.0 }.read(&request()).unwrap().train;
        let at = |id| {
            let mut out = vec![0.0; 3 * SIDE * SIDE];
            train.write(id, &mut out);
            move |row: usize, column: usize| out[row * SIDE + column]
        };
        let (upright, level) = (at(0), at(2));
        for i in 0..SIDE {
            assert!((upright(i, 3) - upright(0, 3)).abs() < 1e-5);
            assert!((level(3, i) - level(3, 0)).abs() < 1e-5);
        }
        assert!((upright(0, 0) - upright(0, 3)).abs() > 0.1 || (upright(0, 1) - upright(0, 4)).abs() > 0.1);
    }

    #[test]
    fn keeps_the_contract() {
        for noise in [0.0, 0.2, 1.0] {
            check_dataset(&Gratings { noise }, &request());
        }
    }
}
