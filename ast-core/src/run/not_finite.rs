use std::fmt;

use crate::select::SampleId;

/// A NaN or an infinity where a number must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NotFinite {
    /// The loss of the first such sample of the batch.
    Loss(SampleId, f32),
    /// The score of the first such sample of the batch.
    Score(SampleId, f32),
    /// The sum of all gradients.
    Gradient(f32),
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss(sample, value) => write!(f, "the loss of sample {sample} is {value}"),
            Self::Score(sample, value) => write!(f, "the score of sample {sample} is {value}"),
            Self::Gradient(value) => write!(f, "the gradients add up to {value}"),
        }
    }
}
