//! The image sizes of a run, one per level. Level 0 is the size of the dataset.

use crate::data::{ImageSize, Resize, Shape};
use crate::random::Random;
use crate::run::{Checked, ConfigError};
use crate::select::{Level, Stage};

/// The shape of a sample at each level, and the stages of the run.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    shapes: Vec<Shape>,
    /// Empty if all images have the dataset's size.
    pub(super) stages: Vec<Stage>,
    by: Resize,
    random: Random,
}

impl Sizes {
    /// The sizes of a configuration, for samples of this shape.
    pub(super) fn new(config: &Checked, shape: Shape) -> Result<Self, ConfigError> {
        let (mut shapes, mut stages) = (vec![shape], Vec::new());
        for (size, share) in config.sizes.iter().zip(&config.size_shares) {
            let smaller = shape_at(shape, *size).map_err(|reason| ConfigError::Unfit { key: "train.sizes", reason })?;
            let known = shapes.iter().position(|known| *known == smaller);
            let level = known.unwrap_or_else(|| {
                shapes.push(smaller);
                shapes.len() - 1
            });
            stages.push(Stage { level: level as Level, share: *share });
        }
        Ok(Self { shapes, stages, by: config.resize, random: config.random() })
    }

    /// The shape of a sample at each level.
    pub(super) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// The shape of a sample at a level. A level without a size has that of the dataset.
    pub(super) fn shape(&self, level: Level) -> Shape {
        self.shapes.get(usize::from(level)).copied().unwrap_or(self.shapes[0])
    }

    /// The size that the loader gives images of a level; `None` for that of the dataset.
    pub(super) fn request(&self, level: Level) -> Option<ImageSize> {
        match self.shape(level) {
            Shape::Image([_, height, width]) if level > 0 => {
                Some(ImageSize { sides: [height, width], by: self.by, random: self.random })
            }
            _ => None,
        }
    }

    /// Height and width of the images of a level, in a run with stages.
    pub(super) fn sides(&self, level: Level) -> Option<[usize; 2]> {
        match self.shape(level) {
            Shape::Image([_, height, width]) if !self.stages.is_empty() => Some([height, width]),
            _ => None,
        }
    }
}

/// The shape whose shorter side has `size` pixels. Both sides are scaled by the same factor, rounded to whole pixels.
fn shape_at(shape: Shape, size: u32) -> Result<Shape, String> {
    let Shape::Image([channels, height, width]) = shape else { return Err("sizes are for images only".into()) };
    let (size, shorter) = (size as usize, height.min(width));
    if size > shorter {
        return Err(format!("{size} is larger than the images, which have {height} x {width} pixels"));
    }
    let scaled = |side: usize| (side * size + shorter / 2) / shorter;
    Ok(Shape::Image([channels, scaled(height), scaled(width)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunConfig;

    fn sizes(sizes: &[u32], shape: Shape) -> Result<Sizes, String> {
        let mut config = RunConfig::default();
        config.train.sizes = Some(sizes.to_vec());
        Sizes::new(&config.check().unwrap(), shape).map_err(|error| error.to_string())
    }

    #[test]
    fn the_size_of_the_dataset_is_level_0() {
        let found = sizes(&[20, 32, 20, 26], Shape::Image([3, 32, 32])).unwrap();
        assert_eq!(found.shapes(), [32, 20, 26].map(|side| Shape::Image([3, side, side])));
        let stages: Vec<_> = found.stages.iter().map(|stage| (stage.level, stage.share)).collect();
        assert_eq!(stages, [(1, 0.25), (0, 0.25), (1, 0.25), (2, 0.25)]);
        assert_eq!((found.request(0), found.request(2).map(|size| size.sides)), (None, Some([26, 26])));
        assert_eq!((found.sides(0), found.sides(1)), (Some([32, 32]), Some([20, 20])));
    }

    #[test]
    fn both_sides_are_scaled_by_one_factor() {
        assert_eq!(shape_at(Shape::Image([1, 32, 50]), 20), Ok(Shape::Image([1, 20, 31])));
        assert_eq!(shape_at(Shape::Image([1, 49, 32]), 16), Ok(Shape::Image([1, 25, 16])));
        assert_eq!(shape_at(Shape::Image([1, 49, 32]), 32), Ok(Shape::Image([1, 49, 32])));
    }

    #[test]
    fn what_has_no_such_size_is_refused() {
        let message = sizes(&[20, 33], Shape::Image([3, 32, 40])).unwrap_err();
        assert_eq!(message, "`train.sizes`: 33 is larger than the images, which have 32 x 40 pixels");
        assert!(sizes(&[20], Shape::Tokens(32)).unwrap_err().contains("for images only"));
    }
}
