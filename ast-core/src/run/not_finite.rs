use std::fmt;

use crate::select::SampleId;

/// A loss, score or gradient that is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NotFinite {
    /// The loss of a sample: the first in the batch that is not finite.
    Loss(SampleId, f32),
    /// The score of a sample: the first in the batch that is not finite.
    Score(SampleId, f32),
    /// The sum of all gradients of the step.
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
