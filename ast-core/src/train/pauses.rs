//! Time in which the process does not run: stopped by Ctrl-Z or SIGSTOP, frozen, or on a suspended machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Interval at which a thread shows that the process runs.
const EVERY: Duration = Duration::from_millis(200);
/// A shorter time without a sign is the scheduler's: a process with more threads than cores may be late.
const SHORTEST: Duration = Duration::from_secs(2);

/// Measures how long the process did not run. A thread gives a sign of life a few times a second; a long time without one is
/// a pause.
pub(super) struct Pauses(Arc<Signs>);

struct Signs {
    begin: Instant,
    /// Nanoseconds from `begin` to the last sign.
    last: AtomicU64,
    /// Nanoseconds of all pauses.
    paused: AtomicU64,
}

impl Pauses {
    /// Starts the thread, which ends with the last use. Without one, nothing is a pause.
    pub(super) fn watch() -> Self {
        let signs = Arc::new(Signs { begin: Instant::now(), last: AtomicU64::new(0), paused: AtomicU64::new(0) });
        let watched = Arc::downgrade(&signs);
        let watching = thread::Builder::new().name("pauses".into()).spawn(move || {
            while let Some(signs) = watched.upgrade() {
                signs.sign();
                drop(signs);
                thread::sleep(EVERY);
            }
        });
        if watching.is_err() {
            signs.last.store(u64::MAX, Ordering::Relaxed);
        }
        Self(signs)
    }

    /// All pauses until now.
    pub(super) fn total(&self) -> Duration {
        // Whoever comes first after a pause counts it, this call or the thread.
        self.0.sign();
        Duration::from_nanos(self.0.paused.load(Ordering::Acquire))
    }
}

impl Signs {
    fn sign(&self) {
        let now = self.begin.elapsed().as_nanos() as u64;
        let last = self.last.fetch_max(now, Ordering::AcqRel);
        let without = now.saturating_sub(last);
        if u128::from(without) >= SHORTEST.as_nanos() {
            self.paused.fetch_add(without, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last sign is put back in time, as if the process had been stopped since.
    #[test]
    fn a_long_time_without_a_sign_is_counted_once() {
        let begin = Instant::now().checked_sub(Duration::from_secs(100)).unwrap();
        let at = |seconds: u64| AtomicU64::new(Duration::from_secs(seconds).as_nanos() as u64);
        let pauses = Pauses(Arc::new(Signs { begin, last: at(88), paused: at(3) }));
        let total = pauses.total().as_secs_f64();
        assert!((15.0..15.5).contains(&total), "three seconds and twelve: {total}");
        assert_eq!(pauses.total().as_secs_f64(), total, "not again");
        let short = Pauses(Arc::new(Signs { begin, last: at(99), paused: at(0) }));
        assert_eq!(short.total(), Duration::ZERO, "a second may be the scheduler's");
    }

    #[test]
    fn a_process_that_runs_has_none() {
        let pauses = Pauses::watch();
        thread::sleep(Duration::from_millis(500));
        assert_eq!(pauses.total(), Duration::ZERO);
    }
}
