//! The CPU backend's implementation, with a hand-written backward pass.

mod adam;
mod backward;
mod forward;
mod product;
mod scratch;
mod sizes;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Recorded, OpsKind};
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Shape, TensorData};

use super::{AdamStep, Block, Ops};
use sizes::{Images, Sizes};

/// The instruction set that the CPU backend's kernels use on this machine. Results are bit-identical only between
/// machines with the same one.
#[must_use]
pub fn instruction_set() -> &'static str {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        match pulp::Arch::new() {
            pulp::Arch::V4(_) => "x86-v4",
            pulp::Arch::V3(_) => "x86-v3",
            _ => "x86",
        }
    }
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    {
        std::env::consts::ARCH
    }
}

impl Ops for Flex {
    fn conv_relu_pool(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, block: Block) -> FlexTensor {
        Pass::new(x, weight, block).forward(bias).0
    }

    fn adam(
        x: FlexTensor,
        gradient: FlexTensor,
        first: FlexTensor,
        second: FlexTensor,
        step: AdamStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [mut x, gradient, mut first, mut second] = [x, gradient, first, second].map(|tensor| contiguous(&tensor));
        adam::step(x.storage_mut(), values(&gradient), first.storage_mut(), second.storage_mut(), step);
        (x, first, second)
    }
}

impl<C: CheckpointStrategy> Ops for Autodiff<Flex, C> {
    fn conv_relu_pool(
        x: burn::backend::tensor::FloatTensor<Self>,
        weight: burn::backend::tensor::FloatTensor<Self>,
        bias: burn::backend::tensor::FloatTensor<Self>,
        block: Block,
    ) -> burn::backend::tensor::FloatTensor<Self> {
        let ((x, of_x), (weight, of_weight), (bias, of_bias)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let pass = Pass::new(x, weight, block);
        let (output, from) = pass.forward(bias);
        match ConvReluPool.prepare::<C>([of_x, of_weight, of_bias]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(Saved { pass, from }, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// An input and weight of a convolution on the CPU.
#[derive(Debug, Clone)]
struct Pass {
    sizes: Sizes,
    x: FlexTensor,
    weight: FlexTensor,
}

impl Pass {
    fn new(x: FlexTensor, weight: FlexTensor, block: Block) -> Self {
        let shape = |tensor: &FlexTensor| std::array::from_fn(|axis| tensor.layout().shape()[axis]);
        Self { sizes: Sizes::new(shape(&x), shape(&weight), block), x, weight: weight.to_contiguous() }
    }

    /// The output, and the positions of its maxima ([`Output::from`](forward::Output::from)).
    fn forward(&self, bias: FlexTensor) -> (FlexTensor, Vec<u8>) {
        let (x, bias) = (ordered(&self.x), bias.to_contiguous());
        let output = forward::forward(&self.sizes, images(&x), values(&self.weight), values(&bias));
        (channels_last(output.values, self.sizes.output()), output.from)
    }
}

/// What the backward pass keeps of the forward pass.
#[derive(Debug, Clone)]
struct Saved {
    pass: Pass,
    from: Vec<u8>,
}

#[derive(Debug)]
struct ConvReluPool;

impl Backward<Flex, 3> for ConvReluPool {
    type State = Saved;

    fn backward(self, ops: Recorded<Saved, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Saved { pass, from } = ops.state;
        let gradient = ordered(&grads.consume::<Flex>(&ops.node));
        let [of_x, of_weight, of_bias] = ops.parents;
        let x = ordered(&pass.x);
        let (weight, gradient) = (values(&pass.weight), images(&gradient));
        let done = backward::backward(&pass.sizes, images(&x), weight, &from, gradient, of_x.is_some());
        if let Some((node, values)) = of_x.zip(done.input) {
            let shape = std::array::from_fn(|axis| pass.x.layout().shape()[axis]);
            grads.register::<Flex>(node.id, channels_last(values, shape));
        }
        if let Some(node) = of_weight {
            let shape = pass.weight.layout().shape().clone();
            grads.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(done.weight, shape)));
        }
        if let Some(node) = of_bias {
            let length = done.bias.len();
            grads.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(done.bias, [length])));
        }
    }
}

/// The same tensor in contiguous, row-major storage that holds nothing else.
fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    assert_eq!(tensor.dtype(), DType::F32, "Adam on the CPU computes in f32");
    let (layout, stored) = (tensor.layout(), tensor.storage::<f32>().len());
    let whole = layout.is_contiguous() && layout.start_offset() == 0 && stored == layout.num_elements();
    if whole { tensor.clone() } else { FlexTensor::from_data(tensor.to_contiguous().into_data()) }
}

/// The same tensor with strides that are not negative.
fn ordered(tensor: &FlexTensor) -> FlexTensor {
    assert_eq!(tensor.dtype(), DType::F32, "convolution on the CPU computes in f32");
    if tensor.layout().strides().iter().all(|stride| *stride >= 0) { tensor.clone() } else { tensor.to_contiguous() }
}

fn images(tensor: &FlexTensor) -> Images<'_> {
    let strides = std::array::from_fn(|axis| tensor.layout().strides()[axis] as usize);
    Images { values: &tensor.storage()[tensor.layout().start_offset()..], strides }
}

/// The values of a contiguous tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    &tensor.storage()[tensor.layout().start_offset()..][..tensor.layout().num_elements()]
}

/// A tensor `[images, channels, height, width]` from values in the order `[images, height, width, channels]`.
fn channels_last(values: Vec<f32>, shape: [usize; 4]) -> FlexTensor {
    let [_, channels, height, width] = shape.map(|side| side as isize);
    let length = values.len();
    let layout = Layout::new(Shape::from(shape), vec![channels * height * width, 1, width * channels, channels], 0);
    FlexTensor::from_data(TensorData::new(values, [length])).with_layout(layout)
}
