//! One file per policy; each registers itself.

mod ast;
mod dense;
mod random;
