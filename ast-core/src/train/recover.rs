//! How a run is saved, put back, and sent back to where it was sound.

use burn::store::{ModuleRecord, RecordError};

use super::Trainer;
use crate::codec::{SnapshotError, decode, encode};
use crate::data::dataset::Request;
use crate::model::network::{Model, burn_bytes};
use crate::optim::adam::optimizer;
use crate::run::config::OnNan;
use crate::run::event::Event;
use crate::run::snapshot::{Snapshot, State};
use crate::train::auxiliary::SmallNetworks;
use crate::train::error::TrainError;

/// How often a run goes back to the same snapshot: what half the learning rate does not heal five times over, it will
/// not.
const MOST_ROLLBACKS: u32 = 5;

impl<M: Model> Trainer<M> {
    /// What it takes to go on from here, to the same bits on the CPU.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub fn snapshot(&self) -> Result<Snapshot, SnapshotError> {
        let failed = |part| move |error: RecordError| SnapshotError::Encode(part, error.to_string());
        Ok(Snapshot {
            step: self.state.meter.steps,
            weights: self.model.clone().into_record().into_bytes().map_err(failed("weights"))?.to_vec(),
            optimizer: self.optimizer.into_bytes().map_err(failed("optimizer"))?.to_vec(),
            policy: self.policy.save()?,
            state: encode("state", &self.state)?,
            small: self.small.save()?,
        })
    }

    /// Goes to where `snapshot` was taken, by a trainer of the same parts.
    ///
    /// # Errors
    /// [`SnapshotError`]; the trainer is then of no use any more.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TrainError> {
        let failed = |part| move |error: RecordError| SnapshotError::Decode(part, error.to_string());
        let mut state: State = decode("state", &snapshot.state)?;
        state.ledger.migrate();
        let (expected, found) = (self.state.ledger.samples(), state.ledger.samples());
        if found != expected {
            return Err(SnapshotError::Samples { expected, found }.into());
        }
        let record = ModuleRecord::from_bytes(burn_bytes(&snapshot.weights)).map_err(failed("weights"))?;
        self.model = self.model.clone().try_load_record(record).map_err(failed("weights"))?;
        self.optimizer = optimizer().from_bytes(burn_bytes(&snapshot.optimizer)).map_err(failed("optimizer"))?;
        self.small = SmallNetworks::restore(&snapshot.small, &self.model, self.random, &self.device)?;
        self.policy.restore(&snapshot.policy)?;
        while self.train.receive()?.is_some() {} // batches that nobody wants any more
        self.state = state;
        let requests: Vec<Request> = self.state.loading.iter().map(|batch| self.request(&batch.accepted)).collect();
        requests.into_iter().for_each(|request| self.train.request(request));
        Ok(())
    }

    /// [`advance`](Self::advance), or back to the last snapshot if that is what is to be done about a NaN.
    pub(super) fn advance_or_roll_back(&mut self) -> Result<Option<Event>, TrainError> {
        let (step, what) = match self.advance() {
            Err(TrainError::NotFinite { step, what }) if self.rollbacks < MOST_ROLLBACKS => (step, what),
            outcome => return outcome,
        };
        let Some(last) = self.last.take() else { return Err(TrainError::NotFinite { step, what }) };
        let abandoned = self.state.meter.clone();
        self.restore(&last)?;
        self.state.accepted += self.state.meter.abandon(&abandoned);
        self.rollbacks += 1;
        self.state.lr_scale *= 0.5_f64.powi(self.rollbacks as i32);
        let (to, lr_scale) = (last.step, self.state.lr_scale);
        self.last = Some(last);
        Ok(Some(Event::RolledBack { step, to, lr_scale, reason: what.to_string() }))
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
