//! Start and end of a run, evaluations, and the calls of the callback.

use std::collections::BTreeSet;

use super::clock::Phase;
use super::error::{PassError, TrainError};
use super::evaluate::{Evaluated, evaluate};
use super::export::safetensors;
use super::metadata::with_preprocessing;
use super::remeasure::remeasured;
use super::resolve::ignored_target;
use super::{Activity, Callback, Flow, SavedSoFar, Trainer};
use crate::data::{BadSample, Dataset, Reads, Shape};
use crate::model::Model;
use crate::run::{Evaluation, Event, Ran, SCHEMA, StepEvent, Summary};
use crate::select::{Limit, RunLength, SampleId, ScorerRule, Stage};

/// Number of steps after which the running statistics of earlier ones have lost 99 % of their weight at the usual momentum
/// of 0.1: 0.9^44 = 0.01.
const FORGOTTEN: u64 = 44;
/// Number of classes that a warning names.
const SHOWN: usize = 5;

impl<M: Model> Trainer<M> {
    /// Reports the start of the run, unless it is resumed, and prepares the first step.
    pub(super) fn begin(&mut self, callback: &mut dyn Callback) -> Result<(), TrainError> {
        if self.counts().offered == 0 {
            self.announce(callback)?;
        }
        self.clock.begin();
        self.prepare()?;
        self.keep(None)
    }

    /// Passes the events to the callback, evaluates if that is due, and does what the callback asks for.
    pub(super) fn report(&mut self, events: &[Event], callback: &mut dyn Callback) -> Result<Flow, TrainError> {
        self.clock.enter(Phase::Checkpoint);
        let stopped = self.clock.stopped();
        if stopped > self.told_stopped {
            let seconds = stopped - self.told_stopped;
            self.warnings
                .push(format!("the process did not run for {seconds:.0} s: they are in no figure of this run"));
            self.told_stopped = stopped;
        }
        self.warn(callback)?;
        // The selector is ahead: it has offered what the next batch was selected from.
        let offered =
            events.iter().find_map(|event| if let Event::Step(step) = event { Some(step.offered) } else { None });
        callback.saved(&|| self.saved_so_far(offered.unwrap_or(self.counts().offered)));
        for event in events {
            callback.event(event)?;
        }
        if let Some(epoch) = self.evaluation_is_due(events)? {
            self.evaluate(epoch, callback).or_else(|error| self.save_before(error, callback))?;
        }
        let flow = callback.flow(self.counts().steps);
        if flow != Flow::Continue {
            callback.begins(Activity::Saving);
            self.clock.end();
            let snapshot = self.snapshot()?;
            callback.save(&snapshot)?;
            self.keep(Some(snapshot))?;
        }
        Ok(flow)
    }

    /// Evaluates a last time and returns the result.
    pub(super) fn finish(&mut self, callback: &mut dyn Callback) -> Result<Summary, TrainError> {
        match (self.counts().steps, self.counts().skipped) {
            (0, 0) => return Err(self.nothing_trained()),
            (0, skipped) => return Err(TrainError::AllSkipped(skipped)),
            _ => {
                self.learner.model = self.lookahead.apply(self.learner.model.clone());
                let epoch = self.epochs(self.counts().offered);
                self.evaluate(epoch, callback).or_else(|error| self.save_before(error, callback))?;
            }
        }
        self.clock.end();
        Ok(self.summary())
    }

    /// The epoch after which an evaluation is due, if one is. Near the end none is, because the run ends with one.
    fn evaluation_is_due(&mut self, events: &[Event]) -> Result<Option<f64>, TrainError> {
        let epoch = events.iter().find_map(|event| match event {
            Event::Step(StepEvent { epoch, .. }) | Event::Skipped { epoch, .. } => Some(*epoch),
            _ => None,
        });
        let every = f64::from(self.config.eval_every);
        let last = self.state.evaluations.last().map_or(0.0, |evaluation| evaluation.epoch);
        let due = epoch.filter(|epoch| every > 0.0 && (epoch / every).floor() > (last / every).floor());
        if due.is_none() || self.with_probe(|selector, probe| selector.is_over(probe))? {
            return Ok(None);
        }
        Ok(due)
    }

