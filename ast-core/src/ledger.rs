use serde::{Deserialize, Serialize};

use crate::data::{Dataset, SampleId};
use crate::window::Window;

/// How many outputs of coverage samples a rank is taken among.
const RANK_WINDOW: usize = 1024;
/// Weight of the newest loss in a sample's average.
const LOSS_EMA: f32 = 0.3;
/// The top bit of `history` remembers whether the last answer was correct; the others count forgetting events.
const CORRECT: u16 = 1 << 15;

/// What the program remembers of each sample, from passes that were paid for anyway.
///
/// 16 bytes a sample, its label included: 50,000 samples take 0.8 MB, 1.28 million take 20.5 MB. All per-sample memory lives here, so
/// scorers are stateless.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Rank of the last score, 1..=65535 for 0..=1; 0 before the first.
    rank: Vec<u16>,
    loss: Vec<f32>,
    /// Clock (samples trained, all together) at the last visit.
    trained_at: Vec<u32>,
    visits: Vec<u16>,
    history: Vec<u16>,
    /// Per class: sum of ranks, and how many samples were seen.
    class: Vec<(f64, u32)>,
    label: Vec<u16>,
    scores: Window,
    clock: u64,
}

/// What one training step showed of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// Which sample.
    pub id: SampleId,
    /// The scorer's output.
    pub score: f32,
    /// Cross-entropy in nats.
    pub loss: f32,
    /// Whether the most likely class was the target.
    pub correct: bool,
    /// Whether it was trained unconditionally, so that it stands for the whole dataset.
    pub coverage: bool,
}

impl Ledger {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(dataset: &dyn Dataset) -> Self {
        let n = dataset.samples();
        Self {
            rank: vec![0; n],
            loss: vec![0.0; n],
            trained_at: vec![0; n],
            visits: vec![0; n],
            history: vec![0; n],
            class: vec![(0.0, 0); dataset.classes()],
            label: (0..n as SampleId).map(|id| dataset.label(id) as u16).collect(),
            scores: Window::new(RANK_WINDOW),
            clock: 0,
        }
    }

    /// Takes in what a step showed. Ranks are taken among coverage samples only: selected ones are no fair sample.
    ///
    /// A score of NaN leaves the sample's rank as it was.
    pub fn record(&mut self, batch: &[Seen]) {
        self.scores.extend(batch.iter().filter(|seen| seen.coverage).map(|seen| seen.score));
        self.clock += batch.len() as u64;
        for seen in batch {
            let i = seen.id as usize;
            let first = self.visits[i] == 0;
            if !seen.score.is_nan() {
                let (sum, count) = &mut self.class[usize::from(self.label[i])];
                let rank = self.scores.rank(seen.score);
                match self.rank[i] {
                    0 => *count += 1,
                    old => *sum -= f64::from(unquantise(old)),
                }
                self.rank[i] = quantise(rank);
                *sum += f64::from(unquantise(self.rank[i]));
            }
            self.loss[i] = if first { seen.loss } else { self.loss[i] + LOSS_EMA * (seen.loss - self.loss[i]) };
            let forgot = !first && self.history[i] & CORRECT != 0 && !seen.correct;
            let events = (self.history[i] & !CORRECT).saturating_add(u16::from(forgot)).min(!CORRECT);
            self.history[i] = events | if seen.correct { CORRECT } else { 0 };
            self.visits[i] = self.visits[i].saturating_add(1);
            self.trained_at[i] = self.clock as u32;
        }
    }

    /// Effective score of a sample, 0..=1, or `None` if it never had a score.
    ///
    /// `s = k r + (1 - k) rbar`, `k = exp(-age / horizon)`: what was seen long ago counts less, and the mean rank of
    /// its class takes its place. `age` and `horizon` are in units of the dataset's size.
    #[must_use]
    pub fn score(&self, id: SampleId, horizon: f64) -> Option<f64> {
        let i = id as usize;
        if self.rank[i] == 0 {
            return None;
        }
        let age = (self.clock as u32).wrapping_sub(self.trained_at[i]);
        let k = (-f64::from(age) / (horizon * self.visits.len() as f64)).exp();
        let (sum, count) = self.class[usize::from(self.label[i])];
        Some(k * f64::from(unquantise(self.rank[i])) + (1.0 - k) * sum / f64::from(count.max(1)))
    }

