//! Numbers in, numbers out: what holds an activation rate at its target.
//!
//! A gate lets through what scores at least a threshold; the *activation rate* is the share that passed. A [`Controller`]
//! sees that rate once per chunk of candidates and answers with the next threshold. It never sees a score, a tensor or a
//! file, which is why every claim about it can be tested in closed loop ([`simulate`]) within milliseconds.
//!
//! The decision that shaped this crate: the threshold lives in *rank space*, 0..1, where the plant is known. If a share
//! `c` of the candidates passes unconditionally and the others carry ranks uniform on 0..1, then
//! `rate = c + (1 - c)(1 - threshold)`: gain `-(1 - c)` for every scorer, at every stage of training. One pair of gains
//! therefore serves all, and stability can be checked before a run starts ([`PiConfig::check`]).
//!
//! | controller | form | for |
//! |---|---|---|
//! | [`PiController`] | positional PI on the smoothed rate, anti-windup | the default |
//! | [`SeedController`] | the original script's incremental update | comparison with the original |
//! | [`PackageController`] | the same, as its PyPI package has it, on raw scores | comparison with the package |
//! | [`Fixed`] | never moves | what a controller has to beat |
//! | [`RankControl`] | the first, the second, or the exact quantile | one gate, three ways to hold its rate |
#![forbid(unsafe_code)]

mod controller;
mod ema;
mod package;
mod pi;
mod rank;
mod seed;
mod simulate;

pub use controller::{ControlError, Controller, Fixed, Output, Setpoint};
pub use ema::Ema;
pub use package::PackageController;
pub use pi::{PiConfig, PiController};
pub use rank::RankControl;
pub use seed::SeedController;
pub use simulate::{Record, simulate};
