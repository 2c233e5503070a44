use std::borrow::Cow;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::data::Shape;
use crate::random::{Purpose, Random, Stream};
use crate::select::{SampleId, Visit};

/// A dataset of labelled images or of windows of text.
pub trait Dataset: Send + Sync {
    /// Number of samples.
    fn samples(&self) -> usize;
    /// Number of classes; for text, the size of the vocabulary.
    fn classes(&self) -> usize;
    /// Shape of a sample, the same for all samples.
    fn shape(&self) -> Shape;
    /// The class of a sample, 0..classes; 0 for a window of text, whose targets are its own tokens.
    fn label(&self, id: SampleId) -> usize;
    /// Writes the normalised pixels of an image into `out`, channels first (channels x height x width values),
    /// augmented if a stream is given. Not called for text.
    fn write(&self, id: SampleId, augment: Option<&mut Stream>, out: &mut [f32]);
    /// Writes the tokens of a window into `out`, one more than the context: each token is the target of the one before
    /// it. Called for [`Shape::Tokens`] only.
    fn write_tokens(&self, _: SampleId, out: &mut [i32]) {
        out.fill(0);
    }
    /// Standard deviation of the pixels, in 0..1, over all channels and places, before augmentation.
    fn input_deviation(&self, id: SampleId) -> f32;
    /// The group of a sample, such as `hard`, if the dataset knows it (procedural data does).
    fn group(&self, _: SampleId) -> Option<&'static str> {
        None
    }
    /// The bytes that identify a sample besides its label, for the [`fingerprint`]. By default its values.
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

/// Identifies a dataset: the SHA-256 of all labels, then of the content of every sample, in hexadecimal.
///
/// A label is one byte, or four bytes (little-endian) if there are more than 256 classes.
#[must_use]
pub fn fingerprint(dataset: &dyn Dataset) -> String {
    let ids = 0..dataset.samples() as SampleId;
    let width = if dataset.classes() > 256 { 4 } else { 1 };
    let mut hash = Sha256::new();
    ids.clone().for_each(|id| hash.update(&(dataset.label(id) as u32).to_le_bytes()[..width]));
    ids.for_each(|id| hash.update(dataset.content(id)));
    format!("{:x}", hash.finalize())
}

/// A request for a batch, answered by a [`Loader`].
#[derive(Debug, Clone)]
pub struct Request {
    /// The samples, in order.
    pub visits: Vec<Visit>,
    /// Randomness for augmentation; `None` for no augmentation.
    pub augment: Option<Random>,
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
