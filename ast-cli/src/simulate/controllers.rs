//! The four that are compared, each against the same case: what passes, and by which threshold.

use ast_control::{ControlError, Controller, OriginalController, PiConfig, Setpoint, simulate};
use ast_core::random::Purpose;
use ast_core::select::{Window, gate};

use super::case::{Case, Chunk};

/// Among how many scores `pi` and `quantile` take theirs: as the policy `ast`.
const WINDOW: usize = 4096;
/// Among how many `fixed` takes its constant: as the policy `fixed-threshold`.
const CALIBRATION: usize = 1024;

/// One chunk under one controller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Turn {
    /// Share of the chunk that is trained on.
    pub(super) rate: f64,
    /// In force during this chunk: a rank for `pi` and `quantile`, a significance for `seed`, a score for `fixed`.
    pub(super) threshold: f64,
    /// The same as a score; for `seed` the score that an image of mean deviation needs.
    pub(super) score: f64,
}

pub(super) struct Trace {
    pub(super) controller: &'static str,
    pub(super) turns: Vec<Turn>,
}

/// All of them, in the order of every table.
pub(super) fn run(case: &Case, gains: PiConfig) -> Result<Vec<Trace>, ControlError> {
    Ok(vec![
        Trace { controller: "pi", turns: pi(case, gains)? },
        Trace { controller: "seed", turns: seed(case)? },
        Trace { controller: "fixed", turns: fixed(case) },
        Trace { controller: "quantile", turns: quantile(case) },
    ])
}

/// As the policy `ast` with a hard gate and no coverage: the plant has gain 1, and the bias alone would be right.
fn pi(case: &Case, gains: PiConfig) -> Result<Vec<Turn>, ControlError> {
    let (mut ranks, mut turns) = (Ranks::new(case), Vec::new());
    // An answer is in force during the next chunk, so the bias is that of the next target.
    let next = |k: usize| case.targets.get(k + 1).copied().unwrap_or(case.target());
    let setpoint = |k: usize| Setpoint { target: case.targets[k], bias: 1.0 - next(k) };
    closed_loop(&mut gains.check(1.0)?, setpoint, &mut turns, case, |k, threshold| ranks.offer(k, threshold))?;
    Ok(turns)
}

/// As the policy `original`: two random ones if none passes.
fn seed(case: &Case) -> Result<Vec<Turn>, ControlError> {
    let mut turns = Vec::new();
    let setpoint = |k: usize| Setpoint { target: case.targets[k], bias: 0.0 };
    let plant = |k: usize, threshold: f64| {
        let chunk = &case.chunks[k];
        let significance = significance(&chunk.scores, &chunk.deviations);
        // (threshold - 0.3 x 1/2) / 0.7 is what the score must contribute, half of it over its mean.
        let score = 2.0 * (threshold - 0.15) / 0.7 * f64::from(mean(&chunk.scores));
        Turn { rate: rate(chunk, significance.iter().map(|s| f64::from(*s) > threshold), 2), threshold, score }
    };
    closed_loop(&mut OriginalController::default(), setpoint, &mut turns, case, plant)?;
    Ok(turns)
}

/// As the policy `fixed-threshold`: the highest if none passes.
fn fixed(case: &Case) -> Vec<Turn> {
    let (mut first, mut seen) = (Window::new(CALIBRATION), 0);
    let offer = |(chunk, target): (&Chunk, &f64)| {
        if seen < CALIBRATION {
            first.extend(chunk.scores.iter().take(CALIBRATION - seen).copied());
            seen += chunk.scores.len();
        }
        let threshold = first.quantile(1.0 - target).map_or(f64::INFINITY, |quantile| f64::from(quantile.value));
        let rate = rate(chunk, chunk.scores.iter().map(|score| f64::from(*score) >= threshold), 1);
        Turn { rate, threshold, score: threshold }
    };
    // What is fixed does not hear of another target.
    case.chunks.iter().zip(case.targets.first().into_iter().cycle()).map(offer).collect()
}

fn quantile(case: &Case) -> Vec<Turn> {
    let mut ranks = Ranks::new(case);
    case.targets.iter().enumerate().map(|(k, target)| ranks.offer(k, 1.0 - target)).collect()
}

/// [`simulate`], with a plant that says more than its rate.
fn closed_loop(
    controller: &mut dyn Controller,
    setpoint: impl FnMut(usize) -> Setpoint,
    turns: &mut Vec<Turn>,
    case: &Case,
    mut plant: impl FnMut(usize, f64) -> Turn,
) -> Result<(), ControlError> {
    let rate = |k: usize, threshold: f64| {
        let turn = plant(k, threshold);
        turns.push(turn);
        turn.rate
    };
    simulate(controller, case.chunks.len(), setpoint, rate).map(drop)
}

/// The gate on ranks.
struct Ranks<'a> {
    case: &'a Case,
    window: Window,
    passed: Vec<u32>,
}

impl<'a> Ranks<'a> {
    fn new(case: &'a Case) -> Self {
        Self { case, window: Window::new(WINDOW), passed: Vec::new() }
    }

    fn offer(&mut self, k: usize, threshold: f64) -> Turn {
        let chunk = &self.case.chunks[k];
        self.window.extend(chunk.scores.iter().copied());
        self.passed.clear();
        let quantile = self.window.quantile(threshold);
        if let Some(quantile) = quantile {
            let mut ties = self.case.random.stream(Purpose::Gate, k as u64, 0);
            gate::pass(&chunk.scores, quantile, &mut ties, &mut self.passed);
        }
        let trained = self.passed.iter().filter(|i| chunk.eligible[**i as usize]).count();
        let score = quantile.map_or(f64::NAN, |quantile| f64::from(quantile.value));
        Turn { rate: trained as f64 / chunk.scores.len() as f64, threshold, score }
    }
}

/// Share that passes and is eligible; if there is none, as much as `least` of the eligible.
fn rate(chunk: &Chunk, passes: impl Iterator<Item = bool>, least: usize) -> f64 {
    let trained = passes.zip(&chunk.eligible).filter(|(passes, eligible)| *passes && **eligible).count();
    let eligible = || chunk.eligible.iter().filter(|eligible| **eligible).count();
    (if trained == 0 { least.min(eligible()) } else { trained }) as f64 / chunk.scores.len() as f64
}

/// The original's, with the score for the loss: `0.7 f(l / mean l) + 0.3 f(d / mean d)`, `f(x) = clamp(x, 0, 2) / 2`.
fn significance(scores: &[f32], deviations: &[f32]) -> Vec<f32> {
    let part = |value: f32, mean: f32| if mean > 0.0 { (value / mean).clamp(0.0, 2.0) / 2.0 } else { 0.0 };
    let (mean_score, mean_deviation) = (mean(scores), mean(deviations));
    scores.iter().zip(deviations).map(|(s, d)| 0.7 * part(*s, mean_score) + 0.3 * part(*d, mean_deviation)).collect()
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

#[cfg(test)]
mod tests;
