//! Samples and batches in host memory.

pub(crate) mod dataset;

pub use dataset::{Dataset, HostBatch, LoadError, Loader, Request};
