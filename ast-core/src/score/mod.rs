//! What significance is.

pub(crate) mod observation;
pub(crate) mod scorer;

pub use observation::{History, Needs, Observation, cross_entropy};
pub use scorer::{BuildScorer, Context, ScoreError, Scorer, ScorerEntry};
