use super::goal::GoalError;
use super::policy::PolicyError;
use super::sample::{GroupOutOfRange, Level};
use crate::codec::SnapshotError;

/// An error of the selector.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// The goal is impossible.
    #[error(transparent)]
    Goal(#[from] GoalError),
    /// A group number is too large.
    #[error(transparent)]
    Groups(#[from] GroupOutOfRange),
    /// The number of samples is 0, or larger than the range of ids.
    #[error("{0} samples: a selector takes 1 to 4,294,967,295")]
    Samples(usize),
    /// The policy trains every sample in every epoch, and the goal has a limit.
    #[error("this policy trains every sample in every epoch and cannot stop at a limit: use a goal without one")]
    NoLimit,
    /// The costs are out of range, or are set too late.
    #[error("costs: {0}")]
    Costs(&'static str),
    /// The stages are impossible, or are set too late.
    #[error("stages: {0}")]
    Stages(&'static str),
    /// The warm-up is impossible, or is set too late.
    #[error("warm-up: {0}")]
    WarmUp(&'static str),
    /// An earlier call failed.
    #[error("the selector failed earlier and cannot continue: create a new one and restore the last saved state")]
    Broken,
    /// An error of the policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The batch size is 0.
    #[error("the batch size must be 1 or more")]
    BatchSize,
    /// A column of an outcome does not have the batch's length.
    #[error("the batch has {expected} samples, its outcome has {found} values of {column}")]
    Length {
        /// Name of the column.
        column: &'static str,
        /// Samples of the batch.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The batch is not in flight.
    #[error("batch {0} is not in flight: it was already recorded or skipped, or it belongs to another selector")]
    NotInFlight(u64),
    /// The policy uses a level without a cost.
    #[error("the policy uses level {level}, but costs are set for {known} level(s) only: see `Selector::set_costs`")]
    Level {
        /// The level.
        level: Level,
        /// Number of levels with a cost.
        known: usize,
    },
    /// Saving or restoring failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}
