use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::select::sample::{SampleId, Visit};

/// Accepted samples on their way to a full batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    waiting: VecDeque<Accepted>,
    /// How often each sample is on its way: coverage may name one twice.
    pending: Vec<u8>,
}

/// A sample that was let through.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// Which sample, in which epoch.
    pub visit: Visit,
    /// Whether it was coverage.
    pub coverage: bool,
    /// The share of the budget spent when it was accepted, 0..=1.
    pub spent: f64,
    /// Weight of its loss.
    #[serde(default = "one")]
    pub weight: f32,
}

fn one() -> f32 {
    1.0
}

impl Queue {
    /// An empty queue for a dataset of `samples` samples.
    #[must_use]
    pub fn new(samples: usize) -> Self {
        Self { waiting: VecDeque::new(), pending: vec![0; samples] }
    }

    /// Takes a sample in.
    pub fn push(&mut self, accepted: Accepted) {
        let pending = &mut self.pending[accepted.visit.id as usize];
        *pending = pending.saturating_add(1);
        self.waiting.push_back(accepted);
    }

    /// Takes the next `size` samples out, or what is left. They stay [`pending`](Self::is_pending) until
    /// [`done`](Self::done).
    pub fn take(&mut self, size: usize) -> Vec<Accepted> {
        self.waiting.drain(..size.min(self.waiting.len())).collect()
    }

    /// Marks a sample as trained.
    pub fn done(&mut self, id: SampleId) {
        let pending = &mut self.pending[id as usize];
        *pending = pending.saturating_sub(1);
    }

    /// Whether a sample was accepted and not yet trained: it must not be accepted again on the same old score.
    #[must_use]
    pub fn is_pending(&self, id: SampleId) -> bool {
        self.pending[id as usize] > 0
    }

    /// Samples waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
