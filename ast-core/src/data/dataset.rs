use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::data::Shape;
use crate::select::SampleId;

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
    /// Writes the normalised pixels of an image into `out`, channels first (channels x height x width values). Not called
    /// for text. Augmentation is not its business: see [`Request`](crate::data::Request).
    fn write(&self, id: SampleId, out: &mut [f32]);
    /// Whether the mirror image of a sample is of the same class. If not, augmentation does not flip.
    fn mirrors(&self) -> bool {
        true
    }
    /// Writes the tokens of a window into `out`, one more than the context: each token is the target of the one before
    /// it. Called for [`Shape::Tokens`] only.
    fn write_tokens(&self, _: SampleId, out: &mut [i32]) {
        out.fill(0);
    }
    /// The bytes of the text that a token stands for; `None` for images.
    fn token(&self, _: usize) -> Option<&[u8]> {
        None
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
                self.write(id, &mut values);
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
