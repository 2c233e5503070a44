//! Tensors of the CPU backend as slices.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{DType, Shape, TensorData};

/// The same tensor in contiguous, row-major storage that holds nothing else.
pub(super) fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    assert_eq!(tensor.dtype(), DType::F32, "optimizers on the CPU compute in f32");
    let (layout, stored) = (tensor.layout(), tensor.storage::<f32>().len());
    let whole = layout.is_contiguous() && layout.start_offset() == 0 && stored == layout.num_elements();
    if whole { tensor.clone() } else { FlexTensor::from_data(tensor.to_contiguous().into_data()) }
}

/// The same tensor with strides that are not negative.
pub(super) fn ordered(tensor: &FlexTensor) -> FlexTensor {
    assert_eq!(tensor.dtype(), DType::F32, "these operations on the CPU compute in f32");
    if tensor.layout().strides().iter().all(|stride| *stride >= 0) { tensor.clone() } else { tensor.to_contiguous() }
}

/// The values of a tensor without gaps in its storage, in their order in memory.
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    &tensor.storage()[tensor.layout().start_offset()..][..tensor.layout().num_elements()]
}

/// A tensor `[images, channels, height, width]` from values in the order `[images, height, width, channels]`.
pub(super) fn channels_last(values: Vec<f32>, shape: [usize; 4]) -> FlexTensor {
    let [_, channels, height, width] = shape.map(|side| side as isize);
    let length = values.len();
    let layout = Layout::new(Shape::from(shape), vec![channels * height * width, 1, width * channels, channels], 0);
    FlexTensor::from_data(TensorData::new(values, [length])).with_layout(layout)
}

/// The values of a tensor `[images, channels, height, width]` in the order `[images, height, width, channels]`.
pub(super) enum ChannelsLast<'a> {
    /// They are stored so.
    Stored(&'a [f32]),
    /// A copy.
    Copied(FlexTensor),
}

impl<'a> ChannelsLast<'a> {
    pub(super) fn of(tensor: &'a FlexTensor) -> Self {
        assert_eq!(tensor.dtype(), DType::F32, "these operations on the CPU compute in f32");
        let layout = tensor.layout();
        let [_, channels, height, width] = std::array::from_fn(|axis| layout.shape()[axis] as isize);
        if *layout.strides() == [channels * height * width, 1, width * channels, channels] {
            return Self::Stored(&tensor.storage()[layout.start_offset()..][..layout.num_elements()]);
        }
        Self::Copied(tensor.permute(&[0, 2, 3, 1]).to_contiguous())
    }

    pub(super) fn values(&self) -> &[f32] {
        match self {
            Self::Stored(values) => values,
            Self::Copied(tensor) => values(tensor),
        }
    }
}
