//! Measures the seconds and joules of a run, by phase.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::pauses::Pauses;
use crate::run::EnergyCounter;

/// Number of steps whose seconds are kept, so that memory does not grow with the run.
const MOST_STEPS: usize = 4096;
/// Interval at which an energy counter is read: far shorter than the time it takes to wrap around.
const EVERY: Duration = Duration::from_secs(1);

/// A part of the run that time is booked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Waiting for batches and moving them to the device.
    Data,
    /// Computing significance and reading it back.
    Score,
    /// Order, gate, controller, queue and ledger.
    Select,
    /// Forward and backward passes.
    Train,
    /// The optimizer's update.
    Optimizer,
    /// Evaluation, outside the budget.
    Eval,
    /// Writing logs and checkpoints.
    Checkpoint,
}

impl Phase {
    /// All phases, in the order of the loop.
    pub const ALL: [Self; 7] =
        [Self::Data, Self::Score, Self::Select, Self::Train, Self::Optimizer, Self::Eval, Self::Checkpoint];

    /// The phase's name in `summary.json`.
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

/// The clock of a run. It is always in exactly one phase, so the phases add up to the whole. Its energy is that of
/// every phase except evaluation.
///
/// A device that queues its work finishes it in a later phase, unless the loop waits for it at the end of each
/// ([`DeviceConfig::phase_times`](crate::run::DeviceConfig::phase_times)). Where the loop does not, it stays in [`Phase::Train`] until the results of a
/// step are read back, which waits for all work queued so far, the update of the step before included. The seconds of a
/// step are then still whole.
pub struct Clock {
    booked: Booked,
    phase: Phase,
    since: Instant,
    energy: Energy,
    pauses: Pauses,
    /// The pauses that are booked.
    paused: Duration,
}

/// Seconds and joules booked so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Booked {
    pub(crate) seconds: [f64; Phase::ALL.len()],
    pub(crate) step_seconds: VecDeque<f64>,
    /// Joules of every phase except evaluation; `None` if any part was not measured.
    pub(crate) joules: Option<f64>,
    /// Seconds in which the process did not run, in no phase.
    #[serde(default)]
    pub(crate) stopped: f64,
    /// Whether the phases of every step were timed apart.
    #[serde(default = "yes")]
    pub(crate) apart: bool,
}

fn yes() -> bool {
    true
}

impl Clock {
    /// Starts in [`Phase::Select`], with an energy counter or the reason why there is none.
    pub(crate) fn start(energy: Result<Box<dyn EnergyCounter>, String>) -> Self {
        let seconds = [0.0; Phase::ALL.len()];
        let booked = Booked { seconds, step_seconds: VecDeque::new(), joules: Some(0.0), stopped: 0.0, apart: true };
        let (energy, pauses) = (Energy::new(energy), Pauses::watch());
        Self { booked, phase: Phase::Select, since: Instant::now(), energy, pauses, paused: Duration::ZERO }
    }

    /// Starts counting energy. What was used before does not belong to the run.
    pub(crate) fn begin(&mut self) {
        self.energy.discard();
        self.energy.read(&mut self.booked.joules, true);
    }

    /// Books the time and energy up to now.
    pub(crate) fn end(&mut self) {
        self.enter(Phase::Checkpoint);
        self.energy.read(&mut self.booked.joules, true);
    }

    /// Books the time since the last call on the current phase, less that in which the process did not run, and enters
    /// `phase`.
    pub(crate) fn enter(&mut self, phase: Phase) {
        let (now, paused) = (Instant::now(), self.pauses.total());
        let stopped = (paused - self.paused).as_secs_f64();
        self.booked.seconds[self.phase as usize] += ((now - self.since).as_secs_f64() - stopped).max(0.0);
        if stopped > 0.0 {
            self.booked.stopped += stopped;
            // What other programs used meanwhile cannot be told apart from what the run used before.
            self.energy.give_up(format!("the process was stopped for {:.0} s", self.booked.stopped));
        }
        self.paused = paused;
        match (self.phase, phase) {
            (Phase::Eval, Phase::Eval) => {}
            (_, Phase::Eval) => self.energy.read(&mut self.booked.joules, true),
            (Phase::Eval, _) => self.energy.discard(),
            _ => self.energy.read(&mut self.booked.joules, false),
        }
        (self.phase, self.since) = (phase, now);
    }

    /// Seconds booked on a phase.
    #[must_use]
    pub fn seconds(&self, phase: Phase) -> f64 {
        self.booked.seconds[phase as usize]
    }

