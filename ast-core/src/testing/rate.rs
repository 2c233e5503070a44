//! The activation rate of a policy in a run with known scores.

use super::{KnownLosses, goal};
use crate::select::{Batch, BoxedPolicy, Goal, Groups, Outcome, SampleId, SelectError, Selector};

/// Samples a batch.
const BATCH: usize = 32;

/// The share of the offered samples that a policy accepts in `epochs` nominal epochs, coverage included, 0 and above.
///
/// `scores` are the samples' scores and also their losses, in probes and in training. Batches are trained one step
/// after they were selected, as in a run. A batch that contains NaN is skipped, because such a step is not made.
///
/// # Errors
/// An error of the policy.
pub fn realised_rate(policy: impl Into<BoxedPolicy>, scores: &[f32], epochs: u32) -> Result<f64, SelectError> {
    let (mut losses, goal) = (KnownLosses(scores.to_vec()), Goal { epochs, ..goal(1.0) });
    let mut selector = Selector::of(Groups::none(scores.len()), policy, goal, BATCH, 1)?;
    let mut waiting: Option<Batch> = None;
    while let Some(batch) = selector.next_batch(&mut losses)? {
        if let Some(batch) = waiting.replace(batch) {
            train(&mut selector, batch, scores)?;
        }
    }
    Ok(selector.counts().accepted as f64 / selector.counts().offered as f64)
}

fn train(selector: &mut Selector, batch: Batch, scores: &[f32]) -> Result<(), SelectError> {
    let loss: Vec<f32> = batch.ids().into_iter().map(|id: SampleId| scores[id as usize]).collect();
    if loss.iter().any(|loss| loss.is_nan()) {
        return selector.skip(batch);
    }
    selector.record(batch, &Outcome { score: &loss, loss: &loss, correct: None, ..Outcome::default() })
}
