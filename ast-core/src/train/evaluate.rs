use burn::tensor::{Device, Tensor};

use super::error::PassError;
use super::feed::{Received, Uploaded};
use super::statistics::read;
use super::tta;
use crate::data::{BadSample, Loader, Reads, Request};
use crate::model::{Input, Mode, Model, cross_entropy, top1};
use crate::select::{SampleId, Visit};

/// Samples per forward pass.
const BATCH: usize = 250;
/// Batches loaded in advance.
const AHEAD: usize = 2;

/// The results over a whole dataset.
pub(super) struct Measured {
    /// Correct answers, percent.
    pub(super) accuracy: f64,
    /// Mean cross-entropy, nats.
    pub(super) loss: f64,
    /// Correct answers with test-time augmentation, percent, if it is wanted.
    pub(super) tta: Option<f64>,
    /// Samples that were forwarded, each view of a sample counted.
    pub(super) passes: u64,
    /// What was read from files.
    pub(super) reads: Reads,
    /// Samples that could not be loaded. The results are of the others.
    pub(super) bad: Vec<BadSample>,
}

/// Evaluates on the whole dataset of `loader`, without autodiff; with test-time augmentation if `augmented`.
pub(super) fn evaluate<M: Model>(
    model: &M,
    loader: &mut dyn Loader,
    device: &Device,
    augmented: bool,
) -> Result<Measured, PassError> {
    let (samples, rows) = (loader.dataset().samples() as SampleId, loader.dataset().shape().targets());
    let mut requests = (0..samples).step_by(BATCH).map(|from| {
        let visits =
            (from..samples.min(from + BATCH as SampleId)).map(|id| Visit { id, epoch: 0, earlier: 0 }).collect();
        Request { visits, augment: None, size: None }
    });
    requests.by_ref().take(AHEAD).for_each(|request| loader.request(request));
    let (mut sums, mut reads, mut bad) = ([0.0; 3], Reads::default(), Vec::new());
    while let Some(host) = loader.receive()? {
        requests.by_ref().take(1).for_each(|request| loader.request(request));
        let received = Received::new(host, device);
        reads += received.reads;
        bad.extend(received.bad);
        let Some(Uploaded { input, targets, .. }) = received.data else { continue };
        let logits = model.forward(input.clone(), &mut Mode::Eval).logits;
        let correct = |logits: Tensor<2>| top1(logits, targets.clone()).sum();
        let mut columns = vec![correct(logits.clone()), cross_entropy(logits.clone(), targets.clone()).sum()];
        if let (true, Input::Image(images)) = (augmented, input) {
            columns.push(correct(tta::averaged(model, images, logits)));
        }
        let values = read(Tensor::cat(columns, 0))?;
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(value));
    }
    let loaded = u64::from(samples) - bad.len() as u64;
    if let (0, Some(last)) = (loaded, bad.last()) {
        return Err(PassError::AllBad(last.reason.clone()));
    }
    let rows = loaded.max(1) as f64 * rows as f64;
    let [correct, loss, augmented_correct] = sums;
    Ok(Measured {
        accuracy: 100.0 * correct / rows,
        loss: loss / rows,
        tta: augmented.then(|| 100.0 * augmented_correct / rows),
        passes: loaded * if augmented { tta::VIEWS } else { 1 },
        reads,
        bad,
    })
}
