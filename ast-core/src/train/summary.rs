//! The summary of a run, from its counts and its clock.

use std::collections::BTreeMap;

use super::Trainer;
use super::clock::Phase;
use crate::data::{Dataset, Shape};
use crate::model::Model;
use crate::run::{
    Accuracy, Activation, Evaluation, Flops, Group, Joules, LeftOut, Loss, SCHEMA, Samples, Savings, Seconds, Summary,
    TextResult,
};
use crate::select::{Ledger, Limit, SampleId};

impl<M: Model> Trainer<M> {
    /// The parts of the summary that the trainer knows.
    pub(super) fn summary(&self) -> Summary {
        let (kind, goal, counts, clock) = (self.selector.policy().kind, self.config.goal, self.counts(), &self.clock);
        let (ledger, evaluations) = (self.selector.ledger(), &self.state.evaluations);
        // If the policy does not keep the target, the summary shows the target that was set.
        let kept = kind.keeps_target;
        let target = if kept { self.selector.policy().stats(&goal).target } else { goal.target };
        let warmup = Some(self.selector.warm_up()).filter(|share| *share > 0.0);
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
            text: text_result(last.loss, self.test.dataset().as_ref()),
            epochs: goal.epochs,
            steps: counts.steps,
            skipped: counts.skipped,
            activation: Activation {
                target,
                realised: counts.trained as f64 / counts.offered.max(1) as f64,
                kept,
                warmup,
            },
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
            preprocessing: self.preprocessing.clone(),
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
                stopped: clock.stopped(),
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

/// The units of language models for a loss, in nats a token, on this data; `None` for images.
#[must_use]
pub fn text_result(loss: f64, data: &dyn Dataset) -> Option<TextResult> {
    let Shape::Tokens(context) = data.shape() else { return None };
    // In UTF-8 every byte but those of the form 10xxxxxx begins a character.
    let begins = |bytes: &[u8]| bytes.iter().filter(|byte| *byte & 0xc0 != 0x80).count() as u64;
    let characters: Vec<u64> = (0..data.classes()).map(|token| data.token(token).map_or(0, begins)).collect();
    let (mut asked, mut window) = (0, vec![0; context + 1]);
    for id in 0..data.samples() as SampleId {
        data.write_tokens(id, &mut window);
        asked += window[1..].iter().filter_map(|token| characters.get(*token as usize)).sum::<u64>();
    }
    let tokens = (data.samples() * context) as f64;
    let bits_per_character = loss / std::f64::consts::LN_2 * tokens / asked as f64;
    Some(TextResult { perplexity: loss.exp(), bits_per_character })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of `é` and `a` in turn, whose tokens are its bytes.
    struct Bytes;

    impl Dataset for Bytes {
        fn samples(&self) -> usize {
            10
        }
        fn classes(&self) -> usize {
            3
        }
        fn shape(&self) -> Shape {
            Shape::Tokens(3)
        }
        fn label(&self, _: SampleId) -> usize {
            0
        }
        fn write(&self, _: SampleId, _: &mut [f32]) {}
        fn write_tokens(&self, _: SampleId, out: &mut [i32]) {
            out.copy_from_slice(&[2, 0, 1, 2]);
        }
        fn token(&self, token: usize) -> Option<&[u8]> {
            [&[0xc3_u8][..], &[0xa9], b"a"].get(token).copied()
        }
        fn input_deviation(&self, _: SampleId) -> f32 {
            0.0
        }
    }

    /// Two characters in three bytes, each byte as uncertain as a coin: 1.5 bits a character.
    #[test]
    fn bits_are_counted_by_characters() {
        let TextResult { perplexity, bits_per_character } = text_result(std::f64::consts::LN_2, &Bytes).unwrap();
        assert!((perplexity - 2.0).abs() < 1e-12 && (bits_per_character - 1.5).abs() < 1e-12);
    }
}
