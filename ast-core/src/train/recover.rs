//! How a run is saved, put back, and sent back to where it was sound.

use super::Trainer;
use super::clock::Phase;
use super::error::TrainError;
use super::state::State;
use crate::codec::{SnapshotError, decode, encode};
use crate::data::Request;
use crate::model::Model;
use crate::run::{Event, NotFinite, OnNan, Snapshot};
use crate::select::Batch;

/// How often a run goes back to the same snapshot: what half the learning rate does not heal five times over, it will
/// not.
const MOST_ROLLBACKS: u32 = 5;

impl<M: Model> Trainer<M> {
    /// What it takes to go on from here, to the same bits on the CPU.
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
        })
    }

    /// Goes to where `snapshot` was taken, by a trainer of the same parts.
    ///
    /// # Errors
    /// [`SnapshotError`]; the trainer is then of no use any more.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TrainError> {
        let state: State = decode("state", &snapshot.state)?;
        self.selector.restore(&snapshot.selector)?;
        self.learner.restore(&snapshot.weights, &snapshot.optimizer)?;
        let (model, device) = (&self.learner.model, &self.learner.device);
        self.auxiliary.restore(&snapshot.auxiliary, model, self.random, device)?;
        while self.train.receive()?.is_some() {} // batches that nobody wants any more
        self.clock.put_back(state.clock.clone());
        self.state = state;
        let requests: Vec<Request> = self.selector.in_flight().iter().map(|batch| self.request(batch)).collect();
        requests.into_iter().for_each(|request| self.train.request(request));
        Ok(())
    }

    /// What is done about a step that gave a NaN or an infinity, and was not made.
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
        let (abandoned, clock, evaluated) = (*self.counts(), self.clock.booked().clone(), self.state.evaluated);
        self.restore(&last)?;
        // Going back gives nothing back.
        self.selector.abandon(&abandoned);
        self.clock.put_back(clock);
        self.state.evaluated = evaluated;
        self.rollbacks += 1;
        self.state.lr_scale *= 0.5_f64.powi(self.rollbacks as i32);
        let (to, lr_scale) = (last.step, self.state.lr_scale);
        self.last = Some(last);
        Ok(vec![Event::RolledBack { step, to, lr_scale, reason: what.to_string() }])
    }

    /// Keeps a snapshot, or one of now, to go back to, if that is ever done.
    pub(super) fn keep(&mut self, snapshot: Option<Snapshot>) -> Result<(), TrainError> {
        if self.config.on_nan == OnNan::Rollback {
            self.last = Some(snapshot.map_or_else(|| self.snapshot(), Ok)?);
            self.rollbacks = 0;
        }
        Ok(())
    }
}
