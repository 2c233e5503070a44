//! Whether selection pays at the moment, judged from steps that are paid for anyway.
//!
//! A sample's gradient by the last linear layer is `g = (p - onehot(y)) [h, 1]`, so two samples' gradients have the inner
//! product `((p_i - y_i) . (p_j - y_j)) (h_i . h_j + 1)` (that of the scorer `grad-norm`, kept as a vector). The
//! coverage samples of a batch are a uniform sample of the data: the mean of all pairs of them is the squared norm of the
//! gradient of the whole loss, the mean of pairs of one selected and one coverage sample is how far a selected one goes down
//! that loss. A batch of `b` samples of which a share `lambda` is selected goes down, to first order and for a step of fixed
//! length (as Adam's is, about), in proportion to
//!
//! `progress = <G, E g> / sqrt(E |mean of b g|^2)`, `E |mean|^2 = |E g|^2 + (E |g|^2 - |E g|^2)/b`
//!
//! and selection pays where that exceeds the same of a uniform batch.

use std::collections::VecDeque;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Steps that make up one block of evidence.
const BLOCK: u32 = 4;
/// Blocks that a verdict needs, and the most that it looks back on.
const LEAST_BLOCKS: usize = 6;
const MOST_BLOCKS: usize = 16;
/// Standard errors that the two must lie apart to count.
const SURE: f64 = 2.5;
/// Share of the budget that is uniform after a first verdict against selection; it doubles with every further one. Verdicts
/// count from the next nominal epoch on.
const PAUSE: f64 = 0.1;

/// Pairwise inner products of a batch's per-sample gradients: sums over pairs of different samples, and over samples.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Alignment {
    /// Coverage samples, and selected ones.
    pub samples: [f64; 2],
    /// Inner products of two coverage samples, of a selected and a coverage sample, of two selected ones.
    pub products: [f64; 3],
    /// How many such pairs there are.
    pub pairs: [f64; 3],
    /// Squared norms of coverage samples, and of selected ones.
    pub squares: [f64; 2],
}

impl Alignment {
    /// From five sums over a batch, in this order: the products of two coverage samples, of a coverage and a selected one, and
    /// of two selected ones, a sample with itself included; the squared norms of coverage samples, and of selected ones.
    /// `None` if there are not five.
    #[must_use]
    pub fn of_sums(sums: &[f32], coverage: &[bool]) -> Option<Self> {
        let &[cc, cs, ss, c2, s2] = sums.iter().map(|x| f64::from(*x)).collect::<Vec<_>>().as_slice() else {
            return None;
        };
        let covered = coverage.iter().filter(|is| **is).count() as f64;
        let selected = coverage.len() as f64 - covered;
        Some(Self {
            samples: [covered, selected],
            products: [cc - c2, cs, ss - s2],
            pairs: [covered * (covered - 1.0), covered * selected, selected * (selected - 1.0)],
            squares: [c2, s2],
        })
    }

    /// From the error `p - onehot(y)` of each sample (for a regression: prediction minus target) and the input of the last
    /// layer, both row by row, one row a sample: what a loop of one's own gives to
    /// [`Selector::watch`](super::Selector::watch). Takes `n^2` products of two rows. `None` if the rows do not fit
    /// `coverage`, one entry a sample.
    #[must_use]
    pub fn of(errors: &[f32], features: &[f32], coverage: &[bool]) -> Option<Self> {
        let n = coverage.len();
        if n == 0 || errors.is_empty() || !errors.len().is_multiple_of(n) || !features.len().is_multiple_of(n) {
            return None;
        }
        let row = |values: &[f32], i: usize| {
            let width = values.len() / n;
            values[i * width..(i + 1) * width].iter().map(|x| f64::from(*x)).collect::<Vec<_>>()
        };
        let rows: Vec<_> = (0..n).map(|i| (row(errors, i), row(features, i))).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut sums = [0.0; 5];
        for (i, (error, input)) in rows.iter().enumerate() {
            for (j, (other_error, other_input)) in rows.iter().enumerate() {
                let product = dot(error, other_error) * (dot(input, other_input) + 1.0);
                match (coverage[i], coverage[j]) {
                    (true, true) => sums[0] += product,
                    (true, false) => sums[1] += product,
                    (false, true) => {}
                    (false, false) => sums[2] += product,
                }
                if i == j {
                    sums[if coverage[i] { 3 } else { 4 }] += product;
                }
            }
        }
        Self::of_sums(&sums.map(|sum| sum as f32), coverage)
    }

    /// What a batch of `batch` samples, a share `lambda` of them selected, gets done, and what a uniform one does; `None`
    /// where that cannot be told.
    #[must_use]
    pub fn progress(&self, lambda: f64, batch: f64) -> Option<[f64; 2]> {
        let mean = |sum: f64, n: f64| if n > 0.0 { sum / n } else { f64::NAN };
        let [cc, cs, ss] = [0, 1, 2].map(|i| mean(self.products[i], self.pairs[i]));
        let [c2, s2] = [0, 1].map(|i| mean(self.squares[i], self.samples[i]));
        let progress = |share: f64| {
            let kept = 1.0 - share;
            let mean = if share > 0.0 { kept * kept * cc + 2.0 * kept * share * cs + share * share * ss } else { cc };
            let (along, square) = if share > 0.0 { (kept * cc + share * cs, kept * c2 + share * s2) } else { (cc, c2) };
            along / (mean + (square - mean) / batch).sqrt()
        };
        let both = [progress(lambda), progress(0.0)];
        both.iter().all(|progress| progress.is_finite()).then_some(both)
    }
}

