//! Which samples are trained on next: numbers only.

pub(crate) mod budget;
/// Which of a chunk of keys pass a threshold.
pub mod gate;
pub(crate) mod guard;
pub(crate) mod ledger;
pub(crate) mod policies;
pub(crate) mod policy;
pub(crate) mod queue;
pub(crate) mod sample;
pub(crate) mod sampler;
pub(crate) mod source;
pub(crate) mod window;

pub use budget::{Budget, Cost};
pub use guard::{Alignment, Decision, Evidence};
pub use ledger::{Ledger, Seen};
pub use policy::{BuildPolicy, Extent, Policy, PolicyEntry, PolicyError, Scores, Task, Trace, View};
pub use queue::{Accepted, Queue};
pub use sample::{SampleId, Visit};
pub use sampler::{Offer, Plan, Sampler};
pub use window::{Quantile, Window};
