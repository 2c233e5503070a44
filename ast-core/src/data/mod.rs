//! Samples and batches in host memory, and where they come from.

mod dataset;
mod source;
mod view;

pub use dataset::{Dataset, HostBatch, LoadError, Loader, Request, fingerprint};
pub use source::{
    Archive, ArchiveFile, BuildDataset, DataError, DataSource, DatasetEntry, ReadRequest, Remedy, Splits, Verified,
};
pub use view::{LabelNoise, Subset};
