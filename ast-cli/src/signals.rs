//! What the system asks of a run: the first INT, TERM or HUP saves and stops, the second stops at once, USR1 saves.

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
    /// From here on the system's wishes are noted instead of being carried out.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = Self { stop: Arc::default(), save: Arc::default() };
        let second = Arc::new(AtomicBool::new(false));
        let ignored = ignored();
        // Whoever starts a run with `nohup`, or in the background of a script, has said that it is not to stop.
        for (signal, kind) in STOPPING.into_iter().filter(|(signal, _)| ignored >> (signal - 1) & 1 == 0) {
            flag::register_conditional_shutdown(signal, kind as i32, second.clone())?;
            flag::register(signal, second.clone())?;
            flag::register_usize(signal, signals.stop.clone(), kind as usize)?;
        }
        #[cfg(unix)]
        {
            flag::register(SIGUSR1, signals.save.clone())?;
            // A file that would grow past its limit is an error of the write, not the end of the process.
            flag::register(SIGXFSZ, Arc::default())?;
        }
        Ok(signals)
    }

    /// Whether the run is to stop, and what that will be called.
    pub(crate) fn stop(&self) -> Option<Kind> {
        let asked = self.stop.load(Ordering::Relaxed);
        STOPPING.into_iter().map(|(_, kind)| kind).find(|kind| *kind as usize == asked)
    }

    /// Whether the run is to be saved; asked once for each time that it was wished for.
    pub(crate) fn save(&self) -> bool {
        self.save.swap(false, Ordering::Relaxed)
    }
}

/// Signals that the process was started to ignore, bit by bit from signal 1. Unknown where there is no `/proc`.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
