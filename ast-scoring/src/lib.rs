//! Significance scorers: one file, one cargo feature and one run-time name each.
//!
//! A scorer registers itself when its crate is linked. A crate that uses the scorers through the registry therefore
//! names this one once: `use ast_scoring as _;`. `CONTRIBUTING.md` has the recipe for a new scorer: its own file, a
//! feature line and a `mod` line here.
//!
//! A scorer is a function of columns of plain numbers. This crate therefore needs no Burn and compiles in seconds.
#![forbid(unsafe_code)]

#[cfg(feature = "el2n")]
mod el2n;
#[cfg(feature = "entropy")]
mod entropy;
#[cfg(feature = "forgetting")]
mod forgetting;
#[cfg(feature = "grad-norm")]
mod grad_norm;
#[cfg(feature = "loss")]
mod loss;
#[cfg(feature = "loss-change")]
mod loss_change;
#[cfg(feature = "loss-entropy")]
mod loss_entropy;
#[cfg(feature = "loss-intensity")]
mod loss_intensity;
#[cfg(feature = "margin")]
mod margin;
#[cfg(feature = "random")]
mod random;
#[cfg(feature = "reducible-loss")]
mod reducible_loss;
