use serde::{Deserialize, Serialize};

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
