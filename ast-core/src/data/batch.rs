use std::sync::Arc;

use crate::data::resize::Resizer;
use crate::data::{Augment, BadSample, Dataset, ImageSize, LoadError, Reads, Shape};
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
    /// The samples, in the order of the request, without those that are bad.
    pub ids: Vec<SampleId>,
    /// The input of the network.
    pub values: Values,
    /// The class of each image, `[batch]`, or for text the next token of each token, `[batch, context]`.
    pub targets: Vec<i32>,
    /// [`Dataset::input_deviation`] of each sample, `[batch]`.
    pub input_deviation: Vec<f32>,
    /// What was read from files for these samples.
    pub reads: Reads,
    /// Samples of the request that cannot be loaded and may be left out.
    pub bad: Vec<BadSample>,
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
    ///
    /// # Errors
    /// [`LoadError::Sample`] if a sample cannot be loaded and may not be left out.
    pub fn collate(&self, dataset: &dyn Dataset) -> Result<HostBatch, LoadError> {
        match dataset.shape() {
            Shape::Image(sides) => self.images(dataset, sides),
            Shape::Tokens(context) => {
                let ids: Vec<_> = self.visits.iter().map(|visit| visit.id).collect();
                let (values, targets) = windows(dataset, &ids, context);
                let input_deviation = ids.iter().map(|id| dataset.input_deviation(*id)).collect();
                Ok(HostBatch { ids, values, targets, input_deviation, reads: Reads::default(), bad: Vec::new() })
            }
        }
    }

    /// The request in at most `parts` parts of about equal size, in order. [`HostBatch::join`] makes one batch of their
    /// answers.
    #[must_use]
    pub fn split(&self, parts: usize) -> Vec<Self> {
        let size = self.visits.len().div_ceil(parts.max(1)).max(1);
        self.visits.chunks(size).map(|visits| Self { visits: visits.to_vec(), ..self.clone() }).collect()
    }

    fn images(&self, dataset: &dyn Dataset, sides: [usize; 3]) -> Result<HostBatch, LoadError> {
        let [channels, height, width] = sides;
        let [small_height, small_width] = self.size.map_or([height, width], |size| size.sides);
        let mut resizer = self.size.map(|size| Resizer::new(size, [height, width]));
        let (whole, size) = (channels * height * width, channels * small_height * small_width);
        // A dataset that crops at random moves its images already.
        let augment = self.augment.map(|augment| if dataset.crops() { augment.without_shift() } else { augment });
        let (random, mirrors) = (augment.map(|augment| augment.random), dataset.mirrors());
        let (mut plain, mut augmented) = (vec![0.0; whole], vec![0.0; whole]);
        let mut pixels = vec![0.0; self.visits.len() * size];
        let (mut ids, mut targets, mut input_deviation) = (Vec::new(), Vec::new(), Vec::new());
        let (mut reads, mut bad) = (Reads::default(), Vec::new());
        for visit in &self.visits {
            let (id, out) = (visit.id, &mut pixels[ids.len() * size..][..size]);
            let direct = augment.is_none() && resizer.is_none();
            let loaded = match dataset.load(*visit, random, if direct { &mut *out } else { &mut plain }) {
                Ok(loaded) => loaded,
                Err(error) if error.may_be_left_out => {
                    bad.push(BadSample { id, reason: error.to_string() });
                    continue;
                }
                Err(error) => return Err(LoadError::Sample { id, error }),
            };
            match (&augment, &mut resizer) {
                (None, None) => {}
                (Some(augment), None) => augment.write(*visit, mirrors, &plain, sides, out),
                (None, Some(resizer)) => resizer.write(*visit, &plain, out),
                (Some(augment), Some(resizer)) => {
                    augment.write(*visit, mirrors, &plain, sides, &mut augmented);
                    resizer.write(*visit, &augmented, out);
                }
            }
            ids.push(id);
            targets.push(dataset.label(id) as i32);
            input_deviation.push(loaded.input_deviation);
            reads += loaded.reads;
        }
        pixels.truncate(ids.len() * size);
        let values = Values::Pixels(pixels, [channels, small_height, small_width]);
        Ok(HostBatch { ids, values, targets, input_deviation, reads, bad })
    }
}

impl HostBatch {
    /// One batch of the parts of a request, in order; `None` for no parts.
    #[must_use]
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        parts.into_iter().reduce(|mut all, part| {
            match (&mut all.values, part.values) {
                (Values::Pixels(all, _), Values::Pixels(part, _)) => all.extend(part),
                (Values::Tokens(all, _), Values::Tokens(part, _)) => all.extend(part),
                // The parts of one request are of one dataset.
                (Values::Pixels(..), Values::Tokens(..)) | (Values::Tokens(..), Values::Pixels(..)) => {}
            }
            all.ids.extend(part.ids);
            all.targets.extend(part.targets);
            all.input_deviation.extend(part.input_deviation);
            all.reads += part.reads;
            all.bad.extend(part.bad);
            all
        })
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
    /// [`LoadError`] if the batch could not be assembled. The batch is then gone; the others are not affected.
    fn receive(&mut self) -> Result<Option<HostBatch>, LoadError>;
    /// Assembles a batch at once, whatever else is requested. By default on the calling thread.
    ///
    /// # Errors
    /// [`LoadError`].
    fn load(&self, request: &Request) -> Result<HostBatch, LoadError> {
        request.collate(self.dataset().as_ref())
    }
}
