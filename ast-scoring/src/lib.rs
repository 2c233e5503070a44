//! Significance scorers: one file, one cargo feature and one run-time name each.
//!
//! Every scorer registers itself by being linked, so a crate that uses them through the registry names this one once:
//! `use ast_scoring as _;`. The recipe for another scorer is in `CONTRIBUTING.md`; it needs no change outside its own
//! file, a feature line and a `mod` line here.
#![forbid(unsafe_code)]

#[cfg(feature = "entropy")]
mod entropy;
#[cfg(feature = "loss")]
mod loss;
#[cfg(feature = "loss-intensity")]
mod loss_intensity;
#[cfg(feature = "random")]
mod random;
