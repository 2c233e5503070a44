use half::f16;
use serde::{Deserialize, Serialize};

use super::sample::{Groups, SampleId};
use super::window::Window;

/// Number of recent outputs of coverage samples among which ranks are taken.
const RANK_WINDOW: usize = 1024;
/// Weight of the newest loss change in its moving average.
const CHANGE_EMA: f32 = 0.3;
/// The top bit of `history`: whether the last answer was correct. The other bits count forgetting events.
const CORRECT: u16 = 1 << 15;

/// Per-sample memory of the run, filled from training steps.
///
/// 16 bytes per sample, its group included: 0.8 MB for 50,000 samples, 20.5 MB for 1.28 million. Scorers are stateless,
/// because all per-sample memory is here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Rank of the last score, 1..=65535 for 0..=1; 0 before the first score.
    rank: Vec<u16>,
    /// Last loss in nats, and the moving average of its absolute change, both as half-precision floats.
    last_loss: Vec<u16>,
    loss_change: Vec<u16>,
    /// Clock (number of samples trained so far) at the last visit.
    trained_at: Vec<u32>,
    visits: Vec<u16>,
    history: Vec<u16>,
    /// Per group: sum of ranks, and number of samples with a rank.
    class: Vec<(f64, u32)>,
    label: Vec<u16>,
    scores: Window,
    clock: u64,
}

/// The result of one training step for one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleOutcome {
    /// Which sample.
    pub id: SampleId,
    /// The scorer's output.
    pub score: f32,
    /// Cross-entropy in nats.
    pub loss: f32,
    /// Whether the most likely class was the target; false where there is no such thing.
    pub correct: bool,
    /// Whether it was trained unconditionally. Coverage samples are a uniform sample of the dataset.
    pub coverage: bool,
    /// What a pass on it is worth to the others, if that is known.
    pub worth: Option<f32>,
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new(groups: Groups) -> Self {
        let n = groups.samples();
        Self {
            rank: vec![0; n],
            last_loss: vec![0; n],
            loss_change: vec![0; n],
            trained_at: vec![0; n],
            visits: vec![0; n],
            history: vec![0; n],
            class: vec![(0.0, 0); groups.count()],
            label: groups.into_vec(),
            scores: Window::new(RANK_WINDOW),
            clock: 0,
        }
    }

    /// Records the results of a step. Ranks are taken among coverage samples only, because selected samples are not a
    /// uniform sample of the data.
    ///
    /// A score of NaN leaves the rank of the sample unchanged.
    pub fn record(&mut self, batch: &[SampleOutcome]) {
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
            if !first {
                let (change, now) = (half(self.loss_change[i]), (seen.loss - half(self.last_loss[i])).abs());
                let smoothed = if self.visits[i] == 1 { now } else { change + CHANGE_EMA * (now - change) };
                self.loss_change[i] = to_half(smoothed);
            }
            self.last_loss[i] = to_half(seen.loss);
            let forgot = !first && self.history[i] & CORRECT != 0 && !seen.correct;
            let events = (self.history[i] & !CORRECT).saturating_add(u16::from(forgot)).min(!CORRECT);
            self.history[i] = events | if seen.correct { CORRECT } else { 0 };
            self.visits[i] = self.visits[i].saturating_add(1);
            self.trained_at[i] = self.clock as u32;
        }
    }

    /// Effective score of a sample, 0..=1; `None` if it has no score yet.
    ///
    /// `s = k r + (1 - k) rbar`, `k = exp(-age / horizon)`: the older the rank, the more the mean rank of the group
    /// replaces it. `age` and `horizon` are in units of the dataset's size.
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

    /// Loss of a sample at its last visit, in nats to three digits; `None` before the first visit.
    #[must_use]
    pub fn loss(&self, id: SampleId) -> Option<f32> {
        (self.visits(id) > 0).then(|| half(self.last_loss[id as usize]))
    }

    /// Moving average of the absolute change of a sample's loss between visits, in nats; 0 before the second visit.
    #[must_use]
    pub fn loss_change(&self, id: SampleId) -> f32 {
        half(self.loss_change[id as usize])
    }

    /// How often a sample changed from correct to wrong (saturates at 32,767).
    #[must_use]
    pub fn forgotten(&self, id: SampleId) -> u16 {
        self.history[id as usize] & !CORRECT
    }

    /// Whether a sample was correct at its last visit.
    #[must_use]
    pub fn was_correct(&self, id: SampleId) -> bool {
        self.history[id as usize] & CORRECT != 0
    }

    /// Whether every sample is in the same group in both.
    pub(crate) fn same_groups(&self, other: &Self) -> bool {
        self.label == other.label
    }

    /// How often a sample was trained on (saturates at 65,535).
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
        let Self { rank, last_loss, loss_change, trained_at, visits, history, label, class: _, scores: _, clock: _ } =
            self;
        let narrow = [rank, last_loss, loss_change, visits, history, label];
        narrow.iter().map(|column| size_of_val(column.as_slice())).sum::<usize>() + size_of_val(trained_at.as_slice())
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.visits.len()
    }
}

