use super::context::ScoreContext;
use super::error::ScoreError;
use super::observation::{Observation, Statistic};
use crate::plugin::{Entry, Params};

/// Says what significance *is*: one number per sample, larger = more worth training on.
///
/// A scorer knows nothing of where an observation came from, so one scorer serves every score source. It keeps no
/// state; what is remembered per sample is the ledger's. Any scale will do: the gate works on ranks.
///
/// The contract, checked by `testing::check_scorer` (feature `testing`): one score a sample, finite for
/// finite input, a batch of one works, permuting the samples permutes the scores, and NaN in one sample's statistics does not
/// touch the score of another.
pub trait Scorer: Send {
    /// The statistics it wants beside the loss, which is always there. Nothing else is computed for it.
    fn needs(&self) -> &'static [Statistic] {
        &[]
    }

    /// Significance of each sample, as many as there are samples.
    ///
    /// # Errors
    /// [`ScoreError`] if the observation lacks what [`needs`](Self::needs) asked for.
    fn score(&self, seen: &Observation, context: &ScoreContext) -> Result<Vec<f32>, ScoreError>;

    /// The scorer's part that wants whole tensors, if it has one: [`OnDevice`](super::OnDevice) has.
    #[cfg(feature = "tensor-scorer")]
    fn on_device(&self) -> Option<&dyn super::TensorScorer> {
        None
    }
}

/// The loss, which is there anyway: what stands where no other score is wanted, or none can be had yet.
#[derive(Debug, Clone, Copy)]
pub struct PlainLoss;

impl Scorer for PlainLoss {
    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.loss().to_vec())
    }
}

/// A registered scorer.
pub type ScorerEntry = Entry<BuildScorer>;
/// Its constructor.
pub type BuildScorer = fn(&Params) -> Result<Box<dyn Scorer>, ScoreError>;
inventory::collect!(ScorerEntry);

/// Registers a scorer under a name; `aliases: &["old-name"],` after it keeps names that it had. See `CONTRIBUTING.md` for the recipe.
#[macro_export]
macro_rules! register_scorer {
    (name: $name:expr, summary: $summary:expr, params: $params:expr, build: $build:expr $(,)?) => {
        $crate::register_scorer! { name: $name, aliases: &[], summary: $summary, params: $params, build: $build }
    };
    (name: $name:expr, aliases: $aliases:expr, summary: $summary:expr, params: $params:expr, build: $build:expr $(,)?) => {
        $crate::inventory::submit! {
            $crate::score::ScorerEntry {
                name: $name,
                aliases: $aliases,
                summary: $summary,
                origin: env!("CARGO_PKG_NAME"),
                params: $params,
                build: $build,
            }
        }
    };
}
