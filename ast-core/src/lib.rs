//! Adaptive Sparse Training: train on the most significant samples, at the cost of those samples.
//!
//! A forward pass costs 1, a backward pass 2. A method that forwards every sample to find the important ones has spent
//! a third of full training before it saves anything. Here significance comes from training steps that are needed
//! anyway. The [`Selector`](select::Selector) records the results of each step and returns the ids of the next batch.
//! It works on plain numbers, so it fits any loop: your own in plain Rust, one on Burn, or one behind a binding.
//!
//! A complete loop: logistic regression on 500 points in two classes, training on a quarter of the points:
//!
//! ```
//! use ast_core::optim::learning_rate;
//! use ast_core::random::{Purpose, Random};
//! use ast_core::select::{Goal, Groups, NoProbe, Outcome, Selector, policy};
//!
//! // Points in the plane. The class is the side of a line on which a point lies.
//! let mut draw = Random::new(1).stream(Purpose::Data, 0, 0);
//! let points: Vec<[f64; 2]> = (0..500).map(|_| [draw.normal(), draw.normal()]).collect();
//! let labels: Vec<usize> = points.iter().map(|x| usize::from(x[0] > x[1])).collect();
//!
//! // Samples with their groups, policy, target and epochs, batch size, seed.
//! let groups = Groups::of(labels.iter().copied())?;
//! let mut selector = Selector::new(groups, policy("ast", &[])?, Goal::activation(0.25, 20), 32, 0)?;
//! let mut w = [0.0; 2];
//! while let Some(batch) = selector.next_batch(&mut NoProbe)? {
//!     let (mut loss, mut correct, mut gradient) = (vec![], vec![], [0.0; 2]);
//!     for (id, weight) in batch.ids().into_iter().zip(batch.loss_weights()) {
//!         let (x, y) = (points[id as usize], labels[id as usize] as f64);
//!         let p = 1.0 / (1.0 + (-w[0] * x[0] - w[1] * x[1]).exp());
//!         loss.push(-(y * p.ln() + (1.0 - y) * (1.0 - p).ln()) as f32);
//!         correct.push((p > 0.5) == (y > 0.5));
//!         (0..2).for_each(|k| gradient[k] += f64::from(weight) * (p - y) * x[k] / batch.len() as f64);
//!     }
//!     let lr = learning_rate(2.0, batch.spent());
//!     (0..2).for_each(|k| w[k] -= lr * gradient[k]);
//!     // The score here is the loss. Any number works that is larger for samples more worth training on.
//!     selector.record(batch, &Outcome { score: &loss, loss: &loss, correct: Some(&correct), ..Outcome::default() })?;
//! }
//! let right = points.iter().zip(&labels).filter(|(x, y)| (w[0] * x[0] + w[1] * x[1] > 0.0) == (**y == 1)).count();
//! assert!(right > 480);
//! assert!((selector.counts().trained as f64 / selector.counts().offered as f64 - 0.25).abs() < 0.01);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! More than this example shows:
//!
//! * **Policies.** [`select::policy`] lists them. `dense` trains everything and ignores the target. `ast` equals
//!   `random` in a run that trains each sample fewer than four times (target times epochs);
//!   `policy("ast", &[("lambda", 0.8.into())])` selects anyway. `selector.policy().warning()` returns such warnings:
//!   print it before the first step.
//! * **Wrong labels.** Wrong labels have high losses. `ast` holds back scores on which a pass does not pay, if it is told
//!   what one is worth: [`Outcome::worth`](select::Outcome::worth), as in the example `own_loop`.
//! * **Tasks without classes.** [`Groups::none`](select::Groups::none), and `correct: None`.
//! * **A step with a NaN.** [`Selector::skip`](select::Selector::skip) the batch instead of recording it.
//! * **Loading ahead.** Request several batches before you record the first.
//! * **Stop and resume.** [`Selector::save`](select::Selector::save) the selector with your weights. After
//!   [`restore`](select::Selector::restore), first train the batches that were
//!   [in flight](select::Selector::in_flight).
//! * **Extra passes.** Some policies score samples before training on them. For these, implement
//!   [`Probe`](select::Probe).
//!
//! # The rooms
//!
//! | room | contents | Burn |
//! |---|---|---|
//! | [`select`] | the selector and its parts: sampler, ledger, gate, policies, budget, counts | no |
//! | [`score`] | scorers: from per-sample statistics to significance | with `tensor-scorer` |
//! | [`plugin`] | registries of linked plugins, and their parameters | no |
//! | [`data`] | datasets, where they come from, loaders and batches in host memory | no |
//! | [`run`] | configuration, events, summary and checkpoints of a run | no |
//! | [`optim`] | the schedule of the learning rate; optimizers | the optimizers |
#![cfg_attr(
    feature = "train",
    doc = "| [`model`] | networks, and what their layers cost | yes |
| [`ops`] | operations made faster on the CPU | yes |
| [`train`] | our training loop, the selector's first user | yes |"
)]
//! | [`random`], [`codec`] | counter-based randomness; values as bytes | no |
//!
//! A room may import only the rooms before it in this order: random, codec and ops; plugin; select; score; data, run,
//! model and optim; train. Without the feature `train` this crate does not depend on Burn.
//!
//! Plugins register themselves when they are linked: [`register_scorer!`], [`register_policy!`], [`register_dataset!`], and
//! with the feature `train` `register_network!` and `register_optimizer!`. A crate with your own plugins depends on this
//! crate only; `docs/template` of the repository is one to copy. The feature `testing` has a contract test for each kind.
#![forbid(unsafe_code)]

pub mod codec;
pub mod data;
#[cfg(feature = "train")]
pub mod model;
#[cfg(feature = "train")]
pub mod ops;
pub mod optim;
pub mod plugin;
/// Counter-based randomness.
pub mod random;
pub mod run;
pub mod score;
pub mod select;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(feature = "train")]
pub mod train;

#[cfg(feature = "train")]
pub use burn;
pub use inventory;

/// The examples of the README are tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
