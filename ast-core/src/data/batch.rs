use std::sync::Arc;

use crate::data::resize::Resizer;
use crate::data::{Augment, Dataset, ImageSize, Shape};
use crate::select::{SampleId, Visit};

/// A request for a batch, answered by a [`Loader`].
#[derive(Debug, Clone)]
pub struct Request {
    /// The samples, in order.
    pub visits: Vec<Visit>,
    /// Augmentation of images; `None` for none.
    pub augment: Option<Augment>,
    /// The size of the images; `None` for that of the dataset.
    pub size: Option<ImageSize>,
}

/// A batch in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct HostBatch {
    /// The samples, in the order of the request.
    pub ids: Vec<SampleId>,
    /// The input of the network.
    pub values: Values,
    /// The class of each image, `[batch]`, or for text the next token of each token, `[batch, context]`.
    pub targets: Vec<i32>,
    /// [`Dataset::input_deviation`] of each sample, `[batch]`.
    pub input_deviation: Vec<f32>,
}

/// The inputs of a batch, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Normalised pixels, `[batch, channels, height, width]`, and `[channels, height, width]`.
    Pixels(Vec<f32>, [usize; 3]),
    /// Tokens, `[batch, context]`, and the context.
    Tokens(Vec<i32>, usize),
}

impl Request {
    /// Assembles the batch on the calling thread. Every loader calls this.
    #[must_use]
    pub fn collate(&self, dataset: &dyn Dataset) -> HostBatch {
        let ids: Vec<_> = self.visits.iter().map(|visit| visit.id).collect();
        let (values, targets) = match dataset.shape() {
            Shape::Image(sides) => {
                (self.pixels(dataset, sides), ids.iter().map(|id| dataset.label(*id) as i32).collect())
            }
            Shape::Tokens(context) => windows(dataset, &ids, context),
        };
        let input_deviation = ids.iter().map(|id| dataset.input_deviation(*id)).collect();
        HostBatch { ids, values, targets, input_deviation }
    }

    fn pixels(&self, dataset: &dyn Dataset, sides: [usize; 3]) -> Values {
        let [channels, height, width] = sides;
        let [small_height, small_width] = self.size.map_or([height, width], |size| size.sides);
        let mut resizer = self.size.map(|size| Resizer::new(size, [height, width]));
        let (whole, size) = (channels * height * width, channels * small_height * small_width);
        let (mut plain, mut augmented) = (vec![0.0; whole], vec![0.0; whole]);
        let (mut pixels, mirrors) = (vec![0.0; self.visits.len() * size], dataset.mirrors());
        for (visit, out) in self.visits.iter().zip(pixels.chunks_exact_mut(size)) {
            match (&self.augment, &mut resizer) {
                (None, None) => dataset.write(visit.id, out),
                (Some(augment), None) => {
                    dataset.write(visit.id, &mut plain);
                    augment.write(*visit, mirrors, &plain, sides, out);
                }
                (None, Some(resizer)) => {
                    dataset.write(visit.id, &mut plain);
                    resizer.write(*visit, &plain, out);
                }
                (Some(augment), Some(resizer)) => {
                    dataset.write(visit.id, &mut plain);
                    augment.write(*visit, mirrors, &plain, sides, &mut augmented);
                    resizer.write(*visit, &augmented, out);
                }
            }
        }
        Values::Pixels(pixels, [channels, small_height, small_width])
    }
}

/// Inputs and targets of windows: all tokens but the last, and all but the first.
fn windows(dataset: &dyn Dataset, ids: &[SampleId], context: usize) -> (Values, Vec<i32>) {
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    let mut window = vec![0; context + 1];
    for id in ids {
        dataset.write_tokens(*id, &mut window);
        inputs.extend_from_slice(&window[..context]);
        targets.extend_from_slice(&window[1..]);
    }
    (Values::Tokens(inputs, context), targets)
}

/// Loads batches and returns them in the order of their requests.
pub trait Loader: Send {
    /// The dataset that samples are loaded from.
    fn dataset(&self) -> &Arc<dyn Dataset>;
    /// Requests a batch. Loading may start at once.
    fn request(&mut self, request: Request);
    /// The oldest requested batch that was not received yet; `None` if there is none.
    ///
    /// # Errors
    /// [`LoadError`] if the batch could not be assembled.
    fn receive(&mut self) -> Result<Option<HostBatch>, LoadError>;
}

/// A batch could not be assembled.
#[derive(Debug, thiserror::Error)]
#[error("a loader worker stopped while it assembled a batch; this is a bug in the dataset")]
pub struct LoadError;
