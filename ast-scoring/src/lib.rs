//! Significance scorers: one file, one cargo feature and one run-time name each.
//!
//! A scorer registers itself when its crate is linked. A crate that uses the scorers through the registry therefore
//! names this one once: `use ast_scoring as _;`. `CONTRIBUTING.md` has the recipe for a new scorer: its own file, a
//! feature line and a `mod` line here.
//!
//! A scorer is a function of columns of plain numbers. This crate therefore needs no Burn and compiles in seconds.
//!
//! ```
//! # #[cfg(feature = "margin")] {
//! use ast_core::plugin::{Params, Registry};
//! use ast_core::random::Random;
//! use ast_core::score::{BuildScorer, Observation, ScoreContext, Statistic};
//! use ast_scoring as _; // links the scorers, which then are in the registry
//!
//! let scorers = Registry::<BuildScorer>::linked()?;
//! let margin = scorers.get("margin")?;
//! let scorer = (margin.build)(&Params::default())?;
//!
//! // Three samples of a step: sure and right, unsure, sure and wrong.
//! let seen = Observation::new(vec![0, 1, 2], vec![0.0, 0.7, 1.4]).with(Statistic::Margin, vec![1.0, 0.0, -0.5]);
//! let context = ScoreContext { mean_loss: 1.0, mean_input_deviation: 0.2, random: Random::new(0), step: 1 };
//! assert_eq!(scorer.score(&seen, &context)?, [0.0, 1.0, 1.5]);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
