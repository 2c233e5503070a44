//! Evaluations, and what observers are told.

use super::Trainer;
use crate::event::{Event, Observer, SCHEMA, StepEvent};
use crate::ledger::Seen;
use crate::meter::Phase;
use crate::model::Model;
use crate::passes::evaluate;
use crate::policy::{Extent, Scores};
use crate::schedule::learning_rate;
use crate::snapshot::{Batch, safetensors};
use crate::summary::Evaluation;
use crate::train_error::TrainError;

impl<M: Model> Trainer<M> {
    /// In which epoch, if it is. Close to the end it is not: there is one at the end.
    pub(super) fn evaluation_is_due(&self, event: &Event) -> Option<f64> {
        let (Event::Step(StepEvent { epoch, .. }) | Event::Skipped { epoch, .. }) = *event else { return None };
        let every = f64::from(self.config.eval_every);
        let last = self.state.evaluations.last().map_or(0.0, |evaluation| evaluation.epoch);
        let due = every > 0.0 && (epoch / every).floor() > (last / every).floor() && !self.budget_is_over();
        due.then_some(epoch)
    }

    /// On the whole test set, outside the budget.
    pub(super) fn evaluate(&mut self, epoch: f64, observer: &mut dyn Observer) -> Result<(), TrainError> {
        self.state.meter.enter(Phase::Eval);
        self.energy.read(&mut self.state.meter.joules, true);
        let device = self.device.clone().without_autodiff();
        let (accuracy, loss) = evaluate(&self.model.valid(), self.test.as_mut(), &device)?;
        self.energy.pass_over();
        let state = &mut self.state;
        state.meter.evaluated += self.test.dataset().samples() as u64;
        let step = state.meter.steps;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        state.evaluations.push(Evaluation { epoch, accuracy, loss });
        let best = state.evaluations.iter().rev().skip(1).all(|earlier| earlier.accuracy < accuracy);
        observer.event(&Event::Evaluated { step, epoch, accuracy, loss })?;
        if best { observer.best(&|| safetensors(&self.model)) } else { Ok(()) }
    }

    pub(super) fn announce(&self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let (samples, epochs, target) = (self.state.ledger.samples(), self.config.epochs, self.policy.trace().target);
        let passes = target * f64::from(epochs);
        let planned_steps = (passes * samples as f64 / self.config.batch_size as f64).ceil() as u64;
        observer.event(&Event::Started { schema: SCHEMA, samples, epochs, planned_steps })?;
        let short = || {
            (passes < 2.0 && target < 1.0 && self.policy.scores() != Scores::Unused).then(|| {
                format!(
                    "{epochs} epochs at an activation of {target} train each sample {passes:.1} times on average: \
                     below 2, selection can hardly act, because most scores are never used"
                )
            })
        };
        let batch = self.config.batch_size;
        let large = (batch > samples).then(|| {
            format!(
                "a batch of {batch} is larger than the {samples} training samples: \
                 the whole run is about {planned_steps} steps"
            )
        });
        for message in self.policy.remark().or_else(short).into_iter().chain(large) {
            observer.event(&Event::Warning { message })?;
        }
        Ok(())
    }

    /// Of a step, by the share of the budget that was spent when its batch was accepted. A schedule that is cut off is
    /// that of the whole run.
    pub(super) fn learning_rate(&self, batch: &Batch) -> f64 {
        let extent = if self.policy.extent() == Extent::Cut { self.config.target } else { 1.0 };
        self.state.lr_scale * learning_rate(self.config.lr, extent * batch.spent())
    }

    pub(super) fn step_event(&self, batch: &Batch, seen: &[Seen]) -> StepEvent {
        let mean = |value: &dyn Fn(&Seen) -> f64| seen.iter().map(value).sum::<f64>() / seen.len() as f64;
        let meter = &self.state.meter;
        StepEvent {
            step: meter.steps,
            epoch: self.epochs(batch.offered),
            offered: batch.offered,
            trained: meter.trained,
            loss: mean(&|seen| f64::from(seen.loss)),
            accuracy: 100.0 * mean(&|seen| f64::from(u8::from(seen.correct))),
            lr: self.learning_rate(batch),
            activation: meter.trained as f64 / batch.offered as f64,
            control: batch.control,
        }
    }
}
