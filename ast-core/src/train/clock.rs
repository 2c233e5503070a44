//! Where a run's seconds and joules go.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::run::EnergyCounter;

/// Steps whose seconds are kept: a long run takes no more memory than a short one.
const MOST_STEPS: usize = 4096;
/// How long a counter of energy may go unread: far less than one takes to wrap around.
const EVERY: Duration = Duration::from_secs(1);

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

/// Always in exactly one phase, so the phases add up to the whole. Energy is that of every phase but evaluation.
pub struct Clock {
    booked: Booked,
    phase: Phase,
    since: Instant,
    energy: Energy,
}

/// What was booked so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Booked {
    pub(crate) seconds: [f64; Phase::ALL.len()],
    pub(crate) step_seconds: VecDeque<f64>,
    /// Of everything but evaluation; `None` if any of it was not measured.
    pub(crate) joules: Option<f64>,
}

impl Clock {
    /// Starts in [`Phase::Select`], with what counts energy or why nothing does.
    pub(crate) fn start(energy: Result<Box<dyn EnergyCounter>, String>) -> Self {
        let booked = Booked { seconds: [0.0; Phase::ALL.len()], step_seconds: VecDeque::new(), joules: Some(0.0) };
        Self { booked, phase: Phase::Select, since: Instant::now(), energy: Energy::new(energy) }
    }

    /// Begins to count energy, which was not the run's until now.
    pub(crate) fn begin(&mut self) {
        self.energy.pass_over();
        self.energy.read(&mut self.booked.joules, true);
    }

    /// Books what was used until now.
    pub(crate) fn end(&mut self) {
        self.enter(Phase::Checkpoint);
        self.energy.read(&mut self.booked.joules, true);
    }

    /// Books the time since the last call on the phase that ends, and enters another.
    pub(crate) fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        self.booked.seconds[self.phase as usize] += (now - self.since).as_secs_f64();
        match (self.phase, phase) {
            (Phase::Eval, Phase::Eval) => {}
            (_, Phase::Eval) => self.energy.read(&mut self.booked.joules, true),
            (Phase::Eval, _) => self.energy.pass_over(),
            _ => self.energy.read(&mut self.booked.joules, false),
        }
        (self.phase, self.since) = (phase, now);
    }

    /// Seconds booked on a phase.
    #[must_use]
    pub fn seconds(&self, phase: Phase) -> f64 {
        self.booked.seconds[phase as usize]
    }

    /// Seconds of everything.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.booked.seconds.iter().sum()
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

    /// Ends a step on a full batch, before which the [`step_clock`](Self::step_clock) stood at `begin`.
    pub(crate) fn stepped(&mut self, begin: f64) {
        let now = self.step_clock();
        self.booked.step_seconds.push_back(now - begin);
        if self.booked.step_seconds.len() > MOST_STEPS {
            self.booked.step_seconds.pop_front();
        }
    }

    /// Median seconds of a full-batch step, of the last 4,096; `None` before the first.
    #[must_use]
    pub fn median_step(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.booked.step_seconds.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// Energy of everything but evaluation; `None` if any of it was not measured.
    #[must_use]
    pub fn joules(&self) -> Option<f64> {
        self.booked.joules
    }

    /// Where the energy comes from, or why there is none.
    pub(crate) fn method(&self) -> Result<String, String> {
        self.energy.method()
    }

    pub(crate) fn booked(&self) -> &Booked {
        &self.booked
    }

    /// Goes on from what was booked before.
    pub(crate) fn put_back(&mut self, booked: Booked) {
        self.enter(Phase::Select);
        self.booked = booked;
    }
}

/// Reads a counter now and then, and says where the energy went: into the run, or past it.
pub(crate) struct Energy {
    counter: Result<Box<dyn EnergyCounter>, String>,
    last: Option<f64>,
    read_at: Instant,
}

impl Energy {
    /// Of a counter, or of the reason why there is none.
    pub(crate) fn new(counter: Result<Box<dyn EnergyCounter>, String>) -> Self {
        Self { counter, last: None, read_at: Instant::now() }
    }