    /// Seconds of all phases.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.booked.seconds.iter().sum()
    }

    /// Seconds of the phases that a step of dense training has as well.
    #[must_use]
    pub fn step_clock(&self) -> f64 {
        [Phase::Data, Phase::Train, Phase::Optimizer].map(|phase| self.seconds(phase)).iter().sum()
    }

    /// Seconds of all phases except evaluation and checkpoints, and except scoring unless `charged`.
    #[must_use]
    pub fn training_seconds(&self, charged: bool) -> f64 {
        let counts = |phase: &Phase| match phase {
            Phase::Eval | Phase::Checkpoint => false,
            Phase::Score => charged,
            _ => true,
        };
        Phase::ALL.into_iter().filter(counts).map(|phase| self.seconds(phase)).sum()
    }

    /// Seconds in which the process did not run. They are in no phase.
    #[must_use]
    pub fn stopped(&self) -> f64 {
        self.booked.stopped
    }

    /// Notes that the phases of a step are not timed apart.
    pub(crate) fn merge_phases(&mut self) {
        self.booked.apart = false;
    }

    /// Ends a step on a full batch that started when [`step_clock`](Self::step_clock) was `begin`.
    pub(crate) fn stepped(&mut self, begin: f64) {
        let now = self.step_clock();
        self.booked.step_seconds.push_back(now - begin);
        if self.booked.step_seconds.len() > MOST_STEPS {
            self.booked.step_seconds.pop_front();
        }
    }

    /// Median seconds of the last 4,096 full-batch steps; `None` before the first.
    #[must_use]
    pub fn median_step(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.booked.step_seconds.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied()
    }

    /// Joules of every phase except evaluation; `None` if any part was not measured.
    #[must_use]
    pub fn joules(&self) -> Option<f64> {
        self.booked.joules
    }

    /// Name of the energy counter, or why there is none.
    pub(crate) fn method(&self) -> Result<String, String> {
        self.energy.method()
    }

    pub(crate) fn booked(&self) -> &Booked {
        &self.booked
    }

    /// Restores what was booked before the run was interrupted.
    pub(crate) fn put_back(&mut self, booked: Booked) {
        self.enter(Phase::Select);
        self.booked = booked;
    }
}

/// Reads an energy counter and adds what was used to the run, or discards it.
pub(crate) struct Energy {
    counter: Result<Box<dyn EnergyCounter>, String>,
    last: Option<f64>,
    read_at: Instant,
}

impl Energy {
    /// With a counter, or the reason why there is none.
    pub(crate) fn new(counter: Result<Box<dyn EnergyCounter>, String>) -> Self {
        Self { counter, last: None, read_at: Instant::now() }
    }

    /// Adds the energy used since the last reading to `joules`; the first reading adds nothing. Reads at most once per
    /// second unless `exact`. Without a counter, `joules` becomes `None` for good, because a part is not the whole.
    pub(crate) fn read(&mut self, joules: &mut Option<f64>, exact: bool) {
        if self.last.is_some() && !exact && self.read_at.elapsed() < EVERY {
            return;
        }
        let used = self.used();
        *joules = joules.zip(used).map(|(before, used)| before + used);
    }

    /// Stops counting, for this reason.
    pub(crate) fn give_up(&mut self, reason: String) {
        self.counter = Err(reason);
    }

    /// Discards the energy used since the last reading.
    pub(crate) fn discard(&mut self) {
        self.used();
    }

    /// Joules since the last reading.
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

    /// Name of the energy counter, or why there is none.
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

    /// 7 joules before the evaluation and 1.5 after it. What the evaluation used is discarded.
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

    /// A counter that returns the given numbers, then fails.
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
    fn energy_between_two_readings_is_added_or_discarded() {
        let mut energy = Energy::new(Ok(Box::new(Numbers(vec![100.0, 107.0, 110.0, 111.5]))));
        let mut joules = Some(0.0);
        energy.read(&mut joules, false);
        assert_eq!(joules, Some(0.0));
        energy.read(&mut joules, true);
        assert_eq!(joules, Some(7.0));
        energy.read(&mut joules, false);
        assert_eq!(joules, Some(7.0), "less than a second has passed");
        energy.discard();
        energy.read(&mut joules, true);
        assert_eq!((joules, energy.method()), (Some(8.5), Ok("numbers".into())));
        energy.read(&mut joules, true);
        assert_eq!((joules, energy.method()), (None, Err("numbers stopped answering: no more".into())));
    }
}
