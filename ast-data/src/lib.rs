//! Datasets, and a loader whose worker count never changes results.
//!
//! Images are kept once, as bytes. They are normalised and augmented when a batch is assembled. What is random about a
//! sample is a function of its request, so it does not matter which thread assembles it, or when.
//!
//! ```
//! use std::sync::Arc;
//!
//! use ast_core::data::{Dataset, Loader, Request};
//! use ast_core::random::Random;
//! use ast_core::select::Visit;
//! use ast_data::{Difficulty, OrderedLoader, Split, procedural};
//!
//! let data: Arc<dyn Dataset> = Arc::new(procedural(Random::new(0), Split::Train, 100, 32, Difficulty::default()));
//! let mut loader = OrderedLoader::new(data, 2)?; // two threads, which change nothing but the time
//!
//! // A batch of two images as a selector would ask for it: the first visit of one, the third of the other.
//! let visits = vec![Visit { id: 7, epoch: 0, earlier: 0 }, Visit { id: 3, epoch: 4, earlier: 2 }];
//! loader.request(Request { visits, augment: None, size: None });
//! let batch = loader.receive()?.expect("one was requested");
//! assert_eq!(batch.ids, [7, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
