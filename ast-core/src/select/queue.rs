use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::sample::{Level, SampleId, Visit};

/// Accepted samples waiting for a full batch. There is one queue per level, because a batch has one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    waiting: Vec<VecDeque<Accepted>>,
    /// How often each sample is accepted and not trained yet. Coverage can name a sample twice.
    pending: Vec<u8>,
}

/// A sample that is to be trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// The sample, and the epoch in which it was accepted.
    pub visit: Visit,
    /// Whether it is a coverage sample.
    pub coverage: bool,
    /// The share of the budget spent when it was accepted, 0..=1.
    pub spent: f64,
    /// Its loss weight.
    pub weight: f32,
    /// Whether its level is that of the run's stage, instead of one that the policy named.
    #[serde(default)]
    pub staged: bool,
}

impl Queue {
    /// An empty queue for a dataset of `samples` samples.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        Self { waiting: Vec::new(), pending: vec![0; samples] }
    }

    /// Adds a sample.
    pub fn push(&mut self, level: Level, accepted: Accepted) {
        let pending = &mut self.pending[accepted.visit.id as usize];
        *pending = pending.saturating_add(1);
        if self.waiting.len() <= usize::from(level) {
            self.waiting.resize_with(usize::from(level) + 1, VecDeque::new);
        }
        self.waiting[usize::from(level)].push_back(accepted);
    }

    /// The lowest level with at least `size` waiting samples.
    #[must_use]
    pub fn level_with(&self, size: usize) -> Option<Level> {
        self.waiting.iter().position(|queue| queue.len() >= size).map(|level| level as Level)
    }

    /// Removes and returns the next `size` samples of a level, or all if there are fewer. They stay
    /// [`pending`](Self::is_pending) until [`done`](Self::done).
    pub fn take(&mut self, level: Level, size: usize) -> Vec<Accepted> {
        let Some(queue) = self.waiting.get_mut(usize::from(level)) else { return Vec::new() };
        queue.drain(..size.min(queue.len())).collect()
    }

    /// Moves the waiting samples that have their level from a stage to the level of another. Returns how many there are.
    pub(crate) fn restage(&mut self, from: Level, to: Level) -> usize {
        let Some(queue) = self.waiting.get_mut(usize::from(from)).filter(|_| from != to) else { return 0 };
        let (moved, kept): (VecDeque<_>, VecDeque<_>) = queue.drain(..).partition(|accepted| accepted.staged);
        *queue = kept;
        if self.waiting.len() <= usize::from(to) {
            self.waiting.resize_with(usize::from(to) + 1, VecDeque::new);
        }
        let count = moved.len();
        self.waiting[usize::from(to)].extend(moved);
        count
    }

    /// Marks a sample as trained.
    pub fn done(&mut self, id: SampleId) {
        let pending = &mut self.pending[id as usize];
        *pending = pending.saturating_sub(1);
    }

    /// Whether a sample is accepted and not trained yet. It must not be accepted again on the same score.
    #[must_use]
    pub fn is_pending(&self, id: SampleId) -> bool {
        self.pending[id as usize] > 0
    }

    /// The visit of a sample if it is accepted now, in nominal epoch `epoch`.
    #[must_use]
    pub fn visit(&self, id: SampleId, epoch: u32, ledger: &Ledger) -> Visit {
        Visit { id, epoch, earlier: u32::from(ledger.visits(id)) + u32::from(self.pending[id as usize]) }
    }

    /// Number of waiting samples.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// Whether no sample is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(id: SampleId) -> Accepted {
        Accepted { visit: Visit { id, epoch: 0, earlier: 0 }, coverage: false, spent: 0.0, weight: 1.0, staged: false }
    }

    #[test]
    fn only_samples_of_a_stage_move_to_the_next() {
        let mut queue = Queue::new(9);
        for id in 0..6 {
            queue.push(1, Accepted { staged: id != 2, ..accepted(id) });
        }
        assert_eq!((queue.restage(1, 1), queue.restage(5, 0), queue.restage(1, 0)), (0, 0, 5));
        let ids = |batch: Vec<Accepted>| batch.iter().map(|accepted| accepted.visit.id).collect::<Vec<_>>();
        assert_eq!((ids(queue.take(0, 9)), ids(queue.take(1, 9))), (vec![0, 1, 3, 4, 5], vec![2]));
    }

    #[test]
    fn each_level_has_a_queue_of_its_own() {
        let mut queue = Queue::new(9);
        for id in 0..9 {
            queue.push((id % 2) as Level, accepted(id));
        }
        assert_eq!((queue.len(), queue.level_with(5), queue.level_with(6)), (9, Some(0), None));
        let ids = |batch: Vec<Accepted>| batch.iter().map(|accepted| accepted.visit.id).collect::<Vec<_>>();
        assert_eq!(ids(queue.take(0, 4)), [0, 2, 4, 6]);
        assert_eq!(queue.level_with(4), Some(1));
        assert_eq!(ids(queue.take(1, 100)), [1, 3, 5, 7]);
        assert!(queue.take(7, 1).is_empty());
        assert!(queue.is_pending(0) && queue.is_pending(8) && queue.len() == 1);
        queue.done(0);
        assert!(!queue.is_pending(0));
    }
}