    /// How often a sample was trained on (at most 65,535 is counted).
    #[must_use]
    pub fn visits(&self, id: SampleId) -> u16 {
        self.visits[id as usize]
    }

    /// Samples trained on so far, counted with repetition.
    #[must_use]
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// Memory that grows with the number of samples, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Self { rank, loss, trained_at, visits, history, label, class: _, scores: _, clock: _ } = self;
        let narrow: usize = [rank, visits, history, label].iter().map(|column| size_of_val(column.as_slice())).sum();
        narrow + size_of_val(loss.as_slice()) + size_of_val(trained_at.as_slice())
    }

    /// Samples it keeps account of.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.visits.len()
    }
}

fn quantise(rank: f32) -> u16 {
    1 + (rank * f32::from(u16::MAX - 1)).round() as u16
}

fn unquantise(rank: u16) -> f32 {
    f32::from(rank - 1) / f32::from(u16::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Labels;

    fn seen(id: SampleId, score: f32) -> Seen {
        Seen { id, score, loss: 1.0, correct: true, coverage: true }
    }

    #[test]
    fn a_sample_takes_sixteen_bytes() {
        assert_eq!(Ledger::new(&Labels(vec![0; 1000])).bytes(), 16 * 1000);
    }

    #[test]
    fn rank_fades_into_the_mean_of_the_class() {
        let mut ledger = Ledger::new(&Labels(vec![0, 0, 1, 1]));
        assert_eq!(ledger.score(0, 3.0), None);
        ledger.record(&[seen(0, 1.0), seen(1, 2.0), seen(2, 3.0), seen(3, 4.0)]);
        // Mid-ranks of four distinct scores: 1/8, 3/8, 5/8, 7/8; age 0.
        for (id, expected) in [0.125, 0.375, 0.625, 0.875].into_iter().enumerate() {
            assert!((ledger.score(id as u32, 3.0).unwrap() - expected).abs() < 1e-4);
        }
        // Sample 3 three more times: for sample 0 the age is now 3/4 of the dataset.
        for _ in 0..3 {
            ledger.record(&[seen(3, 4.0)]);
        }
        let k = (-0.75_f64 / 3.0).exp();
        let expected = k * 0.125 + (1.0 - k) * 0.25;
        assert!((ledger.score(0, 3.0).unwrap() - expected).abs() < 1e-4);
    }

    #[test]
    fn class_means_are_those_of_the_ranks_after_many_updates() {
        let labels: Vec<usize> = (0..50).map(|i| i % 3).collect();
        let mut ledger = Ledger::new(&Labels(labels.clone()));
        ledger.record(&[Seen { score: f32::NAN, ..seen(7, 0.0) }]);
        for k in 0..1000u32 {
            let id = (k * 7) % 50;
            ledger.record(&[Seen { coverage: k % 2 == 0, ..seen(id, ((k * 37) % 101) as f32) }]);
        }
        for class in 0..3 {
            let ranks: Vec<f64> =
                (0..50).filter(|i| labels[*i] == class).map(|i| f64::from(unquantise(ledger.rank[i]))).collect();
            let (sum, count) = ledger.class[class];
            assert!((sum / f64::from(count) - ranks.iter().sum::<f64>() / ranks.len() as f64).abs() < 1e-6);
        }
    }

    #[test]
    fn nan_scores_leave_the_rank_and_are_still_visits() {
        let mut ledger = Ledger::new(&Labels(vec![0, 0]));
        ledger.record(&[seen(0, 1.0), seen(1, 2.0)]);
        let before = ledger.score(1, f64::INFINITY);
        ledger.record(&[Seen { score: f32::NAN, ..seen(1, 0.0) }]);
        assert_eq!(ledger.score(1, f64::INFINITY), before);
        assert_eq!(ledger.visits(1), 2);
        assert_eq!(ledger.clock(), 3);
    }

    #[test]
    fn forgetting_counts_correct_to_wrong() {
        let mut ledger = Ledger::new(&Labels(vec![0]));
        for correct in [false, true, false, false, true, true, false] {
            ledger.record(&[Seen { correct, ..seen(0, 1.0) }]);
        }
        assert_eq!(ledger.history[0] & !CORRECT, 2);
    }
}
