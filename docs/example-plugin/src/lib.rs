//! Scorers of your own, in a crate of your own: it needs `ast-core` and nothing else of this workspace.
//!
//! `doubt` is a function of columns of plain numbers, as most scorers are. `least-confident` wants the whole tensors of the
//! forward pass, and so the feature `tensor-scorer` of `ast-core`, which brings Burn.
#![forbid(unsafe_code)]

mod doubt;
mod least_confident;
