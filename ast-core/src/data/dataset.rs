use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::data::Shape;
use crate::random::{Purpose, Random, Stream};
use crate::select::{SampleId, Visit};

/// Labelled images, or windows of text.
pub trait Dataset: Send + Sync {
    /// Number of samples.
    fn samples(&self) -> usize;
    /// Number of classes; for text that of its vocabulary.
    fn classes(&self) -> usize;
    /// What one sample is. All have the same shape.
    fn shape(&self) -> Shape;
    /// The class of a sample, 0..classes; 0 for a window of text, whose targets are its own tokens.
    fn label(&self, id: SampleId) -> usize;
    /// Writes the normalised pixels of a sample, channels first, into `out` (channels x height x width values);
    /// augmented if a stream is given. Not called for text.
    fn write(&self, id: SampleId, augment: Option<&mut Stream>, out: &mut [f32]);
    /// Writes the tokens of a window into `out`, one more than its context: each is the target of the one before it. Called
    /// for [`Shape::Tokens`] only.
    fn write_tokens(&self, _: SampleId, out: &mut [i32]) {
        out.fill(0);
    }
    /// Standard deviation of the un-augmented pixels in 0..1 over all channels and places, a statistic of the input
    /// alone.
    fn input_deviation(&self, id: SampleId) -> f32;
    /// The known group of a sample, where data comes with such knowledge (procedural data does).
    fn group(&self, _: SampleId) -> Option<&'static str> {
        None
    }
    /// The bytes that identify a sample beside its label: what a [`fingerprint`] is made of. By default its values.
    fn content(&self, id: SampleId) -> Cow<'_, [u8]> {
        match self.shape() {
            Shape::Image(sides) => {
                let mut values = vec![0.0; sides.iter().product()];
                self.write(id, None, &mut values);
                values.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<_>>().into()
            }
            Shape::Tokens(context) => {
                let mut tokens = vec![0; context + 1];
                self.write_tokens(id, &mut tokens);
                tokens.into_iter().flat_map(i32::to_le_bytes).collect::<Vec<_>>().into()
            }
        }
    }
}

/// SHA-256 of all labels, then of the content of every sample, in hexadecimal: which data a result was obtained on.
///
/// A label is one byte, or four (little-endian) where there are more than 256 classes.
#[must_use]
pub fn fingerprint(dataset: &dyn Dataset) -> String {
    let ids = 0..dataset.samples() as SampleId;
    let width = if dataset.classes() > 256 { 4 } else { 1 };
    let mut hash = Sha256::new();
    ids.clone().for_each(|id| hash.update(&(dataset.label(id) as u32).to_le_bytes()[..width]));
    ids.for_each(|id| hash.update(dataset.content(id)));
    format!("{:x}", hash.finalize())
}

/// A batch to be put together by a [`Loader`].
#[derive(Debug, Clone)]
pub struct Request {
    /// The samples, in order.
    pub visits: Vec<Visit>,
    /// Randomness for augmentation; `None` leaves the images as they are.
    pub augment: Option<Random>,
}

/// A batch in host memory.
#[derive(Debug, Clone, PartialEq)]
pub struct HostBatch {
    /// The samples, in the order of the request.
    pub ids: Vec<SampleId>,
    /// What the network gets.
    pub values: Values,
    /// The class of each image, `[batch]`; the token after each token, `[batch, context]`.
    pub targets: Vec<i32>,
    /// [`Dataset::input_deviation`] of each sample, `[batch]`.
    pub input_deviation: Vec<f32>,
}

/// The inputs of a batch, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Normalised pixels, `[batch, channels, height, width]`, with `[channels, height, width]`.
    Pixels(Vec<f32>, [usize; 3]),
    /// Tokens, `[batch, context]`, with the context.
    Tokens(Vec<i32>, usize),
}

impl Request {
    /// Puts the batch together on the calling thread: what every loader does, wherever it does it.
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
        let size = sides.iter().product();
        let mut pixels = vec![0.0; self.visits.len() * size];
        for (visit, out) in self.visits.iter().zip(pixels.chunks_exact_mut(size)) {
            let (epoch, sample) = (u64::from(visit.epoch), u64::from(visit.id));
            let mut stream = self.augment.map(|random| random.stream(Purpose::Augment, epoch, sample));
            dataset.write(visit.id, stream.as_mut(), out);
        }
        Values::Pixels(pixels, sides)
    }
}

/// The tokens of each window but the last, and each but the first.
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

/// Hands out batches in the order in which they were requested.
pub trait Loader: Send {
    /// Where the samples come from.
    fn dataset(&self) -> &Arc<dyn Dataset>;
    /// Asks for a batch; may start to work on it at once.
    fn request(&mut self, request: Request);
    /// The oldest batch asked for and not yet received; `None` if there is none.
    ///
    /// # Errors
    /// [`LoadError`] if it could not be put together.
    fn receive(&mut self) -> Result<Option<HostBatch>, LoadError>;
}

/// A batch could not be put together.
#[derive(Debug, thiserror::Error)]
#[error("a loader worker stopped while it put a batch together; this is a bug in the dataset")]
pub struct LoadError;
