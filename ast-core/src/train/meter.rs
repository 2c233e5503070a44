use std::collections::VecDeque;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::model::cost::LayerCost;

/// Steps whose seconds are kept: a long run takes no more memory than a short one.
const MOST_STEPS: usize = 4096;

/// What the program's time goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Waiting for batches and moving them to the device.
    Data,
    /// Computing significance and reading it back.
    Score,
    /// Order, gate, controller, queue and ledger.
    Select,
    /// Forward and backward.
    Train,
    /// The optimizer's update.
    Optimizer,
    /// Evaluation, outside the budget.
    Eval,
    /// Writing logs and checkpoints.
    Checkpoint,
}

impl Phase {
    /// All of them, in the order of the loop.
    pub const ALL: [Self; 7] =
        [Self::Data, Self::Score, Self::Select, Self::Train, Self::Optimizer, Self::Eval, Self::Checkpoint];

    /// Its name in `summary.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Score => "score",
            Self::Select => "select",
            Self::Train => "train",
            Self::Optimizer => "optimizer",
            Self::Eval => "eval",
            Self::Checkpoint => "checkpoint",
        }
    }
}

/// Counts what is really executed: the only source of every saving that the program prints.
///
/// Always in exactly one phase, so the phases add up to the whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Meter {
    forward: u64,
    step: u64,
    phase: Phase,
    #[serde(skip, default = "Instant::now")]
    since: Instant,
    seconds: [f64; Phase::ALL.len()],
    step_seconds: VecDeque<f64>,
    /// Optimizer steps.
    pub steps: u64,
    /// Steps that were not made, or were undone, because of a NaN or an infinity, those of small networks included.
    pub skipped: u64,
    /// Samples put before the policy.
    pub offered: u64,
    /// Samples trained on: forward, backward, update.
    pub trained: u64,
    /// Samples of these steps: forward and backward for nothing.
    pub wasted: u64,
    /// Samples given an extra forward pass to be scored.
    pub scored: u64,
    /// Of these: at half the resolution.
    #[serde(default)]
    pub halved: u64,
    /// Samples that small networks were given a step on.
    #[serde(default)]
    pub small_trained: u64,
    /// Samples that small networks were given a forward pass on, without a step.
    #[serde(default)]
    pub small_scored: u64,
    /// FLOPs of both, and of what was done at half the resolution.
    #[serde(default)]
    aside: u64,
    /// Samples evaluated.
    pub evaluated: u64,
    /// FLOPs of finding out whether selection pays.
    #[serde(default)]
    pub watching: u64,
    /// Energy of everything but evaluation; `None` if any of it was not measured.
    #[serde(default)]
    pub joules: Option<f64>,
}

impl Meter {
    /// Starts the clock, in [`Phase::Select`].
    #[must_use]
    pub fn start(layers: &[LayerCost]) -> Self {
        Self {
            forward: layers.iter().map(|l| l.forward).sum(),
            step: layers.iter().map(|l| l.forward + l.weight_gradient + l.input_gradient).sum(),
            phase: Phase::Select,
            since: Instant::now(),
            seconds: [0.0; Phase::ALL.len()],
            step_seconds: VecDeque::new(),
            steps: 0,
            skipped: 0,
            offered: 0,
            trained: 0,
            wasted: 0,
            scored: 0,
            halved: 0,
            small_trained: 0,
            small_scored: 0,
            aside: 0,
            evaluated: 0,
            watching: 0,
            joules: Some(0.0),
        }
    }

