//! Datasets, and samples and batches in host memory.

mod dataset;
mod shape;
mod source;
mod view;

pub use dataset::{Dataset, HostBatch, LoadError, Loader, Request, Values, fingerprint};
pub use shape::Shape;
pub use source::{
    Archive, ArchiveFile, BuildDataset, DataError, DataSource, DatasetEntry, ReadRequest, Remedy, Splits, Verified,
};
pub use view::{LabelNoise, Subset};
