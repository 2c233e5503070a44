//! Scorers that read whole tensors (feature `tensor-scorer`).

use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};

use super::context::ScoreContext;
use super::error::ScoreError;
use super::observation::{Observation, Statistic};
use super::scorer::Scorer;

/// The outputs of a forward pass, on the device, detached from the graph.
#[derive(Debug, Clone)]
pub struct Tensors {
    /// The logits, `[batch, classes]`.
    pub logits: Tensor<2>,
    /// Class of each sample, `[batch]`.
    pub targets: Tensor<1, Int>,
    /// The exact input of the last linear layer, after dropout, `[batch, width]`.
    pub features: Tensor<2>,
}

impl Tensors {
    /// `softmax(logits)`, `[batch, classes]`.
    #[must_use]
    pub fn probabilities(&self) -> Tensor<2> {
        softmax(self.logits.clone(), 1)
    }
}

/// A scorer on whole tensors, for what no [`Statistic`] holds. Wrap it in [`OnDevice`] to register it.
///
/// The contract is that of a [`Scorer`]; `testing::check_tensor_scorer` (feature `testing`) checks it.
pub trait TensorScorer: Send {
    /// Significance of each sample, `[batch]`, on the device.
    ///
    /// # Errors
    /// [`ScoreError`].
    fn score(&self, tensors: &Tensors, context: &ScoreContext) -> Result<Tensor<1>, ScoreError>;
}

/// Adapter from a [`TensorScorer`] to a [`Scorer`].
#[derive(Debug, Clone, Copy)]
pub struct OnDevice<S>(
    /// The scorer.
    pub S,
);

impl<S: TensorScorer> Scorer for OnDevice<S> {
    fn needs(&self) -> &'static [Statistic] {
        &[Statistic::OnDevice]
    }

    fn score(&self, seen: &Observation, _: &ScoreContext) -> Result<Vec<f32>, ScoreError> {
        Ok(seen.get(Statistic::OnDevice)?.to_vec())
    }

    fn on_device(&self) -> Option<&dyn TensorScorer> {
        Some(&self.0)
    }
}
