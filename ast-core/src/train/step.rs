//! One step: select, load, forward, backward, score, update, record.

use super::clock::Phase;
use super::error::TrainError;
use super::feed::{Received, Uploaded};
use super::learner::Gradients;
use super::probe::{ProbeLoads, TrainerProbe};
use super::statistics::{Scored, Scoring, gradient_sum};
use super::{Selector, Trainer, work, worth};
use crate::data::{BadSample, LoadError, Request};
use crate::model::Model;
use crate::random::Purpose;
use crate::run::{Event, NotFinite, OnNan, StepEvent};
use crate::select::{Batch, Outcome};

/// The loaded data of a batch.
pub(super) struct Loaded {
    data: Uploaded,
    /// The step's clock before waiting for the data.
    begin: f64,
}

/// The results of forward and backward pass. Nothing has been updated yet.
pub(super) struct StepOutcome {
    scored: Scored,
    gradients: Gradients,
    begin: f64,
}

impl<M: Model> Trainer<M> {
    /// Returns the batch selected one step ago with its data. Selects the next batch, which loads while this one
    /// trains. Samples that cannot be loaded are taken out of their batch.
    pub(super) fn next_batch(&mut self) -> Result<Option<(Batch, Loaded)>, TrainError> {
        loop {
            if self.selector.in_flight().is_empty() {
                self.prepare()?; // trains the reference before the first step
                self.select()?;
            }
            let begin = self.clock.step_clock();
            let Some(batch) = self.selector.in_flight().front().cloned() else { return Ok(None) };
            self.clock.enter(Phase::Data);
            // A missing batch is an error: ending the run here would look like its regular end.
            let Received { data, bad, reads } = self.train.receive()?.ok_or(LoadError::Worker)?;
            self.state.reads.training += reads;
            let batch = if bad.is_empty() { Some(batch) } else { self.without(batch, &bad)? };
            let Some((batch, data)) = batch.zip(data) else { continue };
            if self.selector.in_flight().len() == 1 {
                self.select()?;
            }
            return Ok(Some((batch, Loaded { data, begin })));
        }
    }

    /// The batch without its bad samples, which are left out of the run; `None` if no sample is left.
    fn without(&mut self, batch: Batch, bad: &[BadSample]) -> Result<Option<Batch>, TrainError> {
        self.leave_out(bad)?;
        let ids: Vec<_> = bad.iter().map(|bad| bad.id).collect();
        Ok(self.selector.shrink(batch, &ids)?)
    }

