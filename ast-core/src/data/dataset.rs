use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::data::{LoadedSample, SampleError, Shape};
use crate::random::Random;
use crate::select::{SampleId, Visit};

/// A dataset of labelled images or of windows of text.
///
/// Images in memory implement [`write`](Self::write) and [`input_deviation`](Self::input_deviation). A dataset that reads
/// its images from files as they are selected implements [`load`](Self::load) and
/// [`reads_files`](Self::reads_files) instead.
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
    fn write(&self, _: SampleId, out: &mut [f32]) {
        out.fill(0.0);
    }
    /// Writes an image as [`write`](Self::write) does, for one visit, and says what that took. `random` is the randomness
    /// of the run if the image is augmented; a dataset that [crops](Self::crops) its images at random then does so, as a
    /// function of `random` and the visit alone.
    ///
    /// # Errors
    /// [`SampleError`], which names the file, if the image cannot be read or decoded.
    fn load(&self, visit: Visit, _random: Option<Random>, out: &mut [f32]) -> Result<LoadedSample, SampleError> {
        self.write(visit.id, out);
        Ok(LoadedSample { input_deviation: self.input_deviation(visit.id), ..LoadedSample::default() })
    }
    /// Whether [`load`](Self::load) reads a file. If so, images are never held in memory or on the device, and what is read
    /// is counted.
    fn reads_files(&self) -> bool {
        false
    }
    /// Whether [`load`](Self::load) crops augmented images at random. Augmentation then flips them, but does not shift
    /// them.
    fn crops(&self) -> bool {
        false
    }
    /// The names of the classes, in their order; empty if they have none.
    fn class_names(&self) -> &[String] {
        &[]
    }
    /// Mean and standard deviation of each channel, with which images are normalised: of pixels in 0..1, or of values in their
    /// own unit if [`has_pixels`](Self::has_pixels) is false; empty if they are not normalised.
    fn normalisation(&self) -> Vec<[f32; 2]> {
        Vec::new()
    }
    /// Whether the values of an image are pixels, in 0..1 before they are normalised, which can be shown to people.
    fn has_pixels(&self) -> bool {
        !self.normalisation().is_empty()
    }
    /// Pixels of the shorter side of an image before its middle is cut out; `None` if images are not resized.
    fn resize(&self) -> Option<usize> {
        None
    }
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
    /// Standard deviation of the pixels, in 0..1, over all channels and places, before augmentation. Not called for a
    /// dataset that [reads files](Self::reads_files).
    fn input_deviation(&self, _: SampleId) -> f32 {
        0.0
    }
    /// The mean of the input deviation over all samples; an estimate for a dataset that [reads files](Self::reads_files).
    fn mean_input_deviation(&self) -> f64 {
        let total: f64 = (0..self.samples() as SampleId).map(|id| f64::from(self.input_deviation(id))).sum();
        total / self.samples().max(1) as f64
    }
    /// The group of a sample, such as `hard`, if the dataset knows it (procedural data does).
    fn group(&self, _: SampleId) -> Option<&'static str> {
        None
    }
    /// Where a sample comes from, such as its file, if a person can look there.
    fn place(&self, _: SampleId) -> Option<String> {
        None
    }
    /// What names a sample among the others, whatever its content: for a file, its path within the folder; empty if nothing
    /// does.
    fn name(&self, _: SampleId) -> Cow<'_, [u8]> {
        Cow::Borrowed(&[])
    }
    /// What a person should know of the samples, such as files that were passed over.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }
    /// What the [`fingerprint`] is of, in words.
    fn fingerprinted(&self) -> &'static str {
        "labels and pixels"
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

/// Identifies the classes and names of the samples, whatever their content: the SHA-256 of the names of all classes, then
/// of the label and the [name](Dataset::name) of every sample, in hexadecimal. A file that is repaired does not change it.
#[must_use]
pub fn layout(dataset: &dyn Dataset) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    dataset.class_names().iter().for_each(|name| part(name.as_bytes()));
    for id in 0..dataset.samples() as SampleId {
        part(&(dataset.label(id) as u64).to_le_bytes());
        part(&dataset.name(id));
    }
    format!("{:x}", hash.finalize())
}
