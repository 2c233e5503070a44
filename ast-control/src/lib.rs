//! Controllers that hold an activation rate at its target, on plain numbers.
//!
//! A gate accepts the candidates whose score is at least a threshold; the *activation rate* is the accepted share. A
//! [`Controller`] gets that rate once per chunk of candidates and returns the next threshold. It uses no scores,
//! tensors or files, so every claim about it can be tested in closed loop ([`simulate`]) within milliseconds.
//!
//! The decision that shaped this crate: the threshold is in *rank space*, 0..1, where the plant is known. If a share
//! `c` of the candidates passes unconditionally and the ranks of the others are uniform on 0..1, then `rate = c + (1 -
//! c)(1 - threshold)`. The plant's gain is `-(1 - c)` for every scorer, at every stage of training. One pair of gains
//! therefore serves all of them, and stability is checked before a run starts ([`PiConfig::check`]).
//!
//! | controller | form | for |
//! |---|---|---|
//! | [`PiController`] | positional PI on the smoothed rate, anti-windup | the default |
//! | [`OriginalController`] | the original script's incremental update | comparison with the original |
//! | [`PackageController`] | the incremental update of the original's PyPI package, on raw scores | comparison with the package |
//! | [`Fixed`] | constant threshold | baseline |
//! | [`RankControl`] | PI, the original's update, or the exact quantile | comparing the three under one gate |
//!
//! A closed loop: 14 % pass where the feed-forward expects 10, and the controller takes that back.
//!
//! ```
//! use ast_control::{PiConfig, Setpoint, simulate};
//!
//! let mut controller = PiConfig::default().check(1.0)?;
//! let setpoint = Setpoint { target: 0.1, bias: 0.9 };
//! let loops = simulate(&mut controller, 300, |_| setpoint, |_, threshold| 1.04 - threshold)?;
//! assert!((loops[0].rate - 0.14).abs() < 1e-9);
//! assert!((loops[299].rate - 0.1).abs() < 1e-3);
//! # Ok::<(), ast_control::ControlError>(())
//! ```
#![forbid(unsafe_code)]

mod controller;
mod ema;
mod original;
mod package;
mod pi;
mod rank;
mod simulate;

pub use controller::{ControlError, Controller, Fixed, Output, Setpoint};
pub use ema::Ema;
pub use original::OriginalController;
pub use package::PackageController;
pub use pi::{PiConfig, PiController};
pub use rank::RankControl;
pub use simulate::{Record, simulate};

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
