//! One step: forward, backward, score, optimizer, and what is remembered of it.

use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::Trainer;
use crate::data::HostBatch;
use crate::ledger::Seen;
use crate::meter::Phase;
use crate::model::{Forward, Mode, Model};
use crate::observation::cross_entropy;
use crate::passes::{Passed, ReadBack, Surroundings, gradient_sum, not_finite, upload};
use crate::queue::Accepted;
use crate::random::Purpose;
use crate::snapshot::Batch;
use crate::train_error::{NotFinite, TrainError};

impl<M: Model> Trainer<M> {
    /// Forward, backward, score, optimizer; `begin` is the step's clock before its batch was waited for.
    ///
    /// Nothing of the run has changed if it fails because of a NaN.
    pub(super) fn step(&mut self, batch: &Batch, host: HostBatch, begin: f64) -> Result<Vec<Seen>, TrainError> {
        self.state.meter.enter(Phase::Data);
        let (ids, input_std) = (host.ids.clone(), host.input_std.clone());
        let (input, targets) = upload(host, self.train.dataset().shape(), &self.device);

        self.state.meter.enter(Phase::Train);
        let mut masks = self.random.stream(Purpose::Dropout, self.state.meter.steps, 0);
        let forward = self.model.forward(input, Mode::Train(&mut masks));
        let losses = cross_entropy(forward.logits.clone(), targets.clone());
        let gradients = weighted_mean(losses.clone(), &batch.accepted).backward();
        let gradients = GradientsParams::from_grads(gradients, &self.model);
        self.device.sync()?;

        self.state.meter.enter(Phase::Score);
        let samples = ids.len();
        let forward = Forward { logits: forward.logits.inner(), features: forward.features.inner() };
        let passed = Passed { ids, input_std, forward, targets: targets.inner(), loss: losses.inner() };
        let seen = self.observe(passed, &batch.accepted, &gradients)?;

        self.state.meter.enter(Phase::Optimizer);
        let lr = self.learning_rate(batch);
        self.model = self.optimizer.step(lr, self.model.clone(), gradients);
        self.device.sync()?;
        self.state.meter.enter(Phase::Select);
        self.state.meter.stepped(samples, (samples == self.config.batch_size).then_some(begin));
        Ok(seen)
    }

    /// Score, loss and correctness, and whether the gradients are numbers, in the one read-back of a step.
    fn observe(
        &self,
        passed: Passed,
        accepted: &[Accepted],
        gradients: &GradientsParams,
    ) -> Result<Vec<Seen>, TrainError> {
        let step = self.state.meter.steps + 1;
        let around = Surroundings {
            scorer: self.scorer.as_ref(),
            ledger: &self.state.ledger,
            reference: &self.state.reference,
            mean_loss: self.state.mean_loss.value(),
            mean_input_std: self.mean_input_std,
            random: self.random,
            step,
        };
        let sum = gradient_sum(&self.model, gradients);
        let ReadBack { score, loss, correct, extra } = around.read_back(passed, Some(sum))?;
        let ids = accepted.iter().map(|accepted| accepted.visit.id);
        let gradient = || extra.filter(|sum| !sum.is_finite()).map(NotFinite::Gradient);
        match not_finite(ids, &loss, &score).or_else(gradient) {
            Some(what) => Err(TrainError::NotFinite { step, what }),
            None => Ok((accepted.iter().enumerate())
                .map(|(i, accepted)| Seen {
                    id: accepted.visit.id,
                    score: score[i],
                    loss: loss[i],
                    correct: correct[i] > 0.5,
                    coverage: accepted.coverage,
                })
                .collect()),
        }
    }

    /// Into the ledger, for later selections.
    pub(super) fn remember(&mut self, seen: &[Seen]) {
        let covered = || seen.iter().filter(|seen| seen.coverage);
        if covered().next().is_some() {
            let mean = covered().map(|seen| f64::from(seen.loss)).sum::<f64>() / covered().count() as f64;
            self.state.mean_loss.update(mean);
        }
        self.policy.learn(seen);
        self.state.ledger.record(seen);
        seen.iter().for_each(|seen| self.state.queue.done(seen.id));
    }

    /// Counts a step that was not made.
    pub(super) fn skip(&mut self, batch: &Batch) {
        self.state.meter.enter(Phase::Select);
        self.state.meter.skipped += 1;
        self.state.meter.wasted += batch.accepted.len() as u64;
        batch.accepted.iter().for_each(|accepted| self.state.queue.done(accepted.visit.id));
    }
}

/// The mean loss, each weighted by its weight over their mean. Equal weights change no bit.
fn weighted_mean(losses: Tensor<1>, accepted: &[Accepted]) -> Tensor<1> {
    let weights: Vec<f32> = accepted.iter().map(|accepted| accepted.weight).collect();
    if weights.iter().all(|weight| *weight == weights[0]) {
        return losses.mean();
    }
    let mean = weights.iter().sum::<f32>() / weights.len() as f32;
    let weights = weights.iter().map(|weight| weight / mean).collect::<Vec<_>>();
    let weights = Tensor::from_data(TensorData::new(weights, [accepted.len()]), &losses.device());
    (losses * weights).mean()
}
