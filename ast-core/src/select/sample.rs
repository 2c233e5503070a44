use serde::{Deserialize, Serialize};

/// A sample's place in its dataset, 0..len.
pub type SampleId = u32;

/// A sample to be trained on, with the epoch that chose it: the two that key its augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// Which sample.
    pub id: SampleId,
    /// In which nominal epoch it was chosen.
    pub epoch: u32,
}
