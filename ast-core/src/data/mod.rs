//! Datasets, their augmentation, and samples and batches in host memory.

mod augment;
mod batch;
mod dataset;
mod resize;
mod shape;
mod source;
mod view;

pub use augment::{Augment, Flip, Padding};
pub use batch::{HostBatch, LoadError, Loader, Request, Values};
pub use dataset::{Dataset, fingerprint};
pub use resize::{ImageSize, Resize};
pub use shape::Shape;
pub use source::{
    BuildDataset, DataError, DataSource, DatasetEntry, Download, Published, PublishedFile, ReadRequest, Remedy, Splits,
    Verified,
};
pub use view::{LabelNoise, Subset};
