//! Measures whether selection pays, from steps that are made anyway, and switches it off where it does not.
//!
//! The coverage samples of a batch are a uniform sample of the data. The inner products of the batch's per-sample
//! gradients ([`Alignment`]) show to first order how much a step reduces the whole loss, with the selected samples in
//! the batch and without. Selection pays if the first is larger.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::alignment::Alignment;

/// Number of steps per block of evidence.
const BLOCK: u32 = 4;
/// Smallest number of blocks for a decision, and the number of latest blocks that it uses.
const LEAST_BLOCKS: usize = 6;
const MOST_BLOCKS: usize = 16;
/// Number of standard errors by which the two reductions must differ.
const SURE: f64 = 2.5;
/// Share of the budget that is trained uniformly after the first decision against selection; every further decision
/// doubles it. A decision takes effect at the next nominal epoch.
const PAUSE: f64 = 0.1;

/// A decision of a policy to start or stop selecting.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the policy selects from the next nominal epoch on.
    pub selecting: bool,
    /// The evidence; `None` if a pause ended.
    pub evidence: Option<Evidence>,
}

/// Evidence for or against selection.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Loss reduction of batches with selected samples, divided by that of uniform batches; above 1 speaks for
    /// selection.
    pub gain: f64,
    /// Difference of the two loss reductions in standard errors; above 0 speaks for selection.
    pub standard_errors: f64,
}

/// Stops selection while it does not pay, and tries it again after a pause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guard {
    lambda: f64,
    block: Alignment,
    steps: u32,
    blocks: VecDeque<Alignment>,
    state: State,
    pause: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum State {
    /// Selecting, until the evidence is against it.
    Selecting,
    /// Uniform, until this share of the budget is spent.
    Uniform(f64),
    /// Selecting on trial. The trial ends with evidence for selection, or in a pause once all blocks are full.
    OnTrial,
}

impl Guard {
    /// A guard for selection of a share `lambda` of each batch.
    pub(crate) fn new(lambda: f64) -> Self {
        let blocks = VecDeque::new();
        Self { lambda, block: Alignment::default(), steps: 0, blocks, state: State::Selecting, pause: PAUSE }
    }

    /// Whether the policy selects.
    pub(crate) fn selects(&self) -> bool {
        !matches!(self.state, State::Uniform(_))
    }

    /// Adds the evidence of a step at a share `spent` of the budget.
    pub(crate) fn watch(&mut self, alignment: &Alignment, spent: f64) -> Option<Decision> {
        if let State::Uniform(until) = self.state {
            return (spent >= until).then(|| self.turn(State::OnTrial, None));
        }
        let [covered, selected] = alignment.samples;
        if covered < 2.0 || selected < 2.0 || alignment.products.iter().any(|sum| !sum.is_finite()) {
            return None;
        }
        self.block += *alignment;
        self.steps += 1;
        if self.steps < BLOCK {
            return None;
        }
        if self.blocks.len() == MOST_BLOCKS {
            self.blocks.pop_front();
        }
        self.blocks.push_back(std::mem::take(&mut self.block));
        self.steps = 0;
        let evidence = self.evidence((covered + selected).round());
        let impatient = self.state == State::OnTrial && self.blocks.len() == MOST_BLOCKS;
        let sure = evidence.map_or(0.0, |evidence| evidence.standard_errors);
        if sure < -SURE || (impatient && sure <= SURE) {
            let until = spent + self.pause;
            self.pause *= 2.0;
            return Some(self.turn(State::Uniform(until), evidence));
        }
        let proven = self.state == State::OnTrial && sure > SURE;
        proven.then(|| {
            self.state = State::Selecting;
            Decision { selecting: true, evidence }
        })
    }

    fn turn(&mut self, state: State, evidence: Option<Evidence>) -> Decision {
        (self.state, self.block, self.steps) = (state, Alignment::default(), 0);
        self.blocks.clear();
        Decision { selecting: self.selects(), evidence }
    }

