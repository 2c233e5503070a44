use crate::random::{Purpose, Random};
use crate::select::SampleId;

/// What a scorer may use besides the observation.
#[derive(Debug, Clone, Copy)]
pub struct ScoreContext {
    /// Smoothed mean loss of *coverage* samples, in nats. The batch's own mean would be biased by selection, and
    /// useless in a batch of one. Before the first step it is the mean of the batch.
    pub mean_loss: f64,
    /// Mean of [`Statistic::InputDeviation`](super::Statistic::InputDeviation) over the training set.
    pub mean_input_deviation: f64,
    /// The run's randomness.
    pub random: Random,
    /// Steps done so far.
    pub step: u64,
}

impl ScoreContext {
    /// A uniform number on [0, 1) for each sample, a function of seed, step and sample alone.
    #[must_use]
    pub fn uniform(&self, ids: &[SampleId]) -> Vec<f32> {
        let draw = |id: &SampleId| self.random.stream(Purpose::Score, self.step, u64::from(*id)).uniform() as f32;
        ids.iter().map(draw).collect()
    }
}
