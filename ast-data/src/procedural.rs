//! Generated images of ten shapes. Some are hard and some mislabelled, and the group of each is known.

use std::sync::Arc;

use ast_core::data::{DataError, DataSource, ReadRequest, Splits};
use ast_core::plugin::{ParamError, ParamKind, ParamSpec, ParamValue};
use ast_core::random::{Purpose, Random, Stream};
use ast_core::select::SampleId;

use crate::images::Images;

/// Height and width, unless another size is asked for.
const SIDE: usize = 32;
/// The shapes, in the order of [`inside`].
const SHAPES: [&str; 10] =
    ["disc", "ring", "square", "frame", "plus", "cross", "rows", "columns", "checkerboard", "diamond"];
const CLASSES: usize = SHAPES.len();
const GROUPS: [&str; 3] = ["easy", "hard", "mislabelled"];

const MEAN: [f32; 3] = [0.5; 3];
const DEVIATION: [f32; 3] = [0.25; 3];

const TRAIN: usize = 2000;
const TEST: usize = 500;
/// At the default size, three gigabytes of pixels.
const MOST: usize = 1_000_000;

ast_core::register_dataset! {
    name: "procedural",
    summary: "generated images of ten shapes, some hard and some mislabelled; no download",
    params: &[
        ParamSpec {
            name: "size",
            summary: "height and width in pixels",
            kind: ParamKind::Integer { default: SIDE as u32, min: 8, max: 256 },
        },
        ParamSpec {
            name: "hard",
            summary: "share of small, faint and noisy images",
            kind: ParamKind::Number { default: 0.35, min: 0.0, max: 1.0 },
        },
        ParamSpec {
            name: "mislabelled",
            summary: "share of training images with the label of another class",
            kind: ParamKind::Number { default: 0.05, min: 0.0, max: 1.0 },
        },
    ],
    build: |params| {
        let (hard, mislabelled) = (params.number("hard")?, params.number("mislabelled")?);
        if hard + mislabelled > 1.0 {
            let allowed = format!("at most 1 together with `hard` = {hard}");
            return Err(ParamError::OutOfRange { key: "mislabelled", value: ParamValue::Number(mislabelled), allowed });
        }
        Ok(Box::new(Procedural { side: params.integer("size")? as usize, difficulty: Difficulty { hard, mislabelled } }))
    },
}

/// The dataset: as many training images as requested, by default 2,000, and 500 test images.
struct Procedural {
    side: usize,
    difficulty: Difficulty,
}

impl DataSource for Procedural {
    fn read(&self, request: &ReadRequest<'_>) -> Result<Splits, DataError> {
        let samples = request.samples.unwrap_or(TRAIN);
        let most = MOST * SIDE * SIDE / (self.side * self.side);
        if samples > most {
            let (key, value) = ("train_limit", ParamValue::Number(samples as f64));
            let allowed = format!("at most {most} generated images, `validation` included");
            return Err(ParamError::OutOfRange { key, value, allowed }.into());
        }
        let make = |split, samples| {
            let images = procedural(request.random, split, samples, self.side, self.difficulty);
            Arc::new(images.normalised(request.preprocessing, &MEAN, &DEVIATION))
        };
        Ok(Splits { train: make(Split::Train, samples), test: Some(make(Split::Test, TEST)) })
    }
}

/// A part of the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Training images, with some wrong labels.
    Train = 0,
    /// Test images, all with the right label.
    Test = 1,
}

/// Shares of hard and mislabelled images; the others are easy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difficulty {
    /// Share of small, faint and noisy images, 0..=1.
    pub hard: f64,
    /// Share of training images with the label of another class, 0..=1. They look easy.
    pub mislabelled: f64,
}

impl Default for Difficulty {
    /// 35 % hard, 5 % mislabelled.
    fn default() -> Self {
        Self { hard: 0.35, mislabelled: 0.05 }
    }
}

/// Generates images of ten shapes in random colours, sizes and places, 3 x `side` x `side` pixels. Below 32 pixels
/// the shapes are hard to tell apart.
///
/// Easy images are large, bright and clean; hard ones small, faint and noisy; mislabelled ones look easy. The group of
/// each is known ([`Dataset::group`](ast_core::data::Dataset::group)), so a run can report which groups its selection
/// favours. Every image is a function of seed, split and number.
#[must_use]
pub fn procedural(random: Random, split: Split, samples: usize, side: usize, difficulty: Difficulty) -> Images {
    let mut pixels = Vec::with_capacity(samples * 3 * side * side);
    let (mut labels, mut groups) = (Vec::with_capacity(samples), Vec::with_capacity(samples));
    for id in 0..samples as SampleId {
        let mut stream = random.stream(Purpose::Data, split as u64, u64::from(id));
        let (kind, group) = (stream.below(CLASSES), group(stream.uniform(), split, difficulty));
        Scene::draw(group == GROUPS[1], side, &mut stream).paint(kind, &mut stream, &mut pixels);
        let wrong = (kind + 1 + stream.below(CLASSES - 1)) % CLASSES;
        labels.push(if group == GROUPS[2] { wrong } else { kind } as u8);
        groups.push(group);
    }
    let images = Images::new([3, side, side], CLASSES, pixels, labels).normalise(&MEAN, &DEVIATION);
    images.with_groups(groups).with_class_names(&SHAPES)
}

fn group(u: f64, split: Split, difficulty: Difficulty) -> &'static str {
    match split {
        _ if u < difficulty.hard => GROUPS[1],
        Split::Train if u < difficulty.hard + difficulty.mislabelled => GROUPS[2],
        _ => GROUPS[0],
    }
}