    /// The evidence of all blocks. The standard error of the difference is a delete-one jackknife over blocks (Efron &
    /// Stein 1981). It uses the difference because the quotient is unbounded where the whole gradient is small.
    fn evidence(&self, batch: f64) -> Option<Evidence> {
        let n = self.blocks.len();
        if n < LEAST_BLOCKS {
            return None;
        }
        let without = |left_out: usize| {
            let mut sum = Alignment::default();
            self.blocks.iter().enumerate().filter(|(i, _)| *i != left_out).for_each(|(_, block)| sum += *block);
            sum.progress(self.lambda, batch)
        };
        let [selected, uniform] = without(n)?;
        let others: Vec<f64> = (0..n).map(|i| without(i).map(|[a, b]| a - b)).collect::<Option<_>>()?;
        let mean = others.iter().sum::<f64>() / n as f64;
        let squares: f64 = others.iter().map(|other| (other - mean).powi(2)).sum();
        let error = (squares * (n - 1) as f64 / n as f64).sqrt();
        Some(Evidence { gain: selected / uniform, standard_errors: (selected - uniform) / error })
            .filter(|evidence| evidence.standard_errors.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Random, Stream};

    /// The alignment of gradients that are given as vectors.
    fn alignment(coverage: &[Vec<f64>], selected: &[Vec<f64>]) -> Alignment {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let between =
            |a: &[Vec<f64>], b: &[Vec<f64>]| a.iter().flat_map(|x| b.iter().map(move |y| dot(x, y))).sum::<f64>();
        let squares = [coverage, selected].map(|of| of.iter().map(|x| dot(x, x)).sum::<f64>());
        let (c, s) = (coverage.len() as f64, selected.len() as f64);
        Alignment {
            samples: [c, s],
            products: [
                between(coverage, coverage) - squares[0],
                between(coverage, selected),
                between(selected, selected) - squares[1],
            ],
            pairs: [c * (c - 1.0), c * s, s * (s - 1.0)],
            squares,
        }
    }

    /// `n` gradients around `(along, 0, .., 0)` with unit noise in each of 20 directions.
    fn gradients(n: usize, along: f64, stream: &mut Stream) -> Vec<Vec<f64>> {
        let one = |stream: &mut Stream| (0..20).map(|k| stream.normal() + if k == 0 { along } else { 0.0 }).collect();
        (0..n).map(|_| one(stream)).collect()
    }

    /// Decisions over steps of 26 coverage samples and 102 selected samples, whose mean gradient is `along(step)`; 1
    /// for coverage. Returns the step of each decision and whether it selects.
    fn verdicts(along: impl Fn(usize) -> f64, steps: usize) -> Vec<(usize, bool)> {
        let (mut guard, mut verdicts) = (Guard::new(0.8), Vec::new());
        for step in 0..steps {
            let mut stream = Random::new(4).stream(Purpose::Data, step as u64, 0);
            let coverage = gradients(26, 1.0, &mut stream);
            let selected = if guard.selects() { gradients(102, along(step), &mut stream) } else { Vec::new() };
            let decision = guard.watch(&alignment(&coverage, &selected), step as f64 / steps as f64);
            verdicts.extend(decision.map(|decision| (step, decision.selecting)));
        }
        verdicts
    }

    #[test]
    fn selection_is_paused_only_where_it_does_not_pay() {
        assert_eq!(verdicts(|_| 2.0, 400), [], "twice as far along with the same noise");
        let bad = verdicts(|_| 0.2, 400);
        assert_eq!(bad[0], (23, false), "after six blocks of four: {bad:?}");
        assert_eq!(bad[1], (63, true), "on trial after a tenth of the budget: {bad:?}");
        assert!(!bad[2].1 && bad[2].0 < 63 + 70, "{bad:?}");
        assert!(bad[3].0 >= bad[2].0 + 79, "the second pause is twice as long: {bad:?}");
    }

    /// Selection that starts to pay during the run is resumed.
    #[test]
    fn a_trial_that_pays_ends_the_pause() {
        let turned = verdicts(|step| if step < 40 { 0.2 } else { 2.0 }, 400);
        assert_eq!(
            turned.iter().map(|(_, selecting)| *selecting).collect::<Vec<_>>(),
            [false, true, true],
            "{turned:?}"
        );
    }

    /// Selected and coverage samples have the same distribution: the guard may act in few of twenty runs of
    /// 400 steps.
    #[test]
    fn the_guard_seldom_acts_by_chance() {
        let off = (0..20).filter(|run| {
            let (mut guard, mut off) = (Guard::new(0.8), false);
            for step in 0..400u64 {
                let mut stream = Random::new(100 + run).stream(Purpose::Data, step, 0);
                let both = alignment(&gradients(26, 1.0, &mut stream), &gradients(102, 1.0, &mut stream));
                off |= guard.watch(&both, 0.0).is_some();
            }
            off
        });
        let off = off.count();
        assert!(off <= 5, "{off} of 20");
    }
}
