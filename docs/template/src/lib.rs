//! Plugins of your own: one file for each kind. Keep what you need and delete the rest.
//!
//! | file | kind | used by |
//! |---|---|---|
//! | `doubt.rs` | scorer on columns of numbers | `--scorer doubt` |
//! | `least_confident.rs` | scorer on whole tensors | `--scorer least-confident` |
//! | `wrong_first.rs` | policy | `--policy wrong-first` |
//! | `two_conv.rs` | network | `--model two-conv` |
//! | `gratings.rs` | dataset | `--dataset gratings` |
//! | `heavy_ball.rs` | optimizer | `--optimizer heavy-ball` |
//!
//! A `register_*!` puts each into the registry of its kind. Each has a test of its own behaviour, and one that calls the
//! contract test of its kind in `ast_core::testing`.
#![forbid(unsafe_code)]

mod doubt;
mod gratings;
mod heavy_ball;
mod least_confident;
mod two_conv;
mod wrong_first;
