use burn::tensor::{Device, Tensor};

use super::error::PassError;
use super::feed::{Uploaded, upload};
use super::statistics::read;
use crate::data::{Loader, Request};
use crate::model::{Mode, Model, cross_entropy, top1};
use crate::select::{SampleId, Visit};

/// Samples per forward pass.
const BATCH: usize = 250;
/// Batches loaded in advance.
const AHEAD: usize = 2;

/// Accuracy (percent) and mean loss (nats) over the whole dataset of `loader`, without autodiff.
pub(super) fn evaluate<M: Model>(model: &M, loader: &mut dyn Loader, device: &Device) -> Result<(f64, f64), PassError> {
    let (samples, rows) = (loader.dataset().samples() as SampleId, loader.dataset().shape().targets());
    let mut requests = (0..samples).step_by(BATCH).map(|from| {
        let visits =
            (from..samples.min(from + BATCH as SampleId)).map(|id| Visit { id, epoch: 0, earlier: 0 }).collect();
        Request { visits, augment: None }
    });
    requests.by_ref().take(AHEAD).for_each(|request| loader.request(request));
    let (mut correct, mut loss) = (0.0, 0.0);
    while let Some(host) = loader.receive()? {
        requests.by_ref().take(1).for_each(|request| loader.request(request));
        let Uploaded { input, targets, .. } = upload(host, device);
        let logits = model.forward(input, &mut Mode::Eval).logits;
        let correct_now = top1(logits.clone(), targets.clone()).sum();
        let values = read(Tensor::cat(vec![correct_now, cross_entropy(logits, targets).sum()], 0))?;
        correct += f64::from(values[0]);
        loss += f64::from(values[1]);
    }
    let rows = f64::from(samples.max(1)) * rows as f64;
    Ok((100.0 * correct / rows, loss / rows))
}
