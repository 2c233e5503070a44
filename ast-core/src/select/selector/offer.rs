//! Offers one chunk of the epoch to the policy.

use super::Selector;
use super::saved::Cursor;
use crate::select::error::SelectError;
use crate::select::policy::{PolicyError, SelectionContext};
use crate::select::probe::{ChargedProbe, Probe};
use crate::select::queue::Accepted;
use crate::select::sample::{Level, SampleId};
use crate::select::sampler::Offer;

impl Selector {
    /// Adds the coverage of the next chunk, and the candidates that the policy accepts, to the queue.
    pub(super) fn offer_chunk(&mut self, probe: &mut dyn Probe) -> Result<(), SelectError> {
        let Cursor { epoch, chunk } = self.state.next;
        let before = self.spent(probe)?;
        let stage = self.level();
        let state = &mut self.state;
        if chunk == 0 {
            let coverage = self.policy.begin(before);
            if !(0.0..=1.0).contains(&coverage) {
                return Err(contract("begin", coverage, "a share in 0..=1"));
            }
            state.covers = coverage > 0.0;
            state.plan = state.sampler.plan(epoch, coverage);
        }
        if let Some(offer) = state.plan.offer(epoch, chunk) {
            state.counts.offered += offer.len() as u64;
            let there = |ids: &[SampleId]| -> Vec<SampleId> {
                ids.iter().copied().filter(|id| !state.left_out.contains(id)).collect()
            };
            let (coverage, candidates) = (there(offer.coverage), there(offer.candidates));
            let offer = Offer { coverage: &coverage, candidates: &candidates, ..offer };
            let mut chosen = Vec::new();
            let (ledger, queue, random) = (&state.ledger, &state.queue, self.random);
            let charged = ChargedProbe::new(&mut *probe, &mut state.counts, ledger, queue).at(stage);
            let mut context = SelectionContext { spent: before, ledger, queue, random, probe: charged };
            if !offer.is_empty() {
                self.policy.select(offer, &mut context, &mut chosen)?;
            }
            let weights = self.policy.loss_weights(offer, &chosen, &context);
            let levels = self.policy.levels(offer, &chosen, &context);
            check_choice(&offer, &chosen, &weights, &levels, state.ledger.samples())?;
            // Without coverage, the selected samples count as coverage: there is no more representative sample.
            let coverage = offer.coverage.iter().map(|id| (*id, true));
            let accepted = coverage.chain(chosen.into_iter().map(|id| (id, !state.covers)));
            let weights = weights.into_iter().chain(std::iter::repeat(1.0));
            let staged = levels.is_empty();
            let levels = levels.into_iter().chain(std::iter::repeat(stage));
            let accepted: Vec<_> = accepted.zip(weights).zip(levels).collect();
            for (_, level) in &accepted {
                let cost = self.costs.get(usize::from(*level));
                let known = self.costs.len();
                state.counts.accepted_cost += cost.ok_or(SelectError::Level { level: *level, known })?.step;
            }
            state.counts.accepted += accepted.len() as u64;
            // The middle of the chunk: otherwise the last step would be at the end of the budget, where the learning
            // rate is 0.
            let spent = (before + self.spent(probe)?) / 2.0;
            for (((id, coverage), weight), level) in accepted {
                let visit = self.state.queue.visit(id, epoch, &self.state.ledger);
                self.state.queue.push(level, Accepted { visit, coverage, spent, weight, staged });
            }
        }
        let last = chunk + 1 >= self.state.plan.chunks();
        self.state.next = if last { Cursor { epoch: epoch + 1, chunk: 0 } } else { Cursor { epoch, chunk: chunk + 1 } };
        Ok(())
    }
}

fn contract(method: &'static str, given: impl std::fmt::Display, allowed: impl Into<String>) -> SelectError {
    PolicyError::Contract { method, given: given.to_string(), allowed: allowed.into() }.into()
}

/// Checks the return values of a policy for a chunk.
fn check_choice(
    offer: &Offer<'_>,
    chosen: &[SampleId],
    weights: &[f32],
    levels: &[Level],
    samples: usize,
) -> Result<(), SelectError> {
    if let Some(id) = chosen.iter().find(|id| **id as usize >= samples) {
        return Err(contract("select", format!("sample {id}"), format!("ids below {samples}")));
    }
    let trained = offer.coverage.len() + chosen.len();
    for (method, found) in [("loss_weights", weights.len()), ("levels", levels.len())] {
        if found != 0 && found != trained {
            return Err(contract(method, format!("{found} values"), format!("0 or {trained} values")));
        }
    }
    match weights.iter().find(|weight| !(weight.is_finite() && **weight > 0.0)) {
        Some(weight) => Err(contract("loss_weights", weight, "a number above 0")),
        None => Ok(()),
    }
}