    /// Adds what was used since the last reading to `joules`; nothing at the first. Not more often than every second,
    /// unless a boundary must be exact. Without a counter `joules` become `None`, for good: a part is not the whole.
    pub(crate) fn read(&mut self, joules: &mut Option<f64>, exact: bool) {
        if self.last.is_some() && !exact && self.read_at.elapsed() < EVERY {
            return;
        }
        let used = self.used();
        *joules = joules.zip(used).map(|(before, used)| before + used);
    }

    /// Passes over what was used since the last reading.
    pub(crate) fn pass_over(&mut self) {
        self.used();
    }

    /// Since the last reading.
    fn used(&mut self) -> Option<f64> {
        let counter = self.counter.as_mut().ok()?;
        self.read_at = Instant::now();
        match counter.joules() {
            Ok(now) => Some(now - self.last.replace(now).unwrap_or(now)),
            Err(reason) => {
                self.counter = Err(format!("{} stopped answering: {reason}", counter.name()));
                None
            }
        }
    }

    /// Where the number comes from, or why there is none.
    pub(crate) fn method(&self) -> Result<String, String> {
        self.counter.as_ref().map(|counter| counter.name()).map_err(Clone::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_to_the_whole() {
        let begin = Instant::now();
        let mut clock = Clock::start(Err("none".into()));
        for phase in Phase::ALL {
            clock.enter(phase);
            std::thread::sleep(Duration::from_millis(2));
        }
        clock.enter(Phase::Select);
        let (total, wall) = (clock.total(), begin.elapsed().as_secs_f64());
        assert!(total <= wall && total >= 0.014, "{total} {wall}");
        assert!(Phase::ALL.iter().all(|phase| clock.seconds(*phase) >= 0.002));
        assert_eq!(clock.joules(), None);
    }

    #[test]
    fn the_median_step_is_the_middle_one() {
        let mut clock = Clock::start(Err("none".into()));
        assert_eq!(clock.median_step(), None);
        for seconds in [5.0, 1.0, 100.0] {
            clock.booked.seconds[Phase::Train as usize] += seconds;
            clock.stepped(clock.step_clock() - seconds);
        }
        assert_eq!(clock.median_step(), Some(5.0));
    }

    /// 7 joules before the evaluation and 1.5 after it; what it used itself is passed over.
    #[test]
    fn evaluation_is_not_counted() {
        let mut clock = Clock::start(Ok(Box::new(Numbers(vec![100.0, 100.0, 107.0, 110.0, 111.5]))));
        clock.begin();
        for phase in [Phase::Train, Phase::Eval, Phase::Checkpoint, Phase::Select] {
            clock.enter(phase);
        }
        clock.end();
        assert_eq!(clock.joules(), Some(8.5));
    }

    /// Gives one number after the other, and then nothing.
    struct Numbers(Vec<f64>);

    impl EnergyCounter for Numbers {
        fn name(&self) -> String {
            "numbers".into()
        }
        fn joules(&mut self) -> Result<f64, String> {
            if self.0.is_empty() { Err("no more".into()) } else { Ok(self.0.remove(0)) }
        }
    }

    #[test]
    fn what_lies_between_two_readings_is_added_or_passed_over() {
        let mut energy = Energy::new(Ok(Box::new(Numbers(vec![100.0, 107.0, 110.0, 111.5]))));
        let mut joules = Some(0.0);
        energy.read(&mut joules, false);
        assert_eq!(joules, Some(0.0));
        energy.read(&mut joules, true);
        assert_eq!(joules, Some(7.0));
        energy.read(&mut joules, false);
        assert_eq!(joules, Some(7.0), "not a second has passed");
        energy.pass_over();
        energy.read(&mut joules, true);
        assert_eq!((joules, energy.method()), (Some(8.5), Ok("numbers".into())));
        energy.read(&mut joules, true);
        assert_eq!((joules, energy.method()), (None, Err("numbers stopped answering: no more".into())));
    }
}
