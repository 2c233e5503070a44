//! Moves batches from the host to the device.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::HostBatch;
use crate::model::Input;
use crate::select::SampleId;

/// A batch on a device.
pub(super) struct Uploaded {
    pub(super) ids: Vec<SampleId>,
    pub(super) input_deviation: Vec<f32>,
    /// `[batch, channels, height, width]`.
    pub(super) input: Input,
    /// `[batch]`.
    pub(super) targets: Tensor<1, Int>,
}

/// Moves a batch of images to a device.
pub(super) fn upload(host: HostBatch, [channels, height, width]: [usize; 3], device: &Device) -> Uploaded {
    let HostBatch { ids, pixels, targets, input_deviation } = host;
    let batch = ids.len();
    let pixels = TensorData::new(pixels, [batch, channels, height, width]);
    let targets = TensorData::new(targets, [batch]);
    let input = Input::Image(Tensor::from_data(pixels, device));
    Uploaded { ids, input_deviation, input, targets: Tensor::from_data(targets, device) }
}
