//! What becomes of the events and snapshots of a run: onto the screen, into the folder, into the picture.

use std::io;
use std::time::{Duration, Instant};

use ast_core::{
    CheckpointConfig, CheckpointError, Checkpoints, Event, Model, Observer, Snapshot, SnapshotError, TrainError,
    Trainer, Wish,
};

use crate::args::Progress;
use crate::failure::{Failure, Kind};
use crate::output::note;
use crate::progress::ProgressView;
use crate::run_folder::RunFolder;
use crate::signals::Signals;

pub(crate) struct Log {
    pub(crate) folder: RunFolder,
    pub(crate) progress: ProgressView,
    pub(crate) events: Vec<Event>,
    signals: Signals,
    config: CheckpointConfig,
    checkpoints: Checkpoints,
    /// Fingerprint of the training data.
    data: String,
    saved_step: u64,
    saved_at: Instant,
}

impl Log {
    pub(crate) fn new(
        folder: RunFolder,
        progress: Progress,
        signals: Signals,
        config: CheckpointConfig,
        data: &str,
    ) -> Self {
        Self {
            progress: ProgressView::new(progress),
            events: Vec::new(),
            signals,
            config,
            checkpoints: Checkpoints::new(folder.path().join("checkpoints"), config.keep),
            data: data.to_string(),
            saved_step: 0,
            saved_at: Instant::now(),
            folder,
        }
    }

    /// Puts the trainer where the last good checkpoint was taken; `false` if there is none, and it starts over.
    pub(crate) fn go_on<M: Model>(&mut self, trainer: &mut Trainer<M>) -> Result<bool, Failure> {
        let (data, length) = (self.data.clone(), self.folder.metrics_length());
        let found = self.checkpoints.latest(|manifest| {
            if manifest.data != data {
                return Err("it is of other training data".into());
            }
            if manifest.metrics > length {
                return Err(format!("metrics.jsonl has {length} bytes, it was written at {}", manifest.metrics));
            }
            Ok(())
        });
        let found = found.map_err(|error| Failure::new(Kind::Io, error.to_string()))?;
        for refused in found.refused {
            note(&format!("warning: checkpoint passed over: {refused}"));
        }
        let Some((manifest, snapshot)) = found.latest else {
            note("no checkpoint to go on from: starting over");
            self.folder.rewind(0)?;
            return Ok(false);
        };
        self.events = self.folder.rewind(manifest.metrics)?;
        trainer.restore(&snapshot).map_err(|error| Failure::new(Kind::Data, error.to_string()))?;
        for event in self.events.iter().filter(|event| matches!(event, Event::Started { .. })) {
            self.progress.event(event);
        }
        self.saved_step = snapshot.step;
        let cannot = |error: io::Error| Failure::new(Kind::Io, format!("cannot write the log: {error}"));
        self.event(&Event::Resumed { step: snapshot.step }).map_err(cannot)?;
        Ok(true)
    }

    /// Why the run ended before its end.
    pub(crate) fn stopped(&self) -> Failure {
        let (step, run) = (self.saved_step, self.folder.path().display());
        let kind = self.signals.stop().unwrap_or(Kind::Interrupt);
        Failure::new(kind, format!("stopped after step {step}, saved; go on with `ast train --resume {run}`"))
    }
}

impl Observer for Log {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.progress.event(event);
        self.events.push(event.clone());
        self.folder.log(event)
    }

    fn wish(&mut self, step: u64) -> Wish {
        let CheckpointConfig { every_steps, every_minutes, .. } = self.config;
        let by_steps = every_steps > 0 && step.is_multiple_of(every_steps) && step > self.saved_step;
        let by_time = every_minutes > 0.0 && self.saved_at.elapsed() >= Duration::from_secs_f64(60.0 * every_minutes);
        match self.signals.stop() {
            Some(_) => Wish::Stop,
            None if self.signals.save() || by_steps || by_time => Wish::Save,
            None => Wish::Continue,
        }
    }

    fn save(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        // A checkpoint names the length of the log, which must be on the disk before it.
        self.folder.sync()?;
        let saved = self.checkpoints.save(snapshot, self.folder.metrics_length(), &self.data);
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