fn half(bits: u16) -> f32 {
    f16::from_bits(bits).to_f32()
}

fn to_half(value: f32) -> u16 {
    f16::from_f32(value.min(f16::MAX.to_f32())).to_bits()
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

    fn groups(labels: Vec<usize>) -> Groups {
        Groups::of(labels).unwrap()
    }

    fn seen(id: SampleId, score: f32) -> SampleOutcome {
        SampleOutcome { id, score, loss: 1.0, correct: true, coverage: true, worth: None }
    }

    #[test]
    fn a_sample_takes_sixteen_bytes() {
        assert_eq!(Ledger::new(groups(vec![0; 1000])).bytes(), 16 * 1000);
    }

    #[test]
    fn rank_fades_into_the_mean_of_the_class() {
        let mut ledger = Ledger::new(groups(vec![0, 0, 1, 1]));
        assert_eq!(ledger.score(0, 3.0), None);
        ledger.record(&[seen(0, 1.0), seen(1, 2.0), seen(2, 3.0), seen(3, 4.0)]);
        // Mid-ranks of four distinct scores: 1/8, 3/8, 5/8, 7/8; age 0.
        for (id, expected) in [0.125, 0.375, 0.625, 0.875].into_iter().enumerate() {
            assert!((ledger.score(id as u32, 3.0).unwrap() - expected).abs() < 1e-4);
        }
        // Sample 3 is trained three more times, so the age of sample 0 is 3/4 of the dataset.
        for _ in 0..3 {
            ledger.record(&[seen(3, 4.0)]);
        }
        let k = (-0.75_f64 / 3.0).exp();
        let expected = k * 0.125 + (1.0 - k) * 0.25;
        assert!((ledger.score(0, 3.0).unwrap() - expected).abs() < 1e-4);
    }

    #[test]
    fn class_means_match_the_ranks_after_many_updates() {
        let labels: Vec<usize> = (0..50).map(|i| i % 3).collect();
        let mut ledger = Ledger::new(groups(labels.clone()));
        ledger.record(&[SampleOutcome { score: f32::NAN, ..seen(7, 0.0) }]);
        for k in 0..1000u32 {
            let id = (k * 7) % 50;
            ledger.record(&[SampleOutcome { coverage: k % 2 == 0, ..seen(id, ((k * 37) % 101) as f32) }]);
        }
        for class in 0..3 {
            let ranks: Vec<f64> =
                (0..50).filter(|i| labels[*i] == class).map(|i| f64::from(unquantise(ledger.rank[i]))).collect();
            let (sum, count) = ledger.class[class];
            assert!((sum / f64::from(count) - ranks.iter().sum::<f64>() / ranks.len() as f64).abs() < 1e-6);
        }
    }

    #[test]
    fn a_nan_score_keeps_the_rank_and_counts_as_a_visit() {
        let mut ledger = Ledger::new(groups(vec![0, 0]));
        ledger.record(&[seen(0, 1.0), seen(1, 2.0)]);
        let before = ledger.score(1, f64::INFINITY);
        ledger.record(&[SampleOutcome { score: f32::NAN, ..seen(1, 0.0) }]);
        assert_eq!(ledger.score(1, f64::INFINITY), before);
        assert_eq!(ledger.visits(1), 2);
        assert_eq!(ledger.clock(), 3);
    }

    #[test]
    fn forgetting_counts_correct_to_wrong() {
        let mut ledger = Ledger::new(groups(vec![0]));
        for correct in [false, true, false, false, true, true, false] {
            ledger.record(&[SampleOutcome { correct, ..seen(0, 1.0) }]);
        }
        assert_eq!(ledger.forgotten(0), 2);
        assert!(!ledger.was_correct(0));
    }

    /// Losses 3, 1, 2 change by 2 and 1; smoothed, 2 + 0.3 (1 - 2).
    #[test]
    fn the_change_of_a_loss_is_smoothed() {
        let mut ledger = Ledger::new(groups(vec![0, 0]));
        assert_eq!((ledger.loss(0), ledger.loss_change(0)), (None, 0.0));
        for (loss, change) in [(3.0, 0.0), (1.0, 2.0), (2.0, 1.7)] {
            ledger.record(&[SampleOutcome { loss, ..seen(0, 1.0) }]);
            assert_eq!(ledger.loss(0), Some(loss));
            assert!((ledger.loss_change(0) - change).abs() < 1e-3);
        }
        ledger.record(&[SampleOutcome { loss: f32::INFINITY, ..seen(1, 1.0) }]);
        assert_eq!(ledger.loss(1), Some(65504.0));
    }
}
