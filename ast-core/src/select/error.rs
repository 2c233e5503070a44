use super::goal::GoalError;
use super::policy::PolicyError;
use super::sample::{GroupOutOfRange, Level};
use crate::codec::SnapshotError;

/// Why the selector refused.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The goal cannot be had.
    #[error(transparent)]
    Goal(#[from] GoalError),
    /// A sample's group is too large a number.
    #[error(transparent)]
    Groups(#[from] GroupOutOfRange),
    /// There is nothing to select from, or more than ids can name.
    #[error("{0} samples: a selector takes 1 to 4,294,967,295")]
    Samples(usize),
    /// The policy trains everything, whatever the limit.
    #[error("the policy trains every sample in every epoch and keeps no limit: give it a goal without one")]
    NoLimit,
    /// Costs that nothing can be counted in, or that come too late.
    #[error("costs: {0}")]
    Costs(&'static str),
    /// It failed before.
    #[error("the selector failed before and must not go on: make another, and restore what was saved last")]
    Broken,
    /// The policy refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A batch is of no sample.
    #[error("a batch must have one sample at least")]
    BatchSize,
    /// A column of an outcome is not as long as its batch.
    #[error("the batch has {expected} samples, its outcome has {found} values of {column}")]
    Length {
        /// Which column.
        column: &'static str,
        /// Samples of the batch.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The batch is not in flight.
    #[error("batch {0} is not in flight: it was recorded or skipped before, or is another selector's")]
    NotInFlight(u64),
    /// A level that nobody told the cost of.
    #[error("the policy uses level {level}, and costs are known of {known}: see `Selector::set_costs`")]
    Level {
        /// The level.
        level: Level,
        /// Levels known.
        known: usize,
    },
    /// It could not be saved or put back.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}
