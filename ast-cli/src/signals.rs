//! Signals: the first INT, TERM or HUP saves and stops, the second stops at once, USR1 saves.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::signal::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::failure::Kind;

#[cfg(unix)]
use signal_hook::consts::signal::{SIGHUP, SIGUSR1, SIGXFSZ};

#[cfg(unix)]
const STOPPING: [(i32, Kind); 3] = [(SIGHUP, Kind::HangUp), (SIGINT, Kind::Interrupt), (SIGTERM, Kind::Terminate)];
#[cfg(not(unix))]
const STOPPING: [(i32, Kind); 2] = [(SIGINT, Kind::Interrupt), (SIGTERM, Kind::Terminate)];

#[derive(Clone)]
pub(crate) struct Signals {
    stop: Arc<AtomicUsize>,
    save: Arc<AtomicBool>,
}

impl Signals {
    /// From here on the signals are recorded instead of ending the process.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = Self { stop: Arc::default(), save: Arc::default() };
        let second = Arc::new(AtomicBool::new(false));
        let ignored = ignored();
        // `nohup`, or a script that runs the program in the background, ignores some signals: the run must not react to
        // them.
        for (signal, kind) in STOPPING.into_iter().filter(|(signal, _)| ignored >> (signal - 1) & 1 == 0) {
            flag::register_conditional_shutdown(signal, kind as i32, second.clone())?;
            flag::register(signal, second.clone())?;
            flag::register_usize(signal, signals.stop.clone(), kind as usize)?;
        }
        #[cfg(unix)]
        {
            flag::register(SIGUSR1, signals.save.clone())?;
            // A file that would exceed its size limit then gives a write error instead of ending the process.
            flag::register(SIGXFSZ, Arc::default())?;
        }
        Ok(signals)
    }

    /// The stopping signal received, if any, as a kind of failure.
    pub(crate) fn stop(&self) -> Option<Kind> {
        let asked = self.stop.load(Ordering::Relaxed);
        STOPPING.into_iter().map(|(_, kind)| kind).find(|kind| *kind as usize == asked)
    }

    /// Whether a checkpoint was requested since the last call.
    pub(crate) fn save(&self) -> bool {
        self.save.swap(false, Ordering::Relaxed)
    }
}

/// The signals that the process was started to ignore, as bits from signal 1; none if there is no `/proc`.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
