//! Makes the runs that are not finished, and notes which of them shared the machine.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ast_core::run::Summary;

use super::plan::Run;
use crate::args::Progress;
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::run_folder::{clear, write};
use crate::signals::Signals;
use crate::train::{self, Finished, RunTarget, summary_of};

/// Runs what is not finished, `jobs` at a time, in order; the summaries in the same order.
pub(super) fn execute(runs: &[Run<'_>], jobs: usize, signals: &Signals) -> Result<Vec<Summary>, Failure> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let to_do = runs.iter().filter(|run| !run.is_finished()).count();
    // Another process at the same comparison is met where it has a run in hand.
    let beside = AtomicBool::new(jobs.min(to_do) > 1);
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = runs.get(place) else { return };
            if run.is_finished() {
                continue;
            }
            match run.execute(beside.load(Ordering::Relaxed), signals.clone()) {
                Ok(Finished { summary, .. }) => note(&format!(
                    "{}/{}  {} seed {}: {:.2} % in {:.0} s",
                    place + 1,
                    runs.len(),
                    run.arm.name,
                    run.seed,
                    summary.accuracy.last,
                    summary.seconds.total
                )),
                Err(failure) if failure.kind == Kind::TryAgain => {
                    note(&format!("{failure}: passed over"));
                    beside.store(true, Ordering::Relaxed);
                }
                Err(failure) => {
                    // The others come to the end of their run, or have got the same signal.
                    next.store(runs.len(), Ordering::Relaxed);
                    failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(failure);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        (1..jobs).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    match failed.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
        Some(failure) if failure.kind.is_wanted() => {
            let message = format!("{failure}\nthe same `ast compare` goes on from there");
            Err(Failure::new(failure.kind, message))
        }
        Some(failure) => Err(failure),
        None if runs.iter().any(|run| !run.is_finished()) => Err(Failure::new(
            Kind::TryAgain,
            "some runs are in the hands of another process; the same `ast compare` reads them when they are done",
        )),
        None => runs.iter().map(|run| summary_of(&run.folder)).collect(),
    }
}

impl Run<'_> {
    fn execute(&self, beside: bool, signals: Signals) -> Result<Finished, Failure> {
        let finished = self.make(beside, signals);
        if finished.as_ref().is_err_and(|failure| failure.kind == Kind::TryAgain) {
            write(&self.mark(), b"")?;
        }
        finished
    }

    /// From the beginning, or from where it was stopped.
    fn make(&self, beside: bool, signals: Signals) -> Result<Finished, Failure> {
        let of_arm =
            |failure: Failure| Failure::new(failure.kind, format!("{} seed {}: {failure}", self.arm.name, self.seed));
        let resolved = self.resolve().map_err(of_arm)?;
        let stopped = self.is_begun();
        let place = if stopped {
            RunTarget::Stopped(&self.folder)
        } else {
            clear(&self.folder)?;
            RunTarget::New(Some(&self.folder))
        };
        // What went before a stop stays in its seconds.
        if beside {
            write(&self.mark(), b"")?;
        } else if !stopped {
            let _ = fs::remove_file(self.mark());
        }
        train::run(resolved, place, Progress::None, signals).map_err(of_arm)
    }

    /// Whether other runs were made while it was: its seconds and joules are not its own.
    pub(super) fn was_shared(&self) -> bool {
        self.mark().is_file()
    }

    /// Stands beside the run's folder and says that.
    fn mark(&self) -> PathBuf {
        self.folder.with_extension("shared")
    }
}
