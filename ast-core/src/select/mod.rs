//! Selects the samples to train on next. Works on plain numbers, without tensors, in any training loop.
//!
//! [`Selector`] is all that a training loop needs. The other types are its parts, for authors of policies.

mod batch;
mod budget;
mod choice;
mod counts;
mod error;
/// Finds the keys of a chunk that pass a threshold.
pub mod gate;
mod goal;
mod ledger;
mod policies;
mod policy;
mod probe;
mod queue;
mod quota;
mod sample;
mod sampler;
pub(crate) mod selector;
mod source;
mod stages;
mod window;
mod worth;

pub use batch::{Batch, Outcome};
pub use budget::{Budget, Cost};
pub use choice::{BoxedPolicy, BuildPolicy, NewPolicy, PolicyChoice, PolicyEntry, PolicyKind, ScorerRule, policy};
pub use counts::{Counts, PassCost};
pub use error::SelectError;
pub use goal::{Goal, GoalError, Limit, RunLength};
pub use ledger::{Ledger, SampleOutcome};
pub use policy::{Policy, PolicyError, SelectionContext, SelectionStats};
pub use probe::{ChargedProbe, NoProbe, Probe, ProbeError, ProbeRequest, Probed, ScoredBy};
pub use queue::{Accepted, Queue};
pub use quota::Quota;
pub use sample::{GroupOutOfRange, Groups, Level, SampleId, Visit};
pub use sampler::{Offer, Plan, Sampler};
pub use selector::Selector;
pub use stages::Stage;
pub use window::{Quantile, Window};
pub use worth::{Worth, worth};
