//! Every test of the datasets through their public interface.
#![forbid(unsafe_code)]

mod archive;
mod contract;
mod fetch;