    /// Books the time since the last call on the phase that ends, and enters another.
    pub fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        self.seconds[self.phase as usize] += (now - self.since).as_secs_f64();
        (self.phase, self.since) = (phase, now);
    }

    /// Seconds booked on a phase.
    #[must_use]
    pub fn seconds(&self, phase: Phase) -> f64 {
        self.seconds[phase as usize]
    }

    /// Seconds of all phases that a step of dense training has as well.
    #[must_use]
    pub fn step_clock(&self) -> f64 {
        [Phase::Data, Phase::Train, Phase::Optimizer].map(|phase| self.seconds(phase)).iter().sum()
    }

    /// Seconds of everything but evaluation and checkpoints, and but scoring if that is not `charged`.
    #[must_use]
    pub fn training_seconds(&self, charged: bool) -> f64 {
        let counts = |phase: &Phase| match phase {
            Phase::Eval | Phase::Checkpoint => false,
            Phase::Score => charged,
            _ => true,
        };
        Phase::ALL.into_iter().filter(counts).map(|phase| self.seconds(phase)).sum()
    }

    /// Counts a training step on `samples` samples; where the batch was full, `begin` is the
    /// [`step_clock`](Self::step_clock) before it.
    pub fn stepped(&mut self, samples: usize, begin: Option<f64>) {
        self.steps += 1;
        self.trained += samples as u64;
        let now = self.step_clock();
        self.step_seconds.extend(begin.map(|begin| now - begin));
        if self.step_seconds.len() > MOST_STEPS {
            self.step_seconds.pop_front();
        }
    }

    /// Counts a step of a small network on `samples` samples, at so many FLOPs each.
    pub fn small_stepped(&mut self, samples: usize, flops: u64) {
        self.small_trained += samples as u64;
        self.aside += samples as u64 * flops;
    }

    /// Counts a forward pass of a small network over `samples` samples, at so many FLOPs each.
    pub fn small_looked(&mut self, samples: usize, flops: u64) {
        self.small_scored += samples as u64;
        self.aside += samples as u64 * flops;
    }

    /// Counts a scoring pass over `samples` samples at half the resolution, at so many FLOPs each.
    pub fn looked_at_half(&mut self, samples: usize, flops: u64) {
        self.scored += samples as u64;
        self.halved += samples as u64;
        self.aside += samples as u64 * flops;
    }

    /// Takes over what `abandoned`, a later state of the same run, has cost: going back in a run gives nothing back.
    /// Returns the samples that were trained for nothing.
    pub fn abandon(&mut self, abandoned: &Self) -> u64 {
        let executed = |meter: &Self| meter.trained + meter.wasted;
        let wasted = executed(abandoned) - executed(self);
        let skipped = abandoned.skipped + abandoned.steps - self.steps;
        let (steps, offered, trained) = (self.steps, self.offered, self.trained);
        *self = Self { steps, skipped, offered, trained, wasted: self.wasted + wasted, ..abandoned.clone() };
        wasted
    }

    /// Median seconds of a full-batch step, of the last 4,096; `None` before the first.
    #[must_use]
    pub fn median_step(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.step_seconds.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// FLOPs spent on the budget: training steps, skipped ones too, and scoring passes. Evaluation is outside.
    #[must_use]
    pub fn flops(&self) -> u64 {
        self.flops_of(self.trained + self.wasted) + self.scoring_flops()
    }

    /// FLOPs that were only for scoring: forward passes, all that small networks did, and watching whether selection pays.
    #[must_use]
    pub fn scoring_flops(&self) -> u64 {
        (self.scored - self.halved) * self.forward + self.aside + self.watching
    }

    /// FLOPs of training on `samples` samples.
    #[must_use]
    pub fn flops_of(&self, samples: u64) -> u64 {
        samples * self.step
    }

    /// FLOPs of evaluation.
    #[must_use]
    pub fn eval_flops(&self) -> u64 {
        self.evaluated * self.forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_to_the_whole() {
        let begin = Instant::now();
        let mut meter = Meter::start(&[]);
        for phase in Phase::ALL {
            meter.enter(phase);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        meter.enter(Phase::Select);
        let total: f64 = Phase::ALL.iter().map(|phase| meter.seconds(*phase)).sum();
        let wall = begin.elapsed().as_secs_f64();
        assert!(total <= wall && total >= 0.014, "{total} {wall}");
        assert!(Phase::ALL.iter().all(|phase| meter.seconds(*phase) >= 0.002));
    }

    #[test]
    fn flops_are_passes_times_layers() {
        let layers = [LayerCost::linear("a", [10, 5]).first(), LayerCost::linear("b", [5, 2])];
        let mut meter = Meter::start(&layers);
        (meter.trained, meter.scored, meter.evaluated, meter.watching) = (3, 7, 11, 5);
        // Forward 100 + 20; a step adds 100 + 0 and 20 + 20.
        assert_eq!(meter.flops(), 3 * 260 + 7 * 120 + 5);
        assert_eq!(meter.flops_of(2), 520);
        assert_eq!(meter.eval_flops(), 11 * 120);
        meter.small_stepped(2, 13);
        meter.small_looked(5, 4);
        assert_eq!((meter.small_trained, meter.small_scored), (2, 5));
        assert_eq!(meter.scoring_flops(), 7 * 120 + 5 + 2 * 13 + 5 * 4);
        assert_eq!(meter.flops(), 3 * 260 + 7 * 120 + 5 + 46);
        meter.looked_at_half(10, 30);
        assert_eq!((meter.scored, meter.halved), (17, 10));
        assert_eq!(meter.scoring_flops(), 7 * 120 + 5 + 46 + 300);
    }

    #[test]
    fn the_median_step_is_the_middle_one() {
        let mut meter = Meter::start(&[]);
        assert_eq!(meter.median_step(), None);
        for seconds in [5.0, 1.0, 100.0] {
            meter.seconds[Phase::Train as usize] += seconds;
            meter.stepped(8, Some(meter.step_clock() - seconds));
        }
        meter.stepped(3, None);
        assert_eq!(meter.median_step(), Some(5.0));
        assert_eq!((meter.steps, meter.trained), (4, 27));
    }
}
