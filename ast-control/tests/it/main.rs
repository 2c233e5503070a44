//! Every test of the controllers through their public interface.
#![forbid(unsafe_code)]

mod closed_loop;
mod properties;
