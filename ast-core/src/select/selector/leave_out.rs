//! Samples that cannot be loaded, such as broken files: a run goes on without them.

use std::collections::BTreeSet;

use super::Selector;
use crate::select::batch::Batch;
use crate::select::error::SelectError;
use crate::select::sample::SampleId;

impl Selector {
    /// Takes samples that cannot be loaded out of the run: they are not offered to the policy any more. A sample may still
    /// be in a batch that was selected before: see [`shrink`](Self::shrink). It counts as offered in every epoch, and
    /// costs nothing.
    pub fn leave_out(&mut self, ids: impl IntoIterator<Item = SampleId>) {
        self.state.left_out.extend(ids);
    }

    /// The samples that were [left out](Self::leave_out).
    #[must_use]
    pub fn left_out(&self) -> &BTreeSet<SampleId> {
        &self.state.left_out
    }

    /// Takes samples out of a batch in flight. They count as never accepted. Returns the smaller batch; `None` if nothing is
    /// left of it, and then it is not in flight any more.
    ///
    /// # Errors
    /// [`SelectError::NotInFlight`].
    pub fn shrink(&mut self, mut batch: Batch, ids: &[SampleId]) -> Result<Option<Batch>, SelectError> {
        let state = &mut self.state;
        let missing = SelectError::NotInFlight(batch.number);
        let place = state.in_flight.iter().position(|other| other.number == batch.number).ok_or(missing)?;
        let (gone, kept) = batch.accepted.into_iter().partition(|one| ids.contains(&one.visit.id));
        batch.accepted = kept;
        let gone: Vec<_> = gone;
        let cost = self.costs.get(usize::from(batch.level)).map_or(0, |cost| cost.step);
        state.counts.accepted -= gone.len() as u64;
        state.counts.accepted_cost -= gone.len() as u64 * cost;
        gone.iter().for_each(|accepted| state.queue.done(accepted.visit.id));
        if batch.accepted.is_empty() {
            state.in_flight.remove(place);
            return Ok(None);
        }
        state.in_flight[place] = batch.clone();
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::{Goal, Groups, NoProbe, Outcome, policy};

    fn selector(name: &str) -> Selector {
        Selector::new(Groups::none(40), policy(name, &[]).unwrap(), Goal::activation(0.5, 4), 8, 3).unwrap()
    }

    fn record(selector: &mut Selector, batch: Batch) {
        let values = vec![1.0; batch.len()];
        selector
            .record(batch, &Outcome { score: &values, loss: &values, correct: None, ..Outcome::default() })
            .unwrap();
    }

    /// A run in which four samples turn out to be broken when they are first loaded: each is in few batches, none is
    /// recorded, and what was accepted is what was trained.
    #[test]
    fn a_sample_that_is_left_out_is_not_selected_again() {
        for name in ["random", "ast", "dense"] {
            let mut selector = selector(name);
            let (bad, mut met) = ([3, 4, 17, 39], 0);
            while let Some(batch) = selector.next_batch(&mut NoProbe).unwrap() {
                let found: Vec<_> = batch.ids().into_iter().filter(|id| bad.contains(id)).collect();
                met += found.len();
                selector.leave_out(found.iter().copied());
                if let Some(batch) = selector.shrink(batch, &found).unwrap() {
                    assert!(!batch.is_weighted() && batch.ids().iter().all(|id| !bad.contains(id)));
                    record(&mut selector, batch);
                }
            }
            let counts = *selector.counts();
            assert_eq!(selector.left_out().iter().copied().collect::<Vec<_>>(), bad, "{name}");
            assert!((4..=8).contains(&met), "{name}: {met}");
            assert_eq!((counts.accepted, counts.accepted_cost), (counts.trained, counts.training_cost), "{name}");
            assert_eq!(counts.offered, 160, "{name}");
            assert!(bad.iter().all(|id| selector.ledger().visits(*id) == 0));
            assert!((0..40).all(|id| !selector.state.queue.is_pending(id)));
        }
    }

    #[test]
    fn a_batch_of_broken_samples_only_is_gone_and_a_saved_selector_knows_them() {
        let mut first = selector("random");
        let batch = first.next_batch(&mut NoProbe).unwrap().unwrap();
        first.leave_out(batch.ids());
        assert_eq!(first.shrink(batch.clone(), &batch.ids()).unwrap(), None);
        assert!(first.in_flight().is_empty() && first.shrink(batch, &[]).is_err());
        let mut second = selector("random");
        second.restore(&first.save().unwrap()).unwrap();
        assert_eq!(second.left_out(), first.left_out());
        assert_eq!(second.next_batch(&mut NoProbe).unwrap(), first.next_batch(&mut NoProbe).unwrap());
    }
}