    /// Evaluates on the whole test set, outside the budget.
    fn evaluate(&mut self, epoch: f64, callback: &mut dyn Callback) -> Result<(), TrainError> {
        callback.begins(Activity::Evaluating);
        // The update of the last step belongs to the run.
        self.learner.device.sync()?;
        self.clock.enter(Phase::Eval);
        let device = self.learner.device.clone().without_autodiff();
        let (model, read) = self.for_evaluation()?;
        self.state.reads.evaluation += read;
        let Evaluated { accuracy, loss, tta, passes, reads, bad, answers } =
            evaluate(&model, self.test.as_mut(), &device, self.config.tta)?;
        self.clock.enter(Phase::Checkpoint);
        self.answers = answers;
        self.state.evaluated += passes;
        self.state.reads.evaluation += reads;
        for BadSample { id, reason } in bad {
            if self.state.bad_test.insert(id) {
                self.warnings.push(format!("test sample {id} is left out of the evaluation: {reason}"));
            }
        }
        self.warn(callback)?;
        let step = self.counts().steps;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step, loss });
        }
        let best = match self.test.dataset().shape() {
            Shape::Image(_) => self.state.evaluations.iter().all(|earlier| earlier.accuracy < accuracy),
            Shape::Tokens(_) => self.state.evaluations.iter().all(|earlier| earlier.loss > loss),
        };
        self.state.evaluations.push(Evaluation { epoch, accuracy, loss, tta });
        callback.event(&Event::Evaluated { step, epoch, accuracy, loss, tta })?;
        let weights = || with_preprocessing(&safetensors(&model)?, &self.preprocessing);
        if best { callback.best(&weights) } else { Ok(()) }
    }

    /// The network with running statistics that fit images of full size, and what was read for them. The run's own network
    /// is not changed.
    pub(super) fn for_evaluation(&self) -> Result<(M, Reads), PassError> {
        let model = self.learner.model.valid();
        match self.state.small {
            Some(last) if self.counts().steps.saturating_sub(last) < FORGOTTEN => {
                let device = self.learner.device.clone().without_autodiff();
                remeasured(model, self.train.loader(), self.random, &device)
            }
            _ => Ok((model, Reads::default())),
        }
    }

    fn saved_so_far(&self, offered: u64) -> SavedSoFar {
        let (counts, clock) = (self.counts(), &self.clock);
        let offered = offered.max(1) as f64;
        let saved = |spent: f64, dense: f64| 1.0 - spent / dense;
        let dense = clock.median_step().map(|step| step * offered / self.config.batch_size as f64);
        SavedSoFar {
            samples: saved(counts.trained as f64, offered),
            flops: saved(counts.cost() as f64, offered * self.selector.cost_of_a_sample().step as f64),
            seconds: dense.map(|dense| saved(clock.total() - clock.seconds(Phase::Eval), dense)),
        }
    }

    /// Passes on what there is to warn of since the last call.
    pub(super) fn warn(&mut self, callback: &mut dyn Callback) -> Result<(), TrainError> {
        for message in self.warnings.drain(..) {
            callback.event(&Event::Warning { message })?;
        }
        Ok(())
    }

    fn announce(&self, callback: &mut dyn Callback) -> Result<(), TrainError> {
        let (samples, epochs) = (self.selector.ledger().samples(), self.config.goal.epochs);
        callback.event(&Event::Started { schema: SCHEMA, samples, epochs, planned_steps: self.planned_steps() })?;
        for message in self.standing_warnings() {
            callback.event(&Event::Warning { message })?;
        }
        Ok(())
    }

    /// Steps of a run that ends exactly on its budget; `None` if not known in advance.
    fn planned_steps(&self) -> Option<u64> {
        let (kind, goal) = (self.selector.policy().kind, self.config.goal);
        let costs = self.selector.costs();
        // At a size that costs half, the same share of the budget trains twice as many samples.
        let relative = |stage: &Stage| stage.share * costs[0].step as f64 / costs[usize::from(stage.level)].step as f64;
        let stages = &self.sizes.stages;
        let cheaper = if stages.is_empty() { 1.0 } else { stages.iter().map(relative).sum() };
        let share = match (kind.run_length, goal.limit) {
            (RunLength::Whole, _) => 1.0,
            (RunLength::Cut, None) => goal.target,
            (RunLength::Budget, None) if kind.keeps_target => self.selector.policy().stats(&goal).target,
            (RunLength::Cut, Some(_)) if !stages.is_empty() => return None,
            (_, Some(Limit::Fraction(fraction))) => fraction * cheaper,
            _ => return None,
        };
        let dense = (self.selector.ledger().samples() as u64 * u64::from(goal.epochs)) as f64;
        // The 1e-6 absorbs rounding: a tenth of 640 is 64 samples, not 65.
        Some(((share * dense - 1e-6) / self.config.batch_size as f64).ceil() as u64)
    }

    /// Warnings to show before the run starts and in its summary.
    fn standing_warnings(&self) -> Vec<String> {
        let policy = self.selector.policy();
        let ignored = ignored_target(policy.kind, &self.ran.policy, &self.config);
        let (batch, samples) = (self.config.batch_size, self.selector.ledger().samples());
        let large = (batch > samples).then(|| {
            let steps = self.planned_steps().map(|steps| format!(": the whole run is about {steps} steps"));
            let steps = steps.unwrap_or_default();
            format!("a batch of {batch} is larger than the {samples} training samples{steps}")
        });
        let network = self.state.warnings.iter().cloned();
        let [train, test] = [self.train.dataset(), self.test.dataset()];
        let remarks = train.remarks().into_iter().chain(test.remarks()).chain(untrained(train.as_ref()));
        let of_run = ignored.into_iter().chain(policy.warning().or_else(|| self.too_short())).chain(large);
        of_run.chain(network).chain(remarks).collect()
    }

    fn too_short(&self) -> Option<String> {
        let scorer = self.selector.policy().kind.scorer;
        let (epochs, target) = (self.config.goal.epochs, self.selector.stats().target);
        let passes = target * f64::from(epochs);
        (passes < 2.0 && target < 1.0 && scorer != ScorerRule::Unused).then(|| {
            format!(
                "{epochs} epochs at an activation of {target} train each sample {passes:.1} times on average: below 2, \
                 selection can hardly act, because most scores are never used"
            )
        })
    }

    /// The error of a run without a single step.
    fn nothing_trained(&self) -> TrainError {
        if let Some(reason) = &self.last_bad {
            TrainError::AllBad(reason.clone())
        } else if self.config.goal.limit.is_some() && self.counts().scoring_cost() > 0 {
            TrainError::NothingLeft
        } else {
            TrainError::NothingTrained
        }
    }

    /// Policy and scorer of the run, and its warnings.
    #[must_use]
    pub fn ran(&self) -> Ran {
        Ran { warnings: self.standing_warnings(), ..self.ran.clone() }
    }
}

/// The warning for classes without a training sample.
fn untrained(data: &dyn Dataset) -> Option<String> {
    if matches!(data.shape(), Shape::Tokens(_)) {
        return None;
    }
    let there: BTreeSet<usize> = (0..data.samples() as SampleId).map(|id| data.label(id)).collect();
    let name =
        |class: usize| data.class_names().get(class).map_or_else(|| class.to_string(), |name| format!("`{name}`"));
    let missing: Vec<String> = (0..data.classes()).filter(|class| !there.contains(class)).map(name).collect();
    let shown = missing.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    let more = missing.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!missing.is_empty()).then(|| format!("no training sample is of class {shown}{more}: the network cannot learn it"))
}
