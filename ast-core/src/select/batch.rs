use serde::{Deserialize, Serialize};

use super::policy::SelectionStats;
use super::queue::Accepted;
use super::sample::{Level, SampleId, Visit};

/// A batch of samples to be trained on, all of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use = "record or skip it: until then its samples are not selected again"]
pub struct Batch {
    pub(crate) number: u64,
    pub(crate) level: Level,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) spent: f64,
    pub(crate) offered: u64,
    pub(crate) stats: SelectionStats,
}

/// The result of a training step, per sample of the batch, in its order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome<'a> {
    /// Significance of each sample, larger = more worth training on; NaN for no score. Only ranks are used. Some
    /// policies require a certain scorer: see [`PolicyKind::scorer`](super::PolicyKind::scorer).
    pub score: &'a [f32],
    /// Loss of each sample, unweighted, from before the update: cross-entropy in nats, or any other loss of 0 and
    /// above. Skip a step that has a NaN: see [`Selector::skip`](super::Selector::skip).
    pub loss: &'a [f32],
    /// Whether each sample was classified correctly. `None` for tasks without such a notion; then forgetting is not
    /// counted.
    pub correct: Option<&'a [bool]>,
    /// What a pass on each sample is worth to the others, from [`worth`](super::worth()). `None` if it is not computed: then
    /// a policy that [watches](super::Selector::watches) selects without it.
    pub worth: Option<&'a [f32]>,
}

impl Batch {
    /// Ids of the samples, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<SampleId> {
        self.accepted.iter().map(|accepted| accepted.visit.id).collect()
    }

    /// The samples with the epoch in which each was selected and its earlier visits, which key its augmentation.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.accepted.iter().map(|accepted| accepted.visit).collect()
    }

    /// Number of samples, 1 and more.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // a batch is never empty
    pub fn len(&self) -> usize {
        self.accepted.len()
    }

    /// Weight of each sample's loss, to multiply by before the mean over the batch; 1 on average.
    #[must_use]
    pub fn loss_weights(&self) -> Vec<f32> {
        let mean = self.accepted.iter().map(|accepted| accepted.weight).sum::<f32>() / self.len() as f32;
        self.accepted.iter().map(|accepted| accepted.weight / mean).collect()
    }

    /// Whether the loss weights differ; if not, all are 1.
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        self.accepted.iter().any(|accepted| accepted.weight != self.accepted[0].weight)
    }

    /// Whether each sample was trained unconditionally. Coverage samples are a uniform sample of the dataset.
    #[must_use]
    pub fn coverage(&self) -> Vec<bool> {
        self.accepted.iter().map(|accepted| accepted.coverage).collect()
    }

    /// The share of the budget that was spent when the samples were accepted, on average, 0 and above. Schedules, such
    /// as that of the learning rate, are functions of it.
    #[must_use]
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// The level at which the samples are computed.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Number of samples offered so far when the batch was complete.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// The state of selection when the batch was complete.
    #[must_use]
    pub fn stats(&self) -> &SelectionStats {
        &self.stats
    }
}