impl AddAssign for Alignment {
    fn add_assign(&mut self, other: Self) {
        let add = |to: &mut [f64], from: &[f64]| to.iter_mut().zip(from).for_each(|(a, b)| *a += b);
        add(&mut self.samples, &other.samples);
        add(&mut self.products, &other.products);
        add(&mut self.pairs, &other.pairs);
        add(&mut self.squares, &other.squares);
    }
}

/// A policy's verdict about itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether it selects from now on.
    pub selecting: bool,
    /// The reason, unless it is only that a pause is over.
    pub evidence: Option<Evidence>,
}

/// What speaks for selection, or against it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What batches with selected samples get done over what uniform ones do.
    pub gain: f64,
    /// How far what they get done is above what uniform ones do, in standard errors of that.
    pub standard_errors: f64,
}

/// Watches whether selection pays; switches it off where it does not, on trial after a pause.
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
    /// Until it is shown not to pay.
    Selecting,
    /// Until so much of the budget is spent.
    Uniform(f64),
    /// Until it is shown to pay, or there is no more patience.
    OnTrial,
}

impl Guard {
    /// Over selection of a share `lambda` of each batch.
    pub(crate) fn new(lambda: f64) -> Self {
        let blocks = VecDeque::new();
        Self { lambda, block: Alignment::default(), steps: 0, blocks, state: State::Selecting, pause: PAUSE }
    }

    /// Whether there is to be selection.
    pub(crate) fn selects(&self) -> bool {
        !matches!(self.state, State::Uniform(_))
    }

    /// Takes in a step at a share `spent` of the budget.
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

    /// Over all blocks, with the standard error of the difference by the jackknife (Efron & Stein 1981), a block left out at
    /// a time. The difference and not the quotient, which has no bounds where the whole gradient is small.
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

    /// The sums of gradients that are plain vectors.
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

    /// Of the outer products of error and input, a one appended, written out by hand: errors 1, -1 and 2, inputs 3, 0 and 1.
    #[test]
    fn alignment_of_a_worked_example() {
        // Gradients [3, 1], [0, -1], [2, 2]: products 1x2: -1, 1x3: 8, 2x3: -2; squares 10, 1, 8.
        let alignment = Alignment::of(&[1.0, -1.0, 2.0], &[3.0, 0.0, 1.0], &[true, false, true]).unwrap();
        assert_eq!((alignment.samples, alignment.pairs), ([2.0, 1.0], [2.0, 2.0, 0.0]));
        assert_eq!((alignment.products, alignment.squares), ([16.0, -3.0, 0.0], [18.0, 1.0]));
        assert_eq!(Alignment::of(&[1.0; 4], &[1.0; 3], &[true; 3]), None);
        assert_eq!(Alignment::of(&[], &[], &[]), None);
    }

    /// Gradients along one line. Where all are equal the gain is 1; that of half ones and half threes, all in the right
    /// direction, is below it for their scatter, 2/sqrt(4 + 1/4); opposite ones have a negative one.
    #[test]
    fn the_gain_of_worked_examples() {
        let of = |coverage: [f64; 2], selected: [f64; 2]| {
            let rows = |values: [f64; 2]| values.map(|x| vec![x]).to_vec();
            let [mixed, uniform] = alignment(&rows(coverage), &rows(selected)).progress(0.5, 4.0).unwrap();
            mixed / uniform
        };
        assert!((of([2.0, 2.0], [2.0, 2.0]) - 1.0).abs() < 1e-12);
        assert!((of([1.0, 1.0], [3.0, 3.0]) - 2.0 / 4.25_f64.sqrt()).abs() < 1e-12);
        // cc = 1, c2 = 5/2 for 1/2 and 2: uniform 1/sqrt(1 + 1.125/4). cs = ss = s2 = 1.5625:
        // mean (1 + 2 x 1.5625 + 1.5625)/4 = 1.421875, square (2.125 + 1.5625)/2 = 1.84375, along (1 + 1.5625)/2.
        let uniform = 1.0 / (1.0_f64 + (2.125 - 1.0) / 4.0).sqrt();
        let mixed = 1.281_25 / (1.421_875_f64 + (1.843_75 - 1.421_875) / 4.0).sqrt();
        assert!((of([0.5, 2.0], [1.25, 1.25]) - mixed / uniform).abs() < 1e-12);
        assert!(of([1.0, 1.0], [-3.0, -3.0]) < 0.0);
        assert_eq!(Alignment::default().progress(0.5, 4.0), None);
    }

    /// Steps of 26 coverage and 102 selected samples, whose gradients lie `along` as far: the verdicts, and when.
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
    fn selection_that_pays_goes_on_and_that_which_does_not_is_switched_off_for_a_while() {
        assert_eq!(verdicts(|_| 2.0, 400), [], "twice as far along with the same noise");
        let bad = verdicts(|_| 0.2, 400);
        assert_eq!(bad[0], (23, false), "after six blocks of four: {bad:?}");
        assert_eq!(bad[1], (63, true), "on trial after a tenth of the budget: {bad:?}");
        assert!(!bad[2].1 && bad[2].0 < 63 + 70, "{bad:?}");
        assert!(bad[3].0 >= bad[2].0 + 79, "the second pause is twice as long: {bad:?}");
    }

    /// What pays again is taken up again.
    #[test]
    fn a_trial_that_pays_ends_the_pause() {
        let turned = verdicts(|step| if step < 40 { 0.2 } else { 2.0 }, 400);
        assert_eq!(
            turned.iter().map(|(_, selecting)| *selecting).collect::<Vec<_>>(),
            [false, true, true],
            "{turned:?}"
        );
    }

    /// Nothing to find: over 400 steps, in twenty runs, few are switched off.
    #[test]
    fn chance_seldom_decides() {
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
