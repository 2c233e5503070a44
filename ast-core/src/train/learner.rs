//! A network with its optimizer and device. A training step has two halves: gradients and update.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Device, Tensor, TensorData};

use super::feed::Uploaded;
use super::statistics::ForwardedBatch;
use crate::codec::SnapshotError;
use crate::model::{Forward, Mode, Model, RunningStatistics, burn_bytes, cross_entropy, per_sample};
use crate::random::Stream;

/// A network in training: the run's network or an auxiliary one.
pub(super) struct Learner<M> {
    pub(super) model: M,
    optimizer: ModuleOptimizer,
    /// The optimizer before its first step. A saved state is restored into a copy of it.
    fresh: ModuleOptimizer,
    /// A device with autodiff.
    pub(super) device: Device,
}

/// The results of a forward and a backward pass that the optimizer's step needs.
pub(super) struct Gradients {
    /// Gradients by parameter.
    pub(super) params: GradientsParams,
    /// New values of parameters that are not trained by gradients.
    statistics: RunningStatistics,
}

impl<M: Model> Learner<M> {
    /// From a network on an autodiff device, and an optimizer before its first step.
    pub(super) fn new(model: M, optimizer: ModuleOptimizer, device: Device) -> Self {
        Self { model, fresh: optimizer.clone(), optimizer, device }
    }

    /// Forward pass in training mode, and backward pass of the mean loss, weighted if there are weights. Does not
    /// change the network.
    pub(super) fn gradients(
        &self,
        data: Uploaded,
        weights: Option<Vec<f32>>,
        masks: Stream,
    ) -> (ForwardedBatch, Gradients) {
        let Uploaded { ids, input_deviation, input, targets } = data;
        let mut mode = Mode::train(masks);
        let forward = self.model.forward(input, &mut mode);
        let losses = per_sample(cross_entropy(forward.logits.clone(), targets.clone()), ids.len());
        let params = GradientsParams::from_grads(weighted_mean(losses.clone(), weights).backward(), &self.model);
        let forward = Forward { logits: forward.logits.inner(), features: forward.features.map(Tensor::inner) };
        let forwarded =
            ForwardedBatch { ids, input_deviation, forward, targets: targets.inner(), loss: losses.inner() };
        (forwarded, Gradients { params, statistics: mode.into_statistics() })
    }

    /// Updates the parameters by the optimizer, and the running statistics.
    pub(super) fn update(&mut self, lr: f64, Gradients { params, statistics }: Gradients) {
        self.model = statistics.apply(self.optimizer.step(lr, self.model.clone(), params));
    }

    /// Records of network and optimizer.
    pub(super) fn save(&self) -> Result<(Vec<u8>, Vec<u8>), SnapshotError> {
        let failed = |part| move |error: RecordError| SnapshotError::Encode(part, error.to_string());
        let weights = self.model.clone().into_record().into_bytes().map_err(failed("weights"))?.to_vec();
        Ok((weights, self.optimizer.into_bytes().map_err(failed("optimizer"))?.to_vec()))
    }

    /// Restores the records from [`save`](Self::save).
    pub(super) fn restore(&mut self, weights: &[u8], moments: &[u8]) -> Result<(), SnapshotError> {
        let failed = |part| move |error: RecordError| SnapshotError::Decode(part, error.to_string());
        let record = ModuleRecord::from_bytes(burn_bytes(weights)).map_err(failed("weights"))?;
        self.model = self.model.clone().try_load_record(record).map_err(failed("weights"))?;
        self.optimizer = self.fresh.clone().from_bytes(burn_bytes(moments)).map_err(failed("optimizer"))?;
        Ok(())
    }
}

/// The weighted mean of the losses. Without weights, the plain mean.
fn weighted_mean(losses: Tensor<1>, weights: Option<Vec<f32>>) -> Tensor<1> {
    let Some(weights) = weights else { return losses.mean() };
    let weights = TensorData::new(weights, losses.dims());
    (losses.clone() * Tensor::from_data(weights, &losses.device())).mean()
}
