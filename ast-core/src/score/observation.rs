use super::error::ScoreError;
use crate::select::SampleId;

/// A per-sample statistic of a batch. `p` is the softmax of the logits, `y` the target, `h` the exact input of the last
/// linear layer, after dropout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Statistic {
    /// 1 if the most likely class is the target, else 0.
    Correct,
    /// `H(p) = -sum p log p`, in nats, 0..=ln classes.
    Entropy,
    /// `p_y - max_{j != y} p_j`, -1..=1.
    Margin,
    /// `|p - onehot(y)|`, the Euclidean norm, 0..=sqrt 2.
    ErrorNorm,
    /// `|h|`, the Euclidean norm, 0 and above.
    FeatureNorm,
    /// Standard deviation of the input before augmentation (of an image: of its pixels in 0..1), 0 and above.
    InputDeviation,
    /// The sample's loss at its last visit, in nats; before the first visit `ln classes`, the loss of a uniform guess.
    LastLoss,
    /// Exponential moving average of the absolute loss change between visits, in nats; 0 before the second visit.
    LossChange,
    /// Number of changes from correct to wrong between visits.
    Forgotten,
    /// 1 if the sample was classified correctly at its last visit, else 0.
    WasCorrect,
    /// Loss under an auxiliary network that was not trained on the sample, in nats. Our trainer trains two such
    /// networks at the start of the run, and charges them.
    ReferenceLoss,
    /// Score of a `TensorScorer`.
    OnDevice,
}

impl Statistic {
    /// All statistics, in the order of their discriminants.
    pub const ALL: [Self; 12] = [
        Self::Correct,
        Self::Entropy,
        Self::Margin,
        Self::ErrorNorm,
        Self::FeatureNorm,
        Self::InputDeviation,
        Self::LastLoss,
        Self::LossChange,
        Self::Forgotten,
        Self::WasCorrect,
        Self::ReferenceLoss,
        Self::OnDevice,
    ];

    /// The statistic's name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Correct => "correct",
            Self::Entropy => "entropy",
            Self::Margin => "margin",
            Self::ErrorNorm => "error norm",
            Self::FeatureNorm => "feature norm",
            Self::InputDeviation => "input deviation",
            Self::LastLoss => "last loss",
            Self::LossChange => "loss change",
            Self::Forgotten => "forgotten",
            Self::WasCorrect => "was correct",
            Self::ReferenceLoss => "reference loss",
            Self::OnDevice => "score of a tensor scorer",
        }
    }
}

/// Per-sample statistics of a batch: columns of numbers, each as long as the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    ids: Vec<SampleId>,
    loss: Vec<f32>,
    columns: [Option<Vec<f32>>; Statistic::ALL.len()],
}

impl Observation {
    /// An observation of the samples `ids` with these losses: plain cross-entropy in nats, even where training smooths
    /// labels.
    ///
    /// # Panics
    /// If `ids` and `loss` differ in length.
    #[must_use]
    pub fn new(ids: Vec<SampleId>, loss: Vec<f32>) -> Self {
        assert_eq!(ids.len(), loss.len(), "one loss a sample");
        Self { ids, loss, columns: Default::default() }
    }

    /// Adds a column.
    ///
    /// # Panics
    /// If `values` is not as long as the batch.
    #[must_use]
    pub fn with(mut self, statistic: Statistic, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), self.ids.len(), "one {} a sample", statistic.name());
        self.columns[statistic as usize] = Some(values);
        self
    }

    /// The samples of the batch.
    #[must_use]
    pub fn ids(&self) -> &[SampleId] {
        &self.ids
    }

    /// The loss of each sample, in nats.
    #[must_use]
    pub fn loss(&self) -> &[f32] {
        &self.loss
    }

    /// The column of a statistic.
    ///
    /// # Errors
    /// [`ScoreError::Missing`] if the column is not there: see [`Scorer::needs`](super::Scorer::needs).
    pub fn get(&self, statistic: Statistic) -> Result<&[f32], ScoreError> {
        self.columns[statistic as usize].as_deref().ok_or(ScoreError::Missing(statistic.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_added_columns_can_be_read() {
        let seen = Observation::new(vec![7, 9], vec![0.5, 1.5]).with(Statistic::Margin, vec![0.1, -0.2]);
        assert_eq!(seen.get(Statistic::Margin).unwrap(), [0.1, -0.2]);
        assert!(seen.get(Statistic::Entropy).unwrap_err().to_string().contains("no entropy"));
    }

    #[test]
    fn a_statistic_s_discriminant_is_its_index() {
        for (place, statistic) in Statistic::ALL.into_iter().enumerate() {
            assert_eq!(statistic as usize, place);
        }
    }
}
