use serde::{Deserialize, Serialize};

/// One evaluation on the test set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Nominal epochs done.
    pub epoch: f64,
    /// Percent.
    pub accuracy: f64,
    /// Nats.
    pub loss: f64,
}
