//! The summary of a run, from its counts and its clock.

use std::collections::BTreeMap;

use super::Trainer;
use super::clock::Phase;
use crate::data::Dataset;
use crate::model::Model;
use crate::run::{
    Accuracy, Activation, Evaluation, Flops, Group, Joules, LeftOut, Loss, SCHEMA, Samples, Savings, Seconds, Summary,
};
use crate::select::{Ledger, Limit, SampleId};

impl<M: Model> Trainer<M> {
    /// The parts of the summary that the trainer knows.
    pub(super) fn summary(&self) -> Summary {
        let (kind, goal, counts, clock) = (self.selector.policy().kind, self.config.goal, self.counts(), &self.clock);
        let (ledger, evaluations) = (self.selector.ledger(), &self.state.evaluations);
        // If the policy does not keep the target, the summary shows the target that was set.
        let kept = kind.keeps_target;
        let target = if kept { self.selector.stats().target } else { goal.target };
        let last =
            evaluations.last().copied().unwrap_or(Evaluation { epoch: 0.0, accuracy: 0.0, loss: f64::NAN, tta: None });
        let best = evaluations.iter().map(|evaluation| evaluation.accuracy).fold(0.0, f64::max);
        let cost = self.selector.cost_of_a_sample();
        let dense_run = ledger.samples() as u64 * u64::from(goal.epochs);
        // A budget in seconds has no dense run.
        let dense = if matches!(goal.limit, Some(Limit::Seconds(_))) { counts.offered } else { dense_run };
        let dense_steps = dense as f64 / self.config.batch_size as f64;
        let dense_equivalent = clock.median_step().map(|step| step * dense_steps);
        let saved = |spent: f64, dense: f64| 1.0 - spent / dense;
        // Savings in joules need a measured dense run: only a comparison has one.
        let provenance =
            [("samples", "counted"), ("flops", "counted"), ("seconds", "estimated"), ("joules", "unavailable")];
        let left_out = LeftOut { training: self.selector.left_out().len(), test: self.state.bad_test.len() };
        Summary {
            schema: SCHEMA,
            origin: None,
            ran: Some(self.ran()),
            test: None,
            accuracy: Accuracy { last: last.accuracy, best, tta: last.tta },
            loss: Loss { last: last.loss },
            epochs: goal.epochs,
            steps: counts.steps,
            skipped: counts.skipped,
            activation: Activation { target, realised: counts.trained as f64 / counts.offered.max(1) as f64, kept },
            samples: Samples {
                offered: counts.offered,
                trained: counts.trained,
                scored: counts.scored,
                scored_half: counts.scored_half,
                auxiliary_trained: counts.auxiliary_trained,
                auxiliary_scored: counts.auxiliary_scored,
            },
            reads: self.train.dataset().reads_files().then_some(self.state.reads),
            left_out: Some(left_out).filter(|left_out| *left_out != LeftOut::default()),
            class_names: self.state.class_names.clone(),
            flops: Flops {
                total: counts.cost(),
                dense_equivalent: dense * cost.step,
                dense_run: dense_run * cost.step,
                scoring: counts.scoring_cost(),
                eval: self.state.evaluated * cost.forward,
            },
            seconds: Seconds {
                total: clock.total(),
                phases: Phase::ALL.iter().map(|phase| (phase.name().into(), clock.seconds(*phase))).collect(),
                dense_equivalent,
                phases_apart: clock.booked().apart,
            },
            joules: match clock.method() {
                Ok(method) if clock.joules().is_some() => {
                    Joules { total: clock.joules(), method: format!("measured: {method}") }
                }
                Ok(method) => {
                    Joules { total: None, method: format!("unavailable: {method} did not measure all of this run") }
                }
                Err(reason) => Joules { total: None, method: format!("unavailable: {reason}") },
            },
            savings: Savings {
                samples: saved(counts.trained as f64, dense as f64),
                flops: saved(counts.cost() as f64, (dense * cost.step) as f64),
                seconds: dense_equivalent.map(|dense| saved(clock.total() - clock.seconds(Phase::Eval), dense)),
                joules: None,
                provenance: provenance.map(|(saving, how)| (saving.into(), how.into())).into(),
            },
            groups: groups(ledger, self.train.dataset().as_ref()),
        }
    }
}

fn groups(ledger: &Ledger, dataset: &dyn Dataset) -> BTreeMap<String, Group> {
    let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for id in 0..dataset.samples() as SampleId {
        if let Some(group) = dataset.group(id) {
            let (samples, visits) = counts.entry(group.into()).or_default();
            *samples += 1;
            *visits += u64::from(ledger.visits(id));
        }
    }
    let visits = counts.values().map(|(_, visits)| visits).sum::<u64>().max(1) as f64;
    let share = |(samples, passes): (u64, u64)| Group {
        share: samples as f64 / dataset.samples() as f64,
        passes: passes as f64 / visits,
    };
    counts.into_iter().map(|(name, counts)| (name, share(counts))).collect()
}
