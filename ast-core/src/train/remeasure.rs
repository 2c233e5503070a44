//! Running statistics for another image size.
//!
//! The running statistics of normalisation are those of the images that the network was trained on. After steps on smaller
//! images they do not fit images of full size, on which it is evaluated. They are then measured again, in a copy.

use burn::tensor::Device;

use super::error::PassError;
use super::feed::Received;
use crate::data::{Loader, Reads, Request};
use crate::model::{Mode, Model};
use crate::random::{Purpose, Random};
use crate::select::{SampleId, Visit};

/// Number of training samples to measure on: the first ones, or of files, which are sorted by class, ones at equal distances.
const SAMPLES: usize = 2000;
/// Samples per forward pass.
const BATCH: usize = 250;

/// The network with the running statistics of some training samples, at full size and without augmentation: the mean
/// over batches of what each measures in a forward pass in training mode; and what was read for that. `device` is without
/// autodiff. A network without running statistics is returned after one pass, unchanged.
pub(super) fn remeasured<M: Model>(
    mut model: M,
    loader: &dyn Loader,
    random: Random,
    device: &Device,
) -> Result<(M, Reads), PassError> {
    let dataset = loader.dataset();
    let samples = dataset.samples().min(SAMPLES);
    let distance = if dataset.reads_files() { dataset.samples() / samples.max(1) } else { 1 } as SampleId;
    let (mut batches, mut total) = (0_u64, Reads::default());
    for from in (0..samples).step_by(BATCH) {
        let ids = from as SampleId..samples.min(from + BATCH) as SampleId;
        let visits = ids.map(|i| Visit { id: i * distance, epoch: 0, earlier: 0 }).collect();
        let host = loader.load(&Request { visits, augment: None, size: None })?;
        let Received { data, reads, .. } = Received::new(host, device);
        total += reads;
        let Some(data) = data else { continue };
        let masks = random.stream(Purpose::Dropout, batches, 1);
        batches += 1;
        let mut mode = Mode::measure(masks, 1.0 / batches as f64);
        let _ = model.forward(data.input, &mut mode);
        let statistics = mode.into_statistics();
        if statistics.is_empty() {
            break;
        }
        model = statistics.apply(model);
    }
    Ok((model, total))
}
