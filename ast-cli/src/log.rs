//! Receives the events and snapshots of a run: prints them, writes them to the folder and keeps them for the picture.

use std::io;
use std::time::Instant;

use ast_core::codec::SnapshotError;
use ast_core::run::{CheckpointConfig, CheckpointError, Checkpoints, Event, Fingerprint, RunIdentity, Snapshot};
use ast_core::train::{Activity, Callback, Flow, SavedSoFar, TrainError};

use crate::failure::{Failure, Kind};
use crate::progress::ProgressView;
use crate::resume::Point;
use crate::run_folder::RunFolder;
use crate::shell::quoted;
use crate::signals::Signals;
use crate::tensorboard::EventFile;

pub(crate) struct Log {
    pub(crate) folder: RunFolder,
    pub(crate) progress: ProgressView,
    pub(crate) events: Vec<Event>,
    pub(crate) tensorboard: Option<EventFile>,
    signals: Signals,
    config: CheckpointConfig,
    checkpoints: Checkpoints,
    /// Identity of the run, without the log's length and checksum.
    identity: RunIdentity,
    saved_step: u64,
    saved_at: Instant,
}

impl Log {
    pub(crate) fn new(
        folder: RunFolder,
        checkpoints: Checkpoints,
        progress: ProgressView,
        signals: Signals,
        config: CheckpointConfig,
        identity: RunIdentity,
    ) -> Self {
        Self {
            progress,
            events: Vec::new(),
            tensorboard: None,
            signals,
            config,
            checkpoints,
            identity,
            saved_step: 0,
            saved_at: Instant::now(),
            folder,
        }
    }

    /// Takes over the log of a resumed run, and logs its gap, if there is one, and the resume.
    pub(crate) fn go_on(&mut self, point: Point, resumed: &Event) -> Result<(), Failure> {
        let Point { snapshot, events, gap, .. } = point;
        (self.events, self.saved_step) = (events, snapshot.step);
        let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot write the log: {error}"));
        gap.iter().chain([resumed]).try_for_each(|event| self.event(event)).map_err(cannot)
    }

    /// The failure of a run that was stopped by a signal.
    pub(crate) fn stopped(&self) -> Failure {
        let (step, run) = (self.saved_step, quoted(self.folder.path()));
        let kind = self.signals.stop().unwrap_or(Kind::Interrupt);
        Failure::new(kind, format!("stopped after step {step}, saved; go on with `ast train --resume {run}`"))
    }
}

impl Callback for Log {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.progress.event(event);
        if let Some(file) = &mut self.tensorboard {
            file.write(event)?;
        }
        self.events.push(event.clone());
        self.folder.log(event)
    }

    fn saved(&mut self, saved: &dyn Fn() -> SavedSoFar) {
        self.progress.saved(saved);
    }

    fn begins(&mut self, activity: Activity) {
        self.progress.begins(activity);
    }

    fn flow(&mut self, step: u64) -> Flow {
        let CheckpointConfig { every_steps, every_minutes, .. } = self.config;
        let by_steps = every_steps > 0 && step.is_multiple_of(every_steps) && step > self.saved_step;
        let by_time = every_minutes > 0.0 && self.saved_at.elapsed().as_secs_f64() >= 60.0 * every_minutes;
        match self.signals.stop() {
            Some(_) => Flow::Stop,
            None if self.signals.save() || by_steps || by_time => Flow::Checkpoint,
            None => Flow::Continue,
        }
    }

    fn save(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        // A checkpoint records the length of the log, so the log must be on the disk first.
        self.folder.sync()?;
        let Fingerprint { bytes, sha256 } = self.folder.log_fingerprint();
        let run = RunIdentity { metrics: bytes, metrics_sha256: sha256, ..self.identity.clone() };
        let saved = self.checkpoints.save(snapshot, &run);
        (self.saved_step, self.saved_at) = (snapshot.step, Instant::now());
        saved.map_err(|error| match error {
            CheckpointError::Io { path, source } => {
                io::Error::new(source.kind(), format!("{}: {source}", path.display()))
            }
            error => io::Error::other(error.to_string()),
        })
    }

    fn best(&mut self, weights: &dyn Fn() -> Result<Vec<u8>, SnapshotError>) -> Result<(), TrainError> {
        let written = self.folder.write("best.safetensors", &weights()?);
        Ok(written.map_err(|failure| io::Error::other(failure.to_string()))?)
    }
}
