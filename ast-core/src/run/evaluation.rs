use serde::{Deserialize, Serialize};

use crate::select::SampleId;

/// One evaluation on the test set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Nominal epochs done.
    pub epoch: f64,
    /// Correct answers, percent.
    pub accuracy: f64,
    /// Mean cross-entropy, nats.
    pub loss: f64,
    /// Correct answers with test-time augmentation, percent; absent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tta: Option<f64>,
}

/// What the network answered for one image of the test set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer {
    /// Which image.
    pub id: SampleId,
    /// The most likely class.
    pub class: usize,
    /// Its probability, 0..=1.
    pub confidence: f32,
    /// Cross-entropy, nats.
    pub loss: f32,
}
