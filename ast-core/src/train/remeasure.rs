//! Running statistics for another image size.
//!
//! The running statistics of normalisation are those of the images that the network was trained on. After steps on smaller
//! images they do not fit images of full size, on which it is evaluated. They are then measured again, in a copy.

use burn::tensor::Device;

use super::feed::upload;
use crate::data::{Dataset, Request};
use crate::model::{Mode, Model};
use crate::random::{Purpose, Random};
use crate::select::{SampleId, Visit};

/// Number of training samples to measure on, from the first on.
const SAMPLES: usize = 2000;
/// Samples per forward pass.
const BATCH: usize = 250;

/// The network with the running statistics of the first training samples, at full size and without augmentation: the mean
/// over batches of what each measures in a forward pass in training mode. `device` is without autodiff. A network
/// without running statistics is returned after one pass, unchanged.
pub(super) fn remeasured<M: Model>(mut model: M, dataset: &dyn Dataset, random: Random, device: &Device) -> M {
    let samples = dataset.samples().min(SAMPLES);
    for (batch, from) in (0..samples).step_by(BATCH).enumerate() {
        let ids = from as SampleId..samples.min(from + BATCH) as SampleId;
        let visits = ids.map(|id| Visit { id, epoch: 0, earlier: 0 }).collect();
        let data = upload(Request { visits, augment: None, size: None }.collate(dataset), device);
        let masks = random.stream(Purpose::Dropout, batch as u64, 1);
        let mut mode = Mode::measure(masks, 1.0 / (batch + 1) as f64);
        let _ = model.forward(data.input, &mut mode);
        let statistics = mode.into_statistics();
        if statistics.is_empty() {
            return model;
        }
        model = statistics.apply(model);
    }
    model
}
