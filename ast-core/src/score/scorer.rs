use burn::tensor::{Tensor, TensorData};

use crate::plugin::params::{ParamError, Params};
use crate::plugin::registry::Entry;
use crate::random::{Purpose, Random};
use crate::score::observation::{Needs, Observation};

/// Says what significance *is*: one number per sample, larger = more worth training on.
///
/// A scorer knows nothing of where an observation came from, so one scorer serves every score source. It keeps no
/// state; what is remembered per sample is the ledger's. Any scale will do: the gate works on ranks.
///
/// The contract, checked by [`testing::check_scorer`](crate::testing::check_scorer): shape `[batch]`, finite for
/// finite input, a batch of one works, permuting the samples permutes the scores, no gradient is attached, and NaN in
/// one sample's input does not touch the score of another.
pub trait Scorer: Send {
    /// What it wants to see beyond loss and logits.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// Significance of each sample, `[batch]`.
    ///
    /// # Errors
    /// [`ScoreError`] if the observation lacks what [`needs`](Self::needs) asked for.
    fn score(&self, seen: &Observation, context: &Context) -> Result<Tensor<1>, ScoreError>;
}

/// The loss, which is there anyway: what stands where no other score is wanted, or none can be had yet.
pub(crate) struct PlainLoss;

impl Scorer for PlainLoss {
    fn score(&self, seen: &Observation, _: &Context) -> Result<Tensor<1>, ScoreError> {
        Ok(seen.loss.clone())
    }
}

/// What a scorer may know beyond the batch.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// Smoothed mean loss of *coverage* samples, in nats. A mean over selected samples would be biased, and 1 for a
    /// batch of one.
    pub mean_loss: f64,
    /// Mean of [`Dataset::input_std`](crate::data::Dataset::input_std) over the training set.
    pub mean_input_std: f64,
    /// The run's randomness.
    pub random: Random,
    /// Steps done so far.
    pub step: u64,
}

impl Context {
    /// A uniform number on [0, 1) for each sample of `seen`, `[batch]`, a function of seed, step and sample alone.
    #[must_use]
    pub fn uniform(&self, seen: &Observation) -> Tensor<1> {
        let draw = |id: &u32| self.random.stream(Purpose::Score, self.step, u64::from(*id)).uniform() as f32;
        let values: Vec<f32> = seen.ids.iter().map(draw).collect();
        Tensor::from_data(TensorData::new(values, [seen.ids.len()]), &seen.loss.device())
    }
}

/// Why a scorer refused.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The observation lacks something.
    #[error("the observation has no {0}; did the scorer's `needs` ask for it?")]
    Missing(&'static str),
    /// A parameter was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
}

/// A registered scorer.
pub type ScorerEntry = Entry<BuildScorer>;
/// Its constructor.
pub type BuildScorer = fn(&Params) -> Result<Box<dyn Scorer>, ScoreError>;
inventory::collect!(ScorerEntry);

/// Registers a scorer under a name. See `CONTRIBUTING.md` for the recipe.
#[macro_export]
macro_rules! register_scorer {
    (name: $name:expr, summary: $summary:expr, params: $params:expr, build: $build:expr $(,)?) => {
        $crate::inventory::submit! {
            $crate::score::ScorerEntry {
                name: $name,
                summary: $summary,
                origin: env!("CARGO_PKG_NAME"),
                params: $params,
                build: $build,
            }
        }
    };
}
