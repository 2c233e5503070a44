//! The network, its optimizer and its device: one training step, in two halves.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Device, ExecutionError, Tensor, TensorData};

use super::feed::Uploaded;
use super::statistics::Passed;
use crate::codec::SnapshotError;
use crate::model::{Forward, Mode, Model, burn_bytes, cross_entropy};
use crate::optim::optimizer;
use crate::random::Stream;
use crate::select::Batch;

/// What is trained, and how.
pub(super) struct Learner<M> {
    pub(super) model: M,
    optimizer: ModuleOptimizer,
    /// With autodiff.
    pub(super) device: Device,
}

impl<M: Model> Learner<M> {
    /// A network on an autodiff device, with an optimizer that has seen nothing.
    pub(super) fn new(model: M, device: Device) -> Self {
        Self { model, optimizer: optimizer(), device }
    }

    /// Forward, in training mode, and backward. Nothing has changed yet.
    pub(super) fn gradients(
        &self,
        batch: &Batch,
        data: Uploaded,
        masks: &mut Stream,
    ) -> Result<(Passed, GradientsParams), ExecutionError> {
        let Uploaded { ids, input_deviation, input, targets } = data;
        let forward = self.model.forward(input, Mode::Train(masks));
        let losses = cross_entropy(forward.logits.clone(), targets.clone());
        let gradients = weighted_mean(losses.clone(), batch).backward();
        let gradients = GradientsParams::from_grads(gradients, &self.model);
        self.device.sync()?;
        let forward = Forward { logits: forward.logits.inner(), features: forward.features.inner() };
        let passed = Passed { ids, input_deviation, forward, targets: targets.inner(), loss: losses.inner() };
        Ok((passed, gradients))
    }

    /// The optimizer's update.
    pub(super) fn update(&mut self, lr: f64, gradients: GradientsParams) -> Result<(), ExecutionError> {
        self.model = self.optimizer.step(lr, self.model.clone(), gradients);
        self.device.sync()
    }

    /// The records of network and optimizer.
    pub(super) fn save(&self) -> Result<(Vec<u8>, Vec<u8>), SnapshotError> {
        let failed = |part| move |error: RecordError| SnapshotError::Encode(part, error.to_string());
        let weights = self.model.clone().into_record().into_bytes().map_err(failed("weights"))?.to_vec();
        Ok((weights, self.optimizer.into_bytes().map_err(failed("optimizer"))?.to_vec()))
    }

    /// Takes back what [`save`](Self::save) gave.
    pub(super) fn restore(&mut self, weights: &[u8], moments: &[u8]) -> Result<(), SnapshotError> {
        let failed = |part| move |error: RecordError| SnapshotError::Decode(part, error.to_string());
        let record = ModuleRecord::from_bytes(burn_bytes(weights)).map_err(failed("weights"))?;
        self.model = self.model.clone().try_load_record(record).map_err(failed("weights"))?;
        self.optimizer = optimizer().from_bytes(burn_bytes(moments)).map_err(failed("optimizer"))?;
        Ok(())
    }
}

/// The mean loss, each weighted by its weight over their mean. Equal weights change no bit.
fn weighted_mean(losses: Tensor<1>, batch: &Batch) -> Tensor<1> {
    if !batch.is_weighted() {
        return losses.mean();
    }
    let weights = Tensor::from_data(TensorData::new(batch.loss_weights(), [batch.len()]), &losses.device());
    (losses * weights).mean()
}
