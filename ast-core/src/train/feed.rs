//! From the host to the device.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::HostBatch;
use crate::model::Input;

/// Moves a batch to a device: images `[batch, channels, height, width]`, targets `[batch]`.
pub(super) fn upload(
    host: HostBatch,
    [channels, height, width]: [usize; 3],
    device: &Device,
) -> (Input, Tensor<1, Int>) {
    let batch = host.ids.len();
    let pixels = TensorData::new(host.pixels, [batch, channels, height, width]);
    let targets = TensorData::new(host.targets, [batch]);
    (Input::Image(Tensor::from_data(pixels, device)), Tensor::from_data(targets, device))
}
