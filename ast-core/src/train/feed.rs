//! Moves batches from the host to the device.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::{HostBatch, Values};
use crate::model::Input;
use crate::select::SampleId;

/// A batch on a device.
pub(crate) struct Uploaded {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) input_deviation: Vec<f32>,
    pub(crate) input: Input,
    /// `[rows]`: one per sample for images, one per token for text.
    pub(crate) targets: Tensor<1, Int>,
}

/// Moves a batch to a device.
pub(crate) fn upload(host: HostBatch, device: &Device) -> Uploaded {
    let HostBatch { ids, values, targets, input_deviation } = host;
    let batch = ids.len();
    let input = match values {
        Values::Pixels(pixels, [channels, height, width]) => {
            let pixels = TensorData::new(pixels, [batch, channels, height, width]);
            Input::Image(Tensor::from_data(pixels, device))
        }
        Values::Tokens(tokens, context) => {
            Input::Tokens(Tensor::from_data(TensorData::new(tokens, [batch, context]), device))
        }
    };
    let rows = targets.len();
    let targets = Tensor::from_data(TensorData::new(targets, [rows]), device);
    Uploaded { ids, input_deviation, input, targets }
}
