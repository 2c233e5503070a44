//! A sketch of the API that a Python binding (with PyO3, say) would have, without the binding itself.
//!
//! Only numbers, flat arrays and bytes cross the API. A batch is identified by a number. `main` takes the place of the
//! Python program.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use ast_core::plugin::ParamValue;
use ast_core::select::{
    Batch, Goal, Groups, Outcome, Probe, ProbeError, ProbeRequest, Probed, SampleId, ScoredBy, Selector, policy,
};

/// An error that the binding would raise as an exception.
type Raised = String;

fn raise(error: impl std::fmt::Display) -> Raised {
    error.to_string()
}

/// `class Selector`. Probes are answered by a function of the caller.
struct PySelector {
    selector: Selector,
    in_flight: BTreeMap<u64, Batch>,
    batches: u64,
}

/// `batch.number, batch.ids, batch.loss_weights, batch.spent, batch.level`
struct PyBatch {
    number: u64,
    ids: Vec<SampleId>,
    loss_weights: Vec<f32>,
    spent: f64,
    level: u8,
}

/// The caller's probe: from ids and the name of a network to losses and scores.
type ScoreFn<'a> = dyn FnMut(&[SampleId], &str) -> Result<(Vec<f32>, Vec<f32>), Raised> + 'a;

struct Called<'a>(&'a mut ScoreFn<'a>);

impl Probe for Called<'_> {
    fn score(&mut self, request: &ProbeRequest<'_>) -> Result<Probed, ProbeError> {
        let ids: Vec<SampleId> = request.visits.iter().map(|visit| visit.id).collect();
        let network = match request.by {
            ScoredBy::Network => "eval",
            ScoredBy::NetworkInTraining => "train",
            _ => return Err(ProbeError::NotOffered("a proxy or half the resolution")),
        };
        let (loss, score) = (self.0)(&ids, network).map_err(|raised| ProbeError::Failed(raised.into()))?;
        Ok(Probed { loss, score, cost: ids.len() as u64, skipped: false })
    }
}

impl PySelector {
    /// `Selector(labels, policy="ast", params={}, target=0.1, epochs=40, batch_size=128, seed=0)`
    fn new(
        labels: &[usize],
        name: &str,
        params: &[(&str, ParamValue)],
        (target, epochs): (f64, u32),
        batch_size: usize,
        seed: u64,
    ) -> Result<Self, Raised> {
        let groups = Groups::of(labels.iter().copied()).map_err(raise)?;
        let policy = policy(name, params).map_err(raise)?;
        let goal = Goal::activation(target, epochs);
        let selector = Selector::new(groups, policy, goal, batch_size, seed).map_err(raise)?;
        Ok(Self { selector, in_flight: BTreeMap::new(), batches: 0 })
    }

    /// `next_batch(score=None)`; `None` at the end of the run.
    fn next_batch<'a>(&mut self, score: &'a mut ScoreFn<'a>) -> Result<Option<PyBatch>, Raised> {
        let next = self.selector.next_batch(&mut Called(score)).map_err(raise)?;
        Ok(next.map(|batch| self.hand_out(batch)))
    }

    fn hand_out(&mut self, batch: Batch) -> PyBatch {
        let number = self.batches;
        self.batches += 1;
        let (ids, loss_weights) = (batch.ids(), batch.loss_weights());
        let handed = PyBatch { number, ids, loss_weights, spent: batch.spent(), level: batch.level() };
        self.in_flight.insert(number, batch);
        handed
    }

    /// `record(batch, score, loss, correct=None)`
    fn record(&mut self, number: u64, score: &[f32], loss: &[f32], correct: Option<&[bool]>) -> Result<(), Raised> {
        let batch = self.in_flight.get(&number).cloned().ok_or(format!("batch {number} is not in flight"))?;
        self.selector.record(batch, &Outcome { score, loss, correct, worth: None }).map_err(raise)?;
        self.in_flight.remove(&number);
        Ok(())
    }

    /// `pickle.dumps`
    fn state(&self) -> Result<Vec<u8>, Raised> {
        self.selector.save().map_err(raise)
    }

    /// `pickle.loads`. Returns the batches that were in flight.
    fn set_state(&mut self, state: &[u8]) -> Result<Vec<PyBatch>, Raised> {
        self.selector.restore(state).map_err(raise)?;
        self.in_flight.clear();
        let flying: Vec<Batch> = self.selector.in_flight().iter().cloned().collect();
        Ok(flying.into_iter().map(|batch| self.hand_out(batch)).collect())
    }
}

fn main() -> Result<(), Raised> {
    let labels: Vec<usize> = (0..1000).map(|i| i % 10).collect();
    let new = || PySelector::new(&labels, "pool-top", &[("source", "fresh".into())], (0.1, 20), 32, 0);
    let loss_of = |id: &SampleId| f32::from((id % 17) as u8);
    let mut asked = 0;
    let (mut selector, mut steps) = (new()?, 0);
    loop {
        let mut score = |ids: &[SampleId], _: &str| -> Result<_, Raised> {
            asked += ids.len();
            let losses: Vec<f32> = ids.iter().map(loss_of).collect();
            Ok((losses.clone(), losses))
        };
        let Some(batch) = selector.next_batch(&mut score)? else { break };
        let loss: Vec<f32> = batch.ids.iter().map(loss_of).collect();
        assert!(batch.loss_weights.iter().all(|weight| *weight == 1.0) && batch.level == 0 && batch.spent <= 1.0);
        if steps == 10 {
            // The program is stopped here and continues from the saved state.
            let state = selector.state()?;
            selector = new()?;
            let again = selector.set_state(&state)?;
            assert_eq!(again[0].ids, batch.ids);
            selector.record(again[0].number, &loss, &loss, None)?;
        } else {
            selector.record(batch.number, &loss, &loss, None)?;
        }
        steps += 1;
    }
    println!("{steps} steps, {asked} samples scored");
    let error = selector.record(0, &[], &[], None).err().unwrap_or_default();
    println!("as an exception: {error}");
    Ok(())
}
