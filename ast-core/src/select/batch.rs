use serde::{Deserialize, Serialize};

use super::policy::SelectionStats;
use super::queue::Accepted;
use super::sample::{Level, SampleId, Visit};

/// A batch of samples to be trained on, all of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[must_use = "record it, or skip it: until then its samples are not offered again"]
pub struct Batch {
    pub(crate) number: u64,
    pub(crate) level: Level,
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) spent: f64,
    pub(crate) offered: u64,
    pub(crate) stats: SelectionStats,
}

/// What a training step showed of the samples of a batch, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// Significance of each, larger = more worth training on; NaN for none. Only its rank counts. Some policies are about a
    /// certain score: [`PolicyKind::scorer`](super::PolicyKind::scorer) says which.
    pub score: &'a [f32],
    /// Loss of each, unweighted, as computed in this step before the update: cross-entropy in nats, or any other that is 0 and
    /// above. Skip a step with a NaN in it: see [`Selector::skip`](super::Selector::skip).
    pub loss: &'a [f32],
    /// Whether each was answered correctly. Where there is no such thing, forgetting is not counted, and nothing else is lost.
    pub correct: Option<&'a [bool]>,
}

impl Batch {
    /// The samples, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<SampleId> {
        self.accepted.iter().map(|accepted| accepted.visit.id).collect()
    }

    /// The samples with the epoch that chose each, which keys its augmentation.
    #[must_use]
    pub fn visits(&self) -> Vec<Visit> {
        self.accepted.iter().map(|accepted| accepted.visit).collect()
    }

    /// Number of samples, 1 and more.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // it never is
    pub fn len(&self) -> usize {
        self.accepted.len()
    }

    /// What the loss of each is to be multiplied by before the mean over the batch is taken, 1 on average.
    #[must_use]
    pub fn loss_weights(&self) -> Vec<f32> {
        let mean = self.accepted.iter().map(|accepted| accepted.weight).sum::<f32>() / self.len() as f32;
        self.accepted.iter().map(|accepted| accepted.weight / mean).collect()
    }

    /// Whether the loss weights differ. Where they do not, all are 1.
    #[must_use]
    pub fn is_weighted(&self) -> bool {
        self.accepted.iter().any(|accepted| accepted.weight != self.accepted[0].weight)
    }

    /// Whether each was trained unconditionally, so that it stands for the whole dataset.
    #[must_use]
    pub fn coverage(&self) -> Vec<bool> {
        self.accepted.iter().map(|accepted| accepted.coverage).collect()
    }

    /// The share of the budget that was spent when its samples were accepted, on average, 0 and above: what schedules are
    /// to follow, the learning rate first.
    #[must_use]
    pub fn spent(&self) -> f64 {
        self.spent
    }

    /// At which level its samples are to be computed.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Samples offered when it was complete.
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.offered
    }

    /// The state of selection when it was complete.
    #[must_use]
    pub fn stats(&self) -> &SelectionStats {
        &self.stats
    }
}
