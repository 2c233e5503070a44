use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::error::PassError;
use super::feed::{Received, Uploaded};
use super::statistics::read;
use super::{tta, work};
use crate::data::{BadSample, Loader, Reads, Request};
use crate::model::{Input, Mode, Model, cross_entropy, top1};
use crate::run::Answer;
use crate::select::{SampleId, Visit};

/// Samples per forward pass.
const BATCH: usize = 250;
/// Batches loaded in advance.
const AHEAD: usize = 2;

/// The results over a whole dataset.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// Correct answers, percent; for text, tokens that were the most likely ones.
    pub accuracy: f64,
    /// Mean cross-entropy, nats; for text, per token.
    pub loss: f64,
    /// Correct answers with test-time augmentation, percent, if it is wanted.
    pub tta: Option<f64>,
    /// Samples that were forwarded, each view of a sample counted.
    pub passes: u64,
    /// What was read from files.
    pub reads: Reads,
    /// Samples that could not be loaded. The results are of the others.
    pub bad: Vec<BadSample>,
    /// The plain answer for each image that could be loaded, in order; empty for text.
    pub answers: Vec<Answer>,
}

/// Evaluates on the whole dataset of `loader`, without autodiff; with test-time augmentation if `augmented`.
pub(super) fn evaluate<M: Model>(
    model: &M,
    loader: &mut dyn Loader,
    device: &Device,
    augmented: bool,
) -> Result<Evaluated, PassError> {
    let (samples, rows) = (loader.dataset().samples() as SampleId, loader.dataset().shape().targets());
    let mut requests = (0..samples).step_by(BATCH).map(|from| {
        let visits =
            (from..samples.min(from + BATCH as SampleId)).map(|id| Visit { id, epoch: 0, earlier: 0 }).collect();
        Request { visits, augment: None, size: None }
    });
    requests.by_ref().take(AHEAD).for_each(|request| loader.request(request));
    let (mut sums, mut reads, mut bad, mut answers) = ([0.0; 3], Reads::default(), Vec::new(), Vec::new());
    while let Some(host) = loader.receive()? {
        requests.by_ref().take(1).for_each(|request| loader.request(request));
        let received = Received::new(host, device);
        reads += received.reads;
        bad.extend(received.bad);
        let Some(Uploaded { ids, input, targets, .. }) = received.data else { continue };
        let logits = model.forward(input.clone(), &mut Mode::Eval).logits;
        let correct = |logits: Tensor<2>| top1(logits, targets.clone());
        let mut columns = vec![correct(logits.clone()), cross_entropy(logits.clone(), targets.clone())];
        if let Input::Image(images) = input {
            if augmented {
                columns.push(correct(tta::averaged(model, images, logits.clone())));
            }
            columns.push(logits.clone().argmax(1).squeeze_dim::<1>(1).float());
            columns.push(softmax(logits, 1).max_dim(1).squeeze_dim(1));
        }
        // One transfer for all columns.
        let rows = targets.dims()[0];
        let values = read(Tensor::cat(columns, 0))?;
        let columns: Vec<&[f32]> = values.chunks_exact(rows).collect();
        let (results, answered) = columns.split_at(if augmented { 3 } else { 2 }.min(columns.len()));
        for (sum, column) in sums.iter_mut().zip(results) {
            *sum += column.iter().map(|value| f64::from(*value)).sum::<f64>();
        }
        if let [classes, confidences] = answered {
            let of =
                |(i, id)| Answer { id, class: classes[i] as usize, confidence: confidences[i], loss: results[1][i] };
            answers.extend(ids.into_iter().enumerate().map(of));
        }
    }
    let loaded = u64::from(samples) - bad.len() as u64;
    let passes = loaded * if augmented { tta::VIEWS } else { 1 };
    let layers = model.layers(loader.dataset().shape()).unwrap_or_default();
    work::executed(passes * layers.iter().map(|layer| layer.forward).sum::<u64>());
    if let (0, Some(last)) = (loaded, bad.last()) {
        return Err(PassError::AllBad(last.reason.clone()));
    }
    let rows = loaded.max(1) as f64 * rows as f64;
    let [correct, loss, augmented_correct] = sums;
    Ok(Evaluated {
        accuracy: 100.0 * correct / rows,
        loss: loss / rows,
        tta: augmented.then(|| 100.0 * augmented_correct / rows),
        passes,
        reads,
        bad,
        answers,
    })
}
