//! Which samples are trained on next: numbers only, no tensors. Works in anyone's training loop.
//!
//! [`Selector`] is the whole of it. The other names are its parts, for those who write a policy.

mod alignment;
mod batch;
mod budget;
mod choice;
mod counts;
mod error;
/// Which of a chunk of keys pass a threshold.
pub mod gate;
mod goal;
mod guard;
mod ledger;
mod policies;
mod policy;
mod probe;
mod queue;
mod sample;
mod sampler;
pub(crate) mod selector;
mod source;
mod window;

pub use alignment::Alignment;
pub use batch::{Batch, Outcome};
pub use budget::{Budget, Cost};
pub use choice::{BoxedPolicy, BuildPolicy, NewPolicy, PolicyChoice, PolicyEntry, PolicyKind, ScorerRule, policy};
pub use counts::{Counts, PassCost};
pub use error::SelectError;
pub use goal::{Goal, GoalError, Limit, RunLength};
pub use guard::{Decision, Evidence};
pub use ledger::{Ledger, Seen};
pub use policy::{Policy, PolicyError, SelectionContext, SelectionStats};
pub use probe::{ChargedProbe, NoProbe, Probe, ProbeError, ProbeRequest, Probed, ScoredBy};
pub use queue::{Accepted, Queue};
pub use sample::{GroupOutOfRange, Groups, Level, SampleId, Visit};
pub use sampler::{Offer, Plan, Sampler};
pub use selector::Selector;
pub use window::{Quantile, Window};
