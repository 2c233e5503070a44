//! One file per policy; each registers itself.

mod ast;
mod dense;
mod fixed_threshold;
mod random;
mod seed;
