//! Evaluations, and what observers are told.

use super::Trainer;
use crate::model::network::Model;
use crate::optim::schedule::learning_rate;
use crate::run::checked::Limit;
use crate::run::evaluation::Evaluation;
use crate::run::event::{Event, Observer, SCHEMA, StepEvent};
use crate::run::resolve::ignored_target;
use crate::run::snapshot::Batch;
use crate::run::summary::{Ran, Summary};
use crate::select::ledger::Seen;
use crate::select::policy::{Extent, Scores};
use crate::train::error::TrainError;
use crate::train::export::safetensors;
use crate::train::meter::Phase;
use crate::train::passes::evaluate;

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
        let (samples, epochs) = (self.state.ledger.samples(), self.config.epochs);
        observer.event(&Event::Started { schema: SCHEMA, samples, epochs, planned_steps: self.planned_steps() })?;
        for message in self.warnings() {
            observer.event(&Event::Warning { message })?;
        }
        Ok(())
    }

    /// Steps of a run exactly on its limit; `None` where that cannot be known beforehand.
    fn planned_steps(&self) -> Option<u64> {
        let (extent, keeps) = (self.policy.extent(), self.policy.keeps_target());
        let share = match (extent, self.config.limit) {
            (Extent::Whole, _) => 1.0,
            (Extent::Cut, None) => self.config.target,
            (Extent::Budget, None) if keeps => self.policy.trace().target,
            (_, Some(Limit::Fraction(fraction))) => fraction,
            _ => return None,
        };
        let dense = (self.state.ledger.samples() as u64 * u64::from(self.config.epochs)) as f64;
        // A hair below: a tenth of 640 is 64 samples, not 65.
        Some(((share * dense - 1e-6) / self.config.batch_size as f64).ceil() as u64)
    }

    /// What a person should know before the run starts, or when reading its summary.
    pub(super) fn warnings(&self) -> Vec<String> {
        let ignored = ignored_target(self.policy.as_ref(), &self.ran.policy, &self.config);
        let (batch, samples) = (self.config.batch_size, self.state.ledger.samples());
        let large = (batch > samples).then(|| {
            let steps = self.planned_steps().map(|steps| format!(": the whole run is about {steps} steps"));
            let steps = steps.unwrap_or_default();
            format!("a batch of {batch} is larger than the {samples} training samples{steps}")
        });
        ignored.into_iter().chain(self.policy.remark().or_else(|| self.too_short())).chain(large).collect()
    }

    fn too_short(&self) -> Option<String> {
        let (epochs, target) = (self.config.epochs, self.policy.trace().target);
        let passes = target * f64::from(epochs);
        (passes < 2.0 && target < 1.0 && self.policy.scores() != Scores::Unused).then(|| {
            format!(
                "{epochs} epochs at an activation of {target} train each sample {passes:.1} times on average: below 2, \
                 selection can hardly act, because most scores are never used"
            )
        })
    }

    /// Why there was not a single step.
    pub(super) fn nothing_trained(&self) -> TrainError {
        if self.config.limit.is_some() && self.state.meter.scoring_flops() > 0 {
            TrainError::NothingLeft
        } else {
            TrainError::NothingTrained
        }
    }

    /// What selects, and the warnings of the start.
    #[must_use]
    pub fn ran(&self) -> Ran {
        Ran { warnings: self.warnings(), ..self.ran.clone() }
    }

    /// The result, as far as the trainer knows it.
    pub(super) fn summary(&self) -> Summary {
        // Where the policy decides by itself, the target is what was asked for.
        let keeps = self.policy.keeps_target();
        let target = if keeps { self.policy.trace().target } else { self.config.target };
        Summary::new(
            &self.config,
            self.ran(),
            (target, keeps),
            &self.state,
            self.train.dataset().as_ref(),
            self.energy.method(),
        )
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
