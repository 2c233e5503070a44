//! Datasets, and a loader whose worker count never changes results.
//!
//! Images are kept once, as bytes. They are normalised and augmented when a batch is assembled. What is random about a
//! sample is a function of its request, so it does not matter which thread assembles it, or when.
#![forbid(unsafe_code)]

mod archive;
mod arrays;
mod cifar;
mod cifar10;
mod cifar100;
mod fetch;
mod idx;
mod image_folder;
mod images;
mod loader;
mod mnist;
mod procedural;
mod text;

pub use archive::{ArchiveError, extract, modified_files};
pub use fetch::{FetchError, FetchOptions, fetch, sha256};
pub use image_folder::{ImportError, ImportProgress, import};
pub use images::Images;
pub use loader::OrderedLoader;
pub use procedural::{Difficulty, Split, procedural};
