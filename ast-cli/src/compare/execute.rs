//! Makes the runs that are not finished, and records which of them shared the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use ast_core::run::Summary;
use indicatif::{MultiProgress, ProgressDrawTarget};

use super::plan::Run;
use crate::args::Shard;
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::progress::ProgressView;
use crate::report::outcome;
use crate::run_folder::{clear, summary_of, write};
use crate::signals::Signals;
use crate::train::{self, Finished, RunTarget, Wanted};

/// Makes the unfinished runs in order, `jobs` at a time, or those of a part of them. Returns all summaries in the same
/// order; `None` if only runs of other parts are missing.
pub(super) fn execute(
    runs: &[Run<'_>],
    shard: Option<Shard>,
    jobs: usize,
    signals: &Signals,
) -> Result<Option<Vec<Summary>>, Failure> {
    let is_ours = |place: usize| shard.is_none_or(|shard| shard.has(place));
    let ours = || runs.iter().enumerate().filter(|(place, _)| is_ours(*place)).map(|(_, run)| run);
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let to_do = ours().filter(|run| !run.is_finished()).count();
    let work_left = || ours().filter(|run| !run.is_finished()).map(|run| run.share).sum::<f64>();
    let (begin, work) = (Instant::now(), work_left());
    // Another process that works on the same comparison is noticed when it has a run locked.
    let beside = AtomicBool::new(jobs.min(to_do) > 1);
    let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(run) = runs.get(place) else { return };
            if run.is_finished() || !is_ours(place) {
                continue;
            }
            let name = format!("{}/{}  {} seed {}", place + 1, runs.len(), run.arm.name, run.seed);
            let view = ProgressView::among(&bars, &name);
            match run.execute(beside.load(Ordering::Relaxed), signals.clone(), view) {
                Ok(Finished { summary, .. }) => {
                    let (left, seconds) = (work_left(), begin.elapsed().as_secs_f64());
                    let seconds = seconds * left / (work - left);
                    let left = match (left > 0.0, seconds < 60.0) {
                        (false, _) => String::new(),
                        (_, true) => "; less than a minute left".into(),
                        _ => format!("; about {:.0} min left", (seconds / 60.0).ceil()),
                    };
                    let line = format!("{name}: {} in {:.0} s{left}", outcome(&summary), summary.seconds.total);
                    bars.suspend(|| note(&line));
                }
                Err(failure) if failure.kind == Kind::TryAgain => {
                    bars.suspend(|| note(&format!("{failure}: skipped")));
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
            let message = format!("{failure}\nrun the same command again to continue");
            Err(Failure::new(failure.kind, message))
        }
        Some(failure) => Err(failure),
        None if ours().all(Run::is_finished) && !runs.iter().all(Run::is_finished) => Ok(None),
        None if ours().any(|run| !run.is_finished()) => Err(Failure::new(
            Kind::TryAgain,
            "another process is making some of the runs; run the same command again when they are finished",
        )),
        None => runs.iter().map(|run| summary_of(&run.folder)).collect::<Result<_, _>>().map(Some),
    }
}

impl Run<'_> {
    fn execute(&self, beside: bool, signals: Signals, view: ProgressView) -> Result<Finished, Failure> {
        let finished = self.make(beside, signals, view);
        if finished.as_ref().is_err_and(|failure| failure.kind == Kind::TryAgain) {
            write(&mark(&self.folder), b"")?;
        }
        finished
    }

    /// Starts the run, or resumes it.
    fn make(&self, beside: bool, signals: Signals, view: ProgressView) -> Result<Finished, Failure> {
        let of_arm =
            |failure: Failure| Failure::new(failure.kind, format!("{} seed {}: {failure}", self.arm.name, self.seed));
        let resolved = self.resolve().map_err(of_arm)?;
        let stopped = self.is_begun();
        let place = if stopped {
            RunTarget::Stopped { run: &self.folder, other_data: false }
        } else {
            clear(&self.folder)?;
            RunTarget::New(Some(&self.folder))
        };
        // The time before an interruption still counts in the run's seconds.
        if beside {
            write(&mark(&self.folder), b"")?;
        } else if !stopped {
            let _ = fs::remove_file(mark(&self.folder));
        }
        train::run(resolved, place, view, signals, Wanted::default()).map_err(of_arm)
    }

    /// Whether other runs shared the machine. Seconds and joules are then not only this run's.
    pub(super) fn was_shared(&self) -> bool {
        was_shared(&self.folder)
    }
}

/// A file beside a run's folder that marks the run as shared.
fn mark(folder: &Path) -> PathBuf {
    folder.with_extension("shared")
}

/// Whether other runs shared the machine with the run in a folder, as far as `ast compare` made it.
pub(super) fn was_shared(folder: &Path) -> bool {
    mark(folder).is_file()
}
