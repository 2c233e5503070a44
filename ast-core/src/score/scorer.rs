use super::context::ScoreContext;
use super::error::ScoreError;
use super::observation::{Observation, Statistic};
use crate::plugin::{Entry, Params};

/// The definition of significance: one number per sample, larger = more worth training on.
///
/// A scorer does not know where an observation came from, so one scorer serves every score source. It keeps no state;
/// the ledger holds what is remembered per sample. Scores may have any scale, because the gate works on ranks.
///
/// The contract, checked by `testing::check_scorer` (feature `testing`): one score per sample; finite scores for finite
/// input; batches of one work; permuting the samples permutes the scores; NaN in one sample's statistics does not
/// change the score of another.
pub trait Scorer: Send {
    /// The statistics that the scorer uses besides the loss, which is always there. Only these are computed.
    fn needs(&self) -> &'static [Statistic] {
        &[]
    }

    /// The significance of each sample, `[batch]`.
    ///
    /// # Errors
    /// [`ScoreError`] if the observation lacks what [`needs`](Self::needs) asked for.
    fn score(&self, seen: &Observation, context: &ScoreContext) -> Result<Vec<f32>, ScoreError>;

    /// The scorer's [`TensorScorer`](super::TensorScorer), if it is an [`OnDevice`](super::OnDevice).
    #[cfg(feature = "tensor-scorer")]
    fn on_device(&self) -> Option<&dyn super::TensorScorer> {
        None
    }
}

/// The loss itself: the scorer of runs that use no scores, or have none yet.
#[derive(Debug, Clone, Copy)]
pub struct PlainLoss;

impl Scorer for PlainLoss {
    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.loss().to_vec())
    }
}

/// A registered scorer.
pub type ScorerEntry = Entry<BuildScorer>;
/// Constructor of a scorer.
pub type BuildScorer = fn(&Params) -> Result<Box<dyn Scorer>, ScoreError>;
inventory::collect!(ScorerEntry);

/// Registers a scorer under a name. `aliases: &["old-name"],` after it adds former names. `CONTRIBUTING.md` has the
/// recipe.
#[macro_export]
macro_rules! register_scorer {
    ($($entry:tt)*) => {
        $crate::register_entry! { $crate::score::ScorerEntry, $($entry)* }
    };
}