    /// Leaves bad samples out of the run, with a warning for each.
    fn leave_out(&mut self, bad: &[BadSample]) -> Result<(), TrainError> {
        for BadSample { id, reason } in bad {
            if !self.selector.left_out().contains(id) {
                self.warnings.push(format!("training sample {id} is left out: {reason}"));
                self.selector.leave_out([*id]);
            }
        }
        self.last_bad = bad.last().map(|last| last.reason.clone()).or(self.last_bad.take());
        match &self.last_bad {
            Some(reason) if self.selector.left_out().len() == self.selector.ledger().samples() => {
                Err(TrainError::AllBad(reason.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Selects a batch and requests it from the loader, unless the budget is used up.
    fn select(&mut self) -> Result<(), TrainError> {
        self.clock.enter(Phase::Select);
        if let Some(batch) = self.with_probe(|selector, probe| selector.next_batch(probe))? {
            let request = self.request(&batch);
            self.train.request(request);
        }
        Ok(())
    }

    pub(super) fn request(&self, batch: &Batch) -> Request {
        let size = self.sizes.request(batch.level());
        Request { visits: batch.visits(), augment: self.config.augment, size }
    }

    /// Calls `act` with the selector and a probe of this trainer.
    pub(super) fn with_probe<T, E>(
        &mut self,
        act: impl FnOnce(&mut Selector, &mut TrainerProbe<'_, M>) -> Result<T, E>,
    ) -> Result<T, TrainError>
    where
        TrainError: From<E>,
    {
        let batches = self.selector.in_flight().len() as f64;
        let mut probe = TrainerProbe {
            coming: batches * self.clock.median_step().unwrap_or(0.0),
            model: &self.learner.model,
            auxiliary: &mut self.auxiliary,
            loader: self.train.loader(),
            loaded: ProbeLoads::default(),
            device: &self.learner.device,
            clock: &mut self.clock,
            scoring: Scoring {
                scorer: self.scorer.as_ref(),
                reference: &self.state.reference,
                mean_loss: self.state.mean_loss.value(),
                mean_input_deviation: self.mean_input_deviation,
                random: self.random,
                step: self.selector.counts().steps,
            },
            costs: self.selector.costs().to_vec(),
            sizes: &self.sizes,
            level: 0,
            augment: self.config.augment,
            schedule: self.config.schedule.scaled(self.state.lr_scale),
            abort: self.config.on_nan == OnNan::Abort,
            charges_scoring: self.config.goal.charges_scoring,
            told: self.on_scoring.as_mut(),
            passed: 0,
        };
        let result = act(&mut self.selector, &mut probe);
        let ProbeLoads { reads, bad, .. } = probe.loaded;
        self.state.reads.scoring += reads;
        let left_out = self.leave_out(&bad);
        let result = result?;
        left_out.map(|()| result)
    }

    /// Forward pass, backward pass and scores. Returns a fault if a value is NaN or infinite. Nothing is updated.
    pub(super) fn step(
        &mut self,
        batch: &Batch,
        Loaded { data, begin }: Loaded,
    ) -> Result<Result<StepOutcome, NotFinite>, TrainError> {
        self.clock.enter(Phase::Train);
        let masks = self.random.stream(Purpose::Dropout, self.counts().steps, 0);
        let weights = batch.is_weighted().then(|| batch.loss_weights());
        let (forwarded, gradients) = self.learner.gradients(data, weights, masks, batch.spent());
        work::executed(batch.len() as u64 * self.selector.costs()[usize::from(batch.level())].step);
        match self.phases_apart {
            true => {
                self.learner.device.sync()?;
                self.clock.enter(Phase::Score);
            }
            // Reading back waits for the device, in the phase `train`.
            false => self.clock.merge_phases(),
        }

        let coverage = batch.coverage();
        let mut extra = vec![gradient_sum(&self.learner.model, &gradients.params)];
        if self.selector.watches()
            && let Some(features) = &forwarded.forward.features
        {
            let logits = &forwarded.forward.logits;
            self.selector.charge_watching(worth::flops(
                batch.len(),
                logits.dims()[0],
                logits.dims()[1],
                features.dims()[1],
            ));
            extra.push(worth::measure(logits, features, &forwarded.targets, &coverage));
        }
        let scoring = Scoring {
            scorer: self.scorer.as_ref(),
            reference: &self.state.reference,
            mean_loss: self.state.mean_loss.value(),
            mean_input_deviation: self.mean_input_deviation,
            random: self.random,
            step: self.counts().steps + 1,
        };
        let scored = scoring.read_back(forwarded, self.selector.ledger(), extra)?;
        if let Some(what) = scored.fault(batch.ids().into_iter()) {
            return Ok(Err(what));
        }
        Ok(Ok(StepOutcome { scored, gradients, begin }))
    }

    /// Makes the optimizer's update, then records the results of the step for later selections.
    pub(super) fn accept(&mut self, batch: Batch, outcome: StepOutcome) -> Result<Vec<Event>, TrainError> {
        let StepOutcome { scored: Scored { score, loss, correct, extra }, gradients, begin } = outcome;
        self.clock.enter(Phase::Optimizer);
        let lr = self.learning_rate(&batch);
        self.learner.update(lr, gradients);
        if self.config.lookahead {
            let (model, step) = (self.learner.model.clone(), self.counts().steps + 1);
            self.learner.model = self.lookahead.step(model, step, batch.spent());
        }
        if self.phases_apart {
            self.learner.device.sync()?;
        }
        self.clock.enter(Phase::Select);
        // The median step estimates the steps of a dense run, which trains full batches of full-size images.
        if batch.len() == self.config.batch_size && batch.level() == 0 {
            self.clock.stepped(begin);
        }

        let covered =
            || loss.iter().zip(batch.coverage()).filter(|(_, coverage)| *coverage).map(|(loss, _)| f64::from(*loss));
        if covered().next().is_some() {
            self.state.mean_loss.update(covered().sum::<f64>() / covered().count() as f64);
        }
        let by_score = batch.coverage().into_iter().filter(|coverage| !coverage).count() as f64 / batch.len() as f64;
        let selected = Some(by_score).filter(|share| *share > 0.0);
        let (size, level) = (self.sizes.sides(batch.level()), batch.level());
        let (epoch, offered, control) = (self.epochs(batch.offered()), batch.offered(), *batch.stats());
        let worth = extra.get(1..).filter(|worth| !worth.is_empty());
        self.selector.record(batch, &Outcome { score: &score, loss: &loss, correct: Some(&correct), worth })?;

        let counts = self.selector.counts();
        if level > 0 {
            self.state.small = Some(counts.steps);
        }
        let mean = |sum: f64| sum / loss.len() as f64;
        let step = StepEvent {
            step: counts.steps,
            epoch,
            offered,
            trained: counts.trained,
            loss: mean(loss.iter().map(|loss| f64::from(*loss)).sum()),
            accuracy: 100.0 * mean(correct.iter().map(|correct| f64::from(u8::from(*correct))).sum()),
            lr,
            activation: counts.trained as f64 / offered as f64,
            control,
            selected,
            size,
        };
        let is_new = epoch as u32 > self.state.epochs;
        self.state.epochs = epoch as u32;
        let worth = self.selector.worth().filter(|_| is_new);
        let worth = worth.map(|worth| Event::Worth { step: step.step, epoch, worth });
        Ok(std::iter::once(Event::Step(step)).chain(worth).collect())
    }

    /// Learning rate of a step: a function of the share of the budget spent when its batch was accepted.
    pub(super) fn learning_rate(&self, batch: &Batch) -> f64 {
        self.state.lr_scale * self.config.schedule.at(batch.spent())
    }

    /// Number of nominal epochs that correspond to `offered` samples.
    pub(super) fn epochs(&self, offered: u64) -> f64 {
        offered as f64 / self.selector.ledger().samples() as f64
    }
}
