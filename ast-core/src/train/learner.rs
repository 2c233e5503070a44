//! A network with its optimizer and device. A training step has two halves: gradients and update.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::{Device, Tensor, TensorData};

use super::clip::clip;
use super::feed::Uploaded;
use super::lookahead::Lookahead;
use super::statistics::ForwardedBatch;
use crate::codec::SnapshotError;
use crate::model::{
    Forward, Mode, Model, RunningStatistics, burn_bytes, cross_entropy, per_sample, uniform_cross_entropy,
};
use crate::random::Stream;

const LOOKAHEAD: &str = "averaged weights";

/// What a training step does beside the optimizer.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepRule {
    /// Share of the target that the loss spreads over all classes.
    pub(super) label_smoothing: f64,
    /// Largest norm of the gradient.
    pub(super) clip_norm: Option<f64>,
}

/// A network in training: the run's network or an auxiliary one.
pub(super) struct Learner<M> {
    pub(super) model: M,
    rule: StepRule,
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
    pub(super) fn new(model: M, rule: StepRule, optimizer: ModuleOptimizer, device: Device) -> Self {
        Self { model, rule, fresh: optimizer.clone(), optimizer, device }
    }

    /// Forward pass in training mode, and backward pass of the mean loss, weighted if there are weights, after a share
    /// `spent` of the schedule. Does not change the network.
    pub(super) fn gradients(
        &self,
        data: Uploaded,
        weights: Option<Vec<f32>>,
        masks: Stream,
        spent: f64,
    ) -> (ForwardedBatch, Gradients) {
        let Uploaded { ids, input_deviation, input, targets } = data;
        let mut mode = Mode::train(masks).at(spent);
        let forward = self.model.forward(input, &mut mode);
        let losses = per_sample(cross_entropy(forward.logits.clone(), targets.clone()), ids.len());
        let objective = match self.rule.label_smoothing {
            0.0 => losses.clone(),
            share => {
                let spread = per_sample(uniform_cross_entropy(forward.logits.clone()), ids.len());
                losses.clone() * (1.0 - share) + spread * share
            }
        };
        let mut params = GradientsParams::from_grads(weighted_mean(objective, weights).backward(), &self.model);
        if let Some(largest) = self.rule.clip_norm {
            clip(&self.model, &mut params, largest);
        }
        let forward = Forward { logits: forward.logits.inner(), features: forward.features.map(Tensor::inner) };
        let forwarded =
            ForwardedBatch { ids, input_deviation, forward, targets: targets.inner(), loss: losses.inner() };
        (forwarded, Gradients { params, statistics: mode.into_statistics() })
    }

    /// Updates the parameters by the optimizer, and the running statistics.
    pub(super) fn update(&mut self, lr: f64, Gradients { params, statistics }: Gradients) {
        self.model = statistics.apply(self.optimizer.step(lr, self.model.clone(), params));
    }

    /// The average as a record of the network; empty if there is none.
    pub(super) fn save_average(&self, average: &Lookahead) -> Result<Vec<u8>, SnapshotError> {
        if average.is_empty() {
            return Ok(Vec::new());
        }
        let record = average.apply(self.model.clone()).into_record().into_bytes();
        Ok(record.map_err(|error| SnapshotError::Encode(LOOKAHEAD, error.to_string()))?.to_vec())
    }

    /// The average from [`save_average`](Self::save_average).
    pub(super) fn restore_average(&self, bytes: &[u8]) -> Result<Lookahead, SnapshotError> {
        if bytes.is_empty() {
            return Ok(Lookahead::default());
        }
        let failed = |error: RecordError| SnapshotError::Decode(LOOKAHEAD, error.to_string());
        let record = ModuleRecord::from_bytes(burn_bytes(bytes)).map_err(failed)?;
        Ok(Lookahead::of(&self.model.clone().try_load_record(record).map_err(failed)?))
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
