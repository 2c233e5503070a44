//! Datasets, augmentation and a loader whose worker count never changes results.
//!
//! Images are kept once, as bytes. They are normalised and augmented when a batch is assembled. The randomness of a
//! sample is a function of seed, epoch and sample, so it does not matter which thread assembles it, or when.
#![forbid(unsafe_code)]

mod archive;
mod augment;
mod cifar10;
mod fetch;
mod images;
mod loader;
mod procedural;

pub use archive::{ArchiveError, extract, modified_files};
pub use augment::{Augmentation, MAX_SHIFT};
pub use fetch::{FetchError, FetchOptions, fetch, sha256};
pub use images::Images;
pub use loader::OrderedLoader;
pub use procedural::{Difficulty, Split, procedural};
