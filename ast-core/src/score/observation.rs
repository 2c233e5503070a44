use super::error::ScoreError;
use crate::select::SampleId;

/// A number that is known of every sample of a batch, beside its loss. `p` is the softmax of the logits, `y` the target,
/// `h` the exact input of the last linear layer, after dropout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Statistic {
    /// 1 where the most likely class is the target, else 0.
    Correct,
    /// `H(p) = -sum p log p`, in nats, 0..=ln classes.
    Entropy,
    /// `p_y - max_{j != y} p_j`, -1..=1.
    Margin,
    /// `|p - onehot(y)|`, the Euclidean norm, 0..=sqrt 2.
    ErrorNorm,
    /// `|h|`, the Euclidean norm, 0 and above.
    FeatureNorm,
    /// Standard deviation of the un-augmented input (of an image: of its pixels in 0..1), 0 and above.
    InputDeviation,
    /// Loss when the sample was last trained on, in nats; `ln classes`, that of a guess, if it never was.
    LastLoss,
    /// Smoothed absolute change of the loss from one time to the next, in nats; 0 before the second time.
    LossChange,
    /// How often it went from correct to wrong.
    Forgotten,
    /// 1 if it was correct when it was last trained on, else 0.
    WasCorrect,
    /// Loss under a small network that was not trained on the sample, in nats. Our trainer trains two such networks at the
    /// start of the run, and charges them.
    ReferenceLoss,
    /// What a `TensorScorer` gave.
    OnDevice,
}

impl Statistic {
    /// All of them.
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

    /// Its name in messages.
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

/// What a pass showed of each sample of a batch: columns of numbers, all as long as the batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    ids: Vec<SampleId>,
    loss: Vec<f32>,
    columns: [Option<Vec<f32>>; Statistic::ALL.len()],
}

impl Observation {
    /// Of these samples, which had these losses: plain cross-entropy in nats, even where training smooths labels.
    ///
    /// # Panics
    /// If there is not one loss a sample.
    #[must_use]
    pub fn new(ids: Vec<SampleId>, loss: Vec<f32>) -> Self {
        assert_eq!(ids.len(), loss.len(), "one loss a sample");
        Self { ids, loss, columns: Default::default() }
    }

    /// The same with one more column.
    ///
    /// # Panics
    /// If there is not one value a sample.
    #[must_use]
    pub fn with(mut self, statistic: Statistic, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), self.ids.len(), "one {} a sample", statistic.name());
        self.columns[statistic as usize] = Some(values);
        self
    }

    /// The samples.
    #[must_use]
    pub fn ids(&self) -> &[SampleId] {
        &self.ids
    }

    /// Loss of each, in nats.
    #[must_use]
    pub fn loss(&self) -> &[f32] {
        &self.loss
    }

    /// A column.
    ///
    /// # Errors
    /// [`ScoreError::Missing`] if nobody computed it: see [`Scorer::needs`](super::Scorer::needs).
    pub fn get(&self, statistic: Statistic) -> Result<&[f32], ScoreError> {
        self.columns[statistic as usize].as_deref().ok_or(ScoreError::Missing(statistic.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_there_once_it_was_given() {
        let seen = Observation::new(vec![7, 9], vec![0.5, 1.5]).with(Statistic::Margin, vec![0.1, -0.2]);
        assert_eq!(seen.get(Statistic::Margin).unwrap(), [0.1, -0.2]);
        assert!(seen.get(Statistic::Entropy).unwrap_err().to_string().contains("no entropy"));
    }

    #[test]
    fn every_statistic_has_its_place() {
        for (place, statistic) in Statistic::ALL.into_iter().enumerate() {
            assert_eq!(statistic as usize, place);
        }
    }
}