/// The appearance of an image apart from its shape.
struct Scene {
    side: usize,
    centre: [f64; 2],
    radius: f64,
    background: [f64; 3],
    contrast: [f64; 3],
    noise: f64,
}

impl Scene {
    fn draw(hard: bool, side: usize, stream: &mut Stream) -> Self {
        let (radius, strength, noise) = if hard { (7.0, 0.22, 0.12) } else { (11.0, 0.5, 0.05) };
        // In pixels of the default size.
        let scale = side as f64 / SIDE as f64;
        let middle = side as f64 / 2.0 - 0.5;
        let jitter = if hard { 6.0 } else { 3.0 } * scale;
        let mut around = |middle: f64, spread: f64| middle + spread * (2.0 * stream.uniform() - 1.0);
        let centre = [around(middle, jitter), around(middle, jitter)];
        let radius = around(radius * scale, 2.0 * scale);
        let background = [around(0.5, 0.25), around(0.5, 0.25), around(0.5, 0.25)];
        // The shape is brighter or darker than the background in every channel, in the direction with more room.
        let contrast = background.map(|level| if level < 0.5 { strength } else { -strength } * around(1.0, 0.3));
        Self { side, centre, radius, background, contrast, noise }
    }

    fn paint(&self, kind: usize, stream: &mut Stream, pixels: &mut Vec<u8>) {
        for channel in 0..3 {
            for row in 0..self.side {
                for column in 0..self.side {
                    let at = [row as f64 - self.centre[0], column as f64 - self.centre[1]].map(|x| x / self.radius);
                    let level = if inside(kind, at) { self.contrast[channel] } else { 0.0 };
                    let value = self.background[channel] + level + self.noise * stream.normal();
                    pixels.push((255.0 * value).clamp(0.0, 255.0) as u8);
                }
            }
        }
    }
}

/// Whether a point, in units of the radius from the centre, is inside a shape. All shapes are mirror-symmetric, so a
/// flip never changes the class.
fn inside(kind: usize, [y, x]: [f64; 2]) -> bool {
    let (disc, square, diamond) = ((x * x + y * y).sqrt(), x.abs().max(y.abs()), x.abs() + y.abs());
    match kind {
        0 => disc < 1.0,
        1 => disc < 1.0 && disc > 0.6,
        2 => square < 0.85,
        3 => square < 0.9 && square > 0.55,
        4 => square < 1.0 && (x.abs() < 0.28 || y.abs() < 0.28),
        5 => square < 0.9 && ((x - y).abs() < 0.4 || (x + y).abs() < 0.4),
        6 => square < 1.0 && (2.5 * y).rem_euclid(1.0) < 0.5,
        7 => square < 1.0 && (2.5 * x.abs()).rem_euclid(1.0) < 0.5,
        8 => square < 1.0 && ((2.0 * x.abs()).floor() + (2.0 * y.abs()).floor()).rem_euclid(2.0) < 0.5,
        _ => diamond < 1.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ast_core::data::Dataset;

    #[test]
    fn groups_have_the_requested_shares() {
        let difficulty = Difficulty { hard: 0.3, mislabelled: 0.1 };
        let images = procedural(Random::new(3), Split::Train, 4000, SIDE, difficulty);
        for (group, share) in [("easy", 0.6), ("hard", 0.3), ("mislabelled", 0.1)] {
            let count = (0..4000).filter(|id| images.group(*id) == Some(group)).count();
            assert!((count as f64 / 4000.0 - share).abs() < 0.03, "{group}: {count}");
        }
        let classes: Vec<usize> = (0..10).map(|c| (0..4000).filter(|id| images.label(*id) == c).count()).collect();
        assert!(classes.iter().all(|count| (300..500).contains(count)), "{classes:?}");
        let test = procedural(Random::new(3), Split::Test, 1000, 8, difficulty);
        assert!((0..1000).all(|id| test.group(id) != Some("mislabelled")));
    }

    #[test]
    fn an_image_depends_only_on_seed_split_and_number() {
        let make = |seed, split, samples| procedural(Random::new(seed), split, samples, SIDE, Difficulty::default());
        let few = make(1, Split::Train, 5);
        assert_eq!(few.bytes(4), make(1, Split::Train, 50).bytes(4));
        assert_ne!(few.bytes(4), make(2, Split::Train, 5).bytes(4));
        assert_ne!(few.bytes(4), make(1, Split::Test, 5).bytes(4));
    }

    /// Every shape is mirror-symmetric, so a flip does not change the class.
    #[test]
    fn shapes_are_symmetric_and_distinct() {
        let grid = || (0..41).flat_map(|r| (0..41).map(move |c| [r, c].map(|i| (f64::from(i) - 20.0) / 18.1)));
        for kind in 0..CLASSES {
            assert!(grid().all(|[y, x]| inside(kind, [y, x]) == inside(kind, [y, -x])), "{kind}");
            for other in 0..kind {
                let differ = grid().filter(|at| inside(kind, *at) != inside(other, *at)).count();
                assert!(differ > 40, "{kind} {other}: {differ}");
            }
        }
    }

    /// A limit within its range that no memory holds is refused, not tried.
    #[test]
    fn too_many_images_are_refused() {
        let request =
            |samples| ReadRequest { dir: None, random: Random::new(1), samples: Some(samples), preprocessing: None };
        let source = Procedural { side: SIDE, difficulty: Difficulty::default() };
        let error = source.read(&request(MOST + 1)).err().unwrap().to_string();
        assert!(error.contains("`train_limit` = 1000001 is not at most 1000000"), "{error}");
        assert_eq!(source.read(&request(7)).unwrap().train.samples(), 7);
    }
}
