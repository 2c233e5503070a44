//! One step: forward, backward, score, optimizer, and what is remembered of it.

use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

use super::Trainer;
use crate::data::dataset::HostBatch;
use crate::model::network::{Forward, Mode, Model};
use crate::random::Purpose;
use crate::run::event::Event;
use crate::run::not_finite::NotFinite;
use crate::run::snapshot::Batch;
use crate::score::observation::cross_entropy;
use crate::select::guard::Alignment;
use crate::select::ledger::Seen;
use crate::select::queue::Accepted;
use crate::train::error::TrainError;
use crate::train::meter::Phase;
use crate::train::passes::{Passed, ReadBack, Surroundings, gradient_sum, not_finite, upload};

/// What a step showed of its samples.
pub(super) struct Observed {
    pub(super) seen: Vec<Seen>,
    /// How their gradients lie to each other, if the policy watches that.
    alignment: Option<Alignment>,
}

impl<M: Model> Trainer<M> {
    /// Forward, backward, score, optimizer; `begin` is the step's clock before its batch was waited for.
    ///
    /// Nothing of the run has changed if it fails because of a NaN.
    pub(super) fn step(&mut self, batch: &Batch, host: HostBatch, begin: f64) -> Result<Observed, TrainError> {
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
        let observed = self.observe(passed, &batch.accepted, &gradients)?;

        self.state.meter.enter(Phase::Optimizer);
        let lr = self.learning_rate(batch);
        self.model = self.optimizer.step(lr, self.model.clone(), gradients);
        self.device.sync()?;
        self.state.meter.enter(Phase::Select);
        self.state.meter.stepped(samples, (samples == self.config.batch_size).then_some(begin));
        Ok(observed)
    }

    /// Score, loss and correctness, and whether the gradients are numbers, in the one read-back of a step.
    fn observe(
        &mut self,
        passed: Passed,
        accepted: &[Accepted],
        gradients: &GradientsParams,
    ) -> Result<Observed, TrainError> {
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
        let coverage: Vec<bool> = accepted.iter().map(|accepted| accepted.coverage).collect();
        let watches = self.policy.watches();
        let [classes, width] = [passed.forward.logits.dims()[1], passed.forward.features.dims()[1]];
        let ReadBack { score, loss, correct, extra } = around.read_back(passed, |seen, features| {
            let alignment = watches.then(|| Alignment::measure(seen, features.clone(), &coverage));
            std::iter::once(sum).chain(alignment).collect()
        })?;
        if watches {
            self.state.meter.watching += Alignment::flops(accepted.len(), classes, width);
        }
        let ids = accepted.iter().map(|accepted| accepted.visit.id);
        let gradient = || extra.first().filter(|sum| !sum.is_finite()).map(|sum| NotFinite::Gradient(*sum));
        if let Some(what) = not_finite(ids, &loss, &score).or_else(gradient) {
            return Err(TrainError::NotFinite { step, what });
        }
        let seen = |(i, accepted): (usize, &Accepted)| Seen {
            id: accepted.visit.id,
            score: score[i],
            loss: loss[i],
            correct: correct[i] > 0.5,
            coverage: accepted.coverage,
        };
        let seen = accepted.iter().enumerate().map(seen).collect();
        Ok(Observed { seen, alignment: Alignment::of_sums(&extra[1..], &coverage) })
    }

    /// Into the ledger, for later selections.
    pub(super) fn remember(&mut self, batch: &Batch, Observed { seen, alignment }: &Observed) {
        let covered = || seen.iter().filter(|seen| seen.coverage);
        if covered().next().is_some() {
            let mean = covered().map(|seen| f64::from(seen.loss)).sum::<f64>() / covered().count() as f64;
            self.state.mean_loss.update(mean);
        }
        self.policy.learn(seen);
        let decision = alignment.and_then(|alignment| self.policy.watch(&alignment, batch.spent()));
        let (step, epoch) = (self.state.meter.steps, self.epochs(batch.offered));
        self.decided = decision.map(|decision| Event::Decided { step, epoch, decision });
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
