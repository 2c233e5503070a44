//! Reads snapshots of checkpoint formats 1 and 2, in which the states of selector and trainer were one.

use std::collections::VecDeque;

use ast_control::Ema;
use serde::Deserialize;

use super::clock::{Booked, Phase};
use super::state::State;
use crate::codec::{SnapshotError, decode};
use crate::run::Evaluation;
use crate::select::selector::{self, Cursor};
use crate::select::{Accepted, Batch, Counts, Ledger, PassCost, Plan, Queue, Sampler, SelectionStats};

#[derive(Deserialize)]
struct OldState {
    sampler: Sampler,
    plan: Plan,
    covers: bool,
    next: Cursor,
    queue: OldQueue,
    loading: VecDeque<OldBatch>,
    accepted: u64,
    ledger: Ledger,
    #[serde(default)]
    reference: Vec<f32>,
    mean_loss: Ema,
    meter: OldMeter,
    evaluations: Vec<Evaluation>,
    lr_scale: f64,
}

#[derive(Deserialize)]
struct OldQueue {
    waiting: VecDeque<Accepted>,
    pending: Vec<u8>,
}

#[derive(Deserialize)]
struct OldBatch {
    accepted: Vec<Accepted>,
    offered: u64,
    control: SelectionStats,
}

#[derive(Deserialize)]
struct OldMeter {
    seconds: [f64; Phase::ALL.len()],
    step_seconds: VecDeque<f64>,
    steps: u64,
    skipped: u64,
    offered: u64,
    trained: u64,
    wasted: u64,
    scored: u64,
    #[serde(default)]
    halved: u64,
    #[serde(default)]
    small_trained: u64,
    #[serde(default)]
    small_scored: u64,
    #[serde(default)]
    aside: u64,
    evaluated: u64,
    #[serde(default)]
    watching: u64,
    #[serde(default)]
    joules: Option<f64>,
}

/// Splits that state into the selector's and the trainer's. `cost` is the cost of a sample; `schedule` is the share of
/// the run's schedule that the policy follows.
pub(super) fn split(bytes: &[u8], cost: PassCost, schedule: f64) -> Result<(selector::State, State), SnapshotError> {
    let old: OldState = decode("state", bytes)?;
    let meter = old.meter;
    let batch = |(number, old): (usize, OldBatch)| {
        let OldBatch { accepted, offered, control: stats } = old;
        let spent = accepted.iter().map(|accepted| accepted.spent).sum::<f64>() / accepted.len() as f64;
        Batch { number: number as u64, level: 0, accepted, spent: schedule * spent, offered, stats }
    };
    let in_flight: VecDeque<Batch> = old.loading.into_iter().enumerate().map(batch).collect();
    let counts = Counts {
        steps: meter.steps,
        skipped: meter.skipped,
        offered: meter.offered,
        accepted: old.accepted,
        trained: meter.trained,
        wasted: meter.wasted,
        scored: meter.scored,
        scored_half: meter.halved,
        auxiliary_trained: meter.small_trained,
        auxiliary_scored: meter.small_scored,
        accepted_cost: old.accepted * cost.step,
        training_cost: (meter.trained + meter.wasted) * cost.step,
        probe_cost: (meter.scored - meter.halved) * cost.forward + meter.aside,
        watching_cost: meter.watching,
    };
    let selector = selector::State {
        sampler: old.sampler,
        plan: old.plan,
        covers: old.covers,
        next: old.next,
        queue: Queue::of_one_level(old.queue.waiting, old.queue.pending),
        batches: in_flight.len() as u64,
        in_flight,
        ledger: old.ledger,
        counts,
    };
    let state = State {
        reference: old.reference,
        mean_loss: old.mean_loss,
        clock: Booked { seconds: meter.seconds, step_seconds: meter.step_seconds, joules: meter.joules },
        evaluated: meter.evaluated,
        evaluations: old.evaluations,
        lr_scale: old.lr_scale,
    };
    Ok((selector, state))
}
