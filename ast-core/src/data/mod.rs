//! Datasets, their augmentation, and samples and batches in host memory.

mod augment;
mod batch;
mod dataset;
mod load;
mod preprocessing;
mod resize;
mod shape;
mod source;
mod view;
mod vocabulary;

pub use augment::{Augment, Flip, Padding};
pub use batch::{HostBatch, Loader, Request, Values};
pub use dataset::{Dataset, fingerprint, layout};
pub use load::{BadSample, LoadError, LoadedSample, Reads, SampleError};
pub use preprocessing::Preprocessing;
pub use resize::{ImageSize, Resize, Taps, triangles};
pub use shape::Shape;
pub use source::{
    BuildDataset, DataError, DataSource, DatasetEntry, Download, Published, PublishedFile, ReadRequest, Remedy, Splits,
    Verified, VerifiedContents,
};
pub use view::View;
pub use vocabulary::Vocabulary;
