//! Samples and batches in host memory.

mod dataset;

pub use dataset::{Dataset, HostBatch, LoadError, Loader, Request};
