//! Makes the runs that are not finished, and records which of them shared the machine.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ast_core::run::Summary;

use super::plan::Run;
use crate::args::Progress;
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::report::outcome;
use crate::run_folder::{clear, write};
use crate::signals::Signals;
use crate::train::{self, Finished, RunTarget, summary_of};

/// Makes the unfinished runs in order, `jobs` at a time. Returns all summaries in the same order.
pub(super) fn execute(runs: &[Run<'_>], jobs: usize, signals: &Signals) -> Result<Vec<Summary>, Failure> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let to_do = runs.iter().filter(|run| !run.is_finished()).count();
    // Another process that works on the same comparison is noticed when it has a run locked.
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
                    "{}/{}  {} seed {}: {} in {:.0} s",
                    place + 1,
                    runs.len(),
                    run.arm.name,
                    run.seed,
                    outcome(&summary),
                    summary.seconds.total
                )),
                Err(failure) if failure.kind == Kind::TryAgain => {
                    note(&format!("{failure}: skipped"));
                    beside.store(true, Ordering::Relaxed);
                }
                Err(failure) => {
                    // The other jobs finish their run, or have received the same signal.
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
            let message = format!("{failure}\nrun the same `ast compare` again to continue");
            Err(Failure::new(failure.kind, message))
        }
        Some(failure) => Err(failure),
        None if runs.iter().any(|run| !run.is_finished()) => Err(Failure::new(
            Kind::TryAgain,
            "another process is making some of the runs; run the same `ast compare` again when they are finished",
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

    /// Starts the run, or resumes it.
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
        // The time before an interruption still counts in the run's seconds.
        if beside {
            write(&self.mark(), b"")?;
        } else if !stopped {
            let _ = fs::remove_file(self.mark());
        }
        train::run(resolved, place, Progress::None, signals).map_err(of_arm)
    }

    /// Whether other runs shared the machine. Seconds and joules are then not only this run's.
    pub(super) fn was_shared(&self) -> bool {
        self.mark().is_file()
    }

    /// A file beside the run's folder that marks the run as shared.
    fn mark(&self) -> PathBuf {
        self.folder.with_extension("shared")
    }
}
