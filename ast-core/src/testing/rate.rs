//! How much a policy trains, in a run of which every score is known beforehand.

use std::collections::VecDeque;

use super::{KnownLosses, Labels};
use crate::random::Random;
use crate::select::ledger::{Ledger, Seen};
use crate::select::policy::{Policy, PolicyError, View};
use crate::select::queue::{Accepted, Queue};
use crate::select::sample::{SampleId, Visit};
use crate::select::sampler::Sampler;

/// Samples a chunk and a batch.
const BATCH: usize = 32;

/// The share of what is offered in `epochs` nominal epochs that a policy accepts, coverage included, 0 and above.
///
/// `scores` are those of the samples, which are their losses as well, whenever they are forwarded or trained on. Batches are
/// trained one after they were selected, as in a run. A sample with a NaN is accepted and never seen, because such a step is
/// not made.
///
/// # Errors
/// What the policy refuses.
pub fn realised_rate(policy: &mut dyn Policy, scores: &[f32], epochs: u32) -> Result<f64, PolicyError> {
    let (samples, random, data) = (scores.len(), Random::new(1), Labels(vec![0; scores.len()]));
    let (mut ledger, mut queue, mut losses) = (Ledger::new(&data), Queue::new(samples), KnownLosses(scores.to_vec()));
    let mut sampler = Sampler::new(random, samples, BATCH);
    let mut waiting: VecDeque<Vec<Accepted>> = VecDeque::new();
    let (all, mut offered, mut accepted) = ((samples * epochs as usize) as f64, 0, 0);
    for epoch in 0..epochs {
        let coverage = policy.begin(f64::from(offered) / all);
        let plan = sampler.plan(epoch, coverage);
        for offer in (0..plan.chunks()).map_while(|chunk| plan.offer(epoch, chunk)) {
            let spent = f64::from(offered) / all;
            offered += offer.len() as u32;
            let mut chosen = Vec::new();
            let mut view = View { spent, dataset: &data, ledger: &ledger, queue: &queue, random, fresh: &mut losses };
            policy.select(offer, &mut view, &mut chosen)?;
            let coverage = offer.coverage.iter().map(|id| (*id, true));
            for (id, coverage) in coverage.chain(chosen.into_iter().map(|id| (id, false))) {
                accepted += 1;
                queue.push(Accepted { visit: Visit { id, epoch }, coverage, spent, weight: 1.0 });
            }
            while queue.len() >= BATCH {
                waiting.push_back(queue.take(BATCH));
                if waiting.len() > 1
                    && let Some(batch) = waiting.pop_front()
                {
                    train(&batch, scores, policy, &mut ledger, &mut queue);
                }
            }
        }
    }
    Ok(f64::from(accepted) / f64::from(offered))
}

fn train(batch: &[Accepted], scores: &[f32], policy: &mut dyn Policy, ledger: &mut Ledger, queue: &mut Queue) {
    let seen = |accepted: &Accepted| {
        let (id, coverage): (SampleId, bool) = (accepted.visit.id, accepted.coverage);
        let loss = scores[id as usize];
        Seen { id, score: loss, loss, correct: false, coverage }
    };
    let seen: Vec<Seen> = batch.iter().map(seen).filter(|seen| seen.loss.is_finite()).collect();
    ledger.record(&seen);
    policy.learn(&seen);
    batch.iter().for_each(|accepted| queue.done(accepted.visit.id));
}
