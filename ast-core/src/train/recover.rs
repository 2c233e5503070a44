//! Snapshots of a run, restoring them, and recovery from a NaN.

use super::Trainer;
use super::clock::Phase;
use super::error::TrainError;
use super::state::State;
use crate::codec::{SnapshotError, decode, encode};
use crate::data::Request;
use crate::model::Model;
use crate::run::{Event, NotFinite, OnNan, Snapshot};
use crate::select::Batch;

/// Number of rollbacks to the same snapshot before the run is aborted. Each one halves the learning rate again.
const MOST_ROLLBACKS: u32 = 5;

impl<M: Model> Trainer<M> {
    /// Takes a snapshot. A trainer restored from it continues to the same bits on the CPU.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn snapshot(&self) -> Result<Snapshot, SnapshotError> {
        let (weights, optimizer) = self.learner.save()?;
        Ok(Snapshot {
            step: self.counts().steps,
            weights,
            optimizer,
            selector: self.selector.save()?,
            state: encode("state", &State { clock: self.clock.booked().clone(), ..self.state.clone() })?,
            auxiliary: self.auxiliary.save()?,
            lookahead: self.learner.save_average(&self.lookahead)?,
        })
    }

    /// Restores a snapshot, in a trainer that was built from the same parts.
    ///
    /// # Errors
    /// [`SnapshotError`]; the trainer must not be used afterwards.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TrainError> {
        let state: State = decode("state", &snapshot.state)?;
        self.selector.restore(&snapshot.selector)?;
        self.learner.restore(&snapshot.weights, &snapshot.optimizer)?;
        self.lookahead = self.learner.restore_average(&snapshot.lookahead)?;
        let (model, device) = (&self.learner.model, &self.learner.device);
        self.auxiliary.restore(&snapshot.auxiliary, model, self.random, device)?;
        self.train.clear(); // discards batches in flight
        self.clock.put_back(state.clock.clone());
        self.told_stopped = self.clock.stopped();
        self.state = state;
        let requests: Vec<Request> = self.selector.in_flight().iter().map(|batch| self.request(batch)).collect();
        requests.into_iter().for_each(|request| self.train.request(request));
        Ok(())
    }

    /// Handles a step that gave a NaN or infinite value: aborts, skips it or rolls back.
    pub(super) fn recover(&mut self, batch: Batch, what: NotFinite) -> Result<Vec<Event>, TrainError> {
        self.clock.enter(Phase::Select);
        let (step, epoch) = (self.counts().steps + 1, self.epochs(batch.offered()));
        self.selector.skip(batch)?;
        match self.config.on_nan {
            OnNan::Skip => Ok(vec![Event::Skipped { step, epoch, reason: what.to_string() }]),
            OnNan::Rollback if self.rollbacks < MOST_ROLLBACKS => self.roll_back(step, what),
            OnNan::Rollback | OnNan::Abort => Err(TrainError::NotFinite { step, what }),
        }
    }

    fn roll_back(&mut self, step: u64, what: NotFinite) -> Result<Vec<Event>, TrainError> {
        let Some(last) = self.last.take() else { return Err(TrainError::NotFinite { step, what }) };
        let (abandoned, clock) = (*self.counts(), self.clock.booked().clone());
        let (evaluated, reads) = (self.state.evaluated, self.state.reads);
        self.restore(&last)?;
        // A rollback refunds nothing.
        self.selector.abandon(&abandoned);
        self.clock.put_back(clock);
        (self.state.evaluated, self.state.reads) = (evaluated, reads);
        self.rollbacks += 1;
        self.state.lr_scale *= 0.5_f64.powi(self.rollbacks as i32);
        let (to, lr_scale) = (last.step, self.state.lr_scale);
        self.last = Some(last);
        Ok(vec![Event::RolledBack { step, to, lr_scale, reason: what.to_string() }])
    }

    /// Keeps `snapshot`, or a new one, for rollbacks, if they are enabled.
    pub(super) fn keep(&mut self, snapshot: Option<Snapshot>) -> Result<(), TrainError> {
        if self.config.on_nan == OnNan::Rollback {
            self.last = Some(snapshot.map_or_else(|| self.snapshot(), Ok)?);
            self.rollbacks = 0;
        }
        Ok(())
    }
}
