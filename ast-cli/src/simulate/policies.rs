//! Runs the compared policies, built as in a real run, on the same case, and records how much of each chunk they train.

use std::fmt::Display;

use ast_control::PiConfig;
use ast_core::select::{
    Accepted, ChargedProbe, Counts, Goal, Groups, Ledger, PolicyChoice, PolicyError, Queue, SampleId, Sampler,
    SelectionContext, Visit, policy,
};

use super::case::{Case, Chunk};
use crate::failure::{Failure, Kind};

/// The compared policies, in the order of every table.
pub(super) const NAMES: [&str; 4] = ["ast", "original", "fixed-threshold", "quantile"];
/// Share of the target that `ast` selects by significance: its default in a long enough run.
pub(super) const LAMBDA: f64 = 0.8;
/// Share of the budget spent: the middle of a run, where `ast` uses the full [`LAMBDA`].
const SPENT: f64 = 0.5;

/// The result of one chunk under one policy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Turn {
    /// Share of the chunk that is trained on, coverage included.
    pub(super) rate: f64,
    /// The threshold for the next chunk: a rank for `ast` and `quantile`, a significance for `original`, a score for
    /// `fixed-threshold`.
    pub(super) threshold: f64,
}

pub(super) struct Trace {
    pub(super) policy: &'static str,
    pub(super) turns: Vec<Turn>,
}

/// Runs all policies on a case.
pub(super) fn run(case: &Case, control: PiConfig) -> Result<Vec<Trace>, Failure> {
    NAMES.into_iter().map(|name| Ok(Trace { policy: name, turns: turns(name, case, control)? })).collect()
}

/// A policy with its defaults, except that `ast` uses the scores of the chunk: nothing is trained here, so the ledger
/// has no scores.
fn choice(name: &str) -> Result<PolicyChoice, PolicyError> {
    let ast = |controller: &str| {
        policy("ast", &[("lambda", LAMBDA.into()), ("source", "fresh".into()), ("controller", controller.into())])
    };
    match name {
        "ast" => ast("pi"),
        "quantile" => ast("quantile"),
        name => policy(name, &[]),
    }
}

/// Runs a policy. Every chunk is a nominal epoch of its own. The policy keeps its learned state when the target
/// changes.
pub(super) fn turns(name: &str, case: &Case, control: PiConfig) -> Result<Vec<Turn>, Failure> {
    let (choice, samples) = (choice(name).map_err(bug)?, case.chunk());
    let goal = |target| Goal { control, ..Goal::activation(target, case.chunks.len() as u32) };
    let mut target = case.targets[0];
    let mut policy = choice.clone().build(goal(target)).map_err(bug)?;
    let mut sampler = Sampler::new(case.random, samples, samples);
    let (ledger, mut counts) = (Ledger::new(Groups::none(samples)), Counts::default());
    let mut turns = Vec::new();
    for (epoch, (chunk, wanted)) in (0..).zip(case.chunks.iter().zip(&case.targets)) {
        if *wanted != target {
            let learned = policy.save().map_err(bug)?;
            target = *wanted;
            policy = choice.clone().build(goal(target)).map_err(bug)?;
            policy.restore(&learned).map_err(bug)?;
        }
        let plan = sampler.plan(epoch, policy.begin(SPENT));
        let Some(offer) = plan.offer(epoch, 0) else { break };
        let (queue, mut scores) = (waiting(chunk, epoch), chunk);
        let mut context = SelectionContext {
            spent: SPENT,
            ledger: &ledger,
            queue: &queue,
            random: case.random,
            probe: ChargedProbe::new(&mut scores, &mut counts, &ledger, &queue),
        };
        let mut accepted = Vec::new();
        policy.select(offer, &mut context, &mut accepted).map_err(bug)?;
        let rate = (offer.coverage.len() + accepted.len()) as f64 / offer.len() as f64;
        turns.push(Turn { rate, threshold: policy.stats(&goal(target)).threshold.unwrap_or(f64::NAN) });
    }
    Ok(turns)
}

/// A queue with the samples that are already waiting.
fn waiting(chunk: &Chunk, epoch: u32) -> Queue {
    let mut queue = Queue::new(chunk.waiting.len());
    for (id, _) in (0..).zip(&chunk.waiting).filter(|(_, waiting)| **waiting) {
        let visit = Visit { id: id as SampleId, epoch, earlier: 0 };
        queue.push(0, Accepted { visit, coverage: false, spent: SPENT, weight: 1.0, staged: false });
    }
    queue
}

/// An error here is a bug, because the numbers were checked before.
fn bug(error: impl Display) -> Failure {
    Failure::new(Kind::Bug, error.to_string())
}

#[cfg(test)]
mod tests;
