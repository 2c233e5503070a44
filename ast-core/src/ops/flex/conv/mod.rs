//! A convolution with ReLU and max-pooling, with a hand-written backward pass.

mod backward;
mod forward;
mod input_gradient;
mod product;
mod scratch;
mod sizes;
mod weight_gradient;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Recorded};
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

use self::backward::Upstream;
use self::sizes::{Images, Sizes};
use super::memory::{channels_last, ordered, values};
use crate::ops::Block;

/// An input and weight of a convolution on the CPU.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    sizes: Sizes,
    x: FlexTensor,
    weight: FlexTensor,
}

impl Pass {
    pub(super) fn new(x: FlexTensor, weight: FlexTensor, block: Block) -> Self {
        let shape = |tensor: &FlexTensor| std::array::from_fn(|axis| tensor.layout().shape()[axis]);
        Self { sizes: Sizes::new(shape(&x), shape(&weight), block), x, weight: weight.to_contiguous() }
    }

    /// The output, and the positions of its maxima ([`Output::from`](forward::Output::from)).
    pub(super) fn forward(&self, bias: FlexTensor) -> (FlexTensor, Vec<u8>) {
        let (x, bias) = (ordered(&self.x), bias.to_contiguous());
        let output = forward::forward(&self.sizes, images(&x), values(&self.weight), values(&bias));
        (channels_last(output.values, self.sizes.output()), output.from)
    }
}

/// What the backward pass keeps of the forward pass.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) pass: Pass,
    pub(super) from: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct ConvReluPool;

impl Backward<Flex, 3> for ConvReluPool {
    type State = Saved;

    fn backward(self, ops: Recorded<Saved, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Saved { pass, from } = ops.state;
        let gradient = ordered(&grads.consume::<Flex>(&ops.node));
        let upstream = Upstream { gradient: images(&gradient), from: &from };
        let [of_x, of_weight, of_bias] = ops.parents;
        if let Some(node) = of_x {
            let shape = std::array::from_fn(|axis| pass.x.layout().shape()[axis]);
            let gradient = input_gradient::gradient(&pass.sizes, values(&pass.weight), upstream);
            grads.register::<Flex>(node.id, channels_last(gradient, shape));
        }
        if of_weight.is_none() && of_bias.is_none() {
            return;
        }
        let x = ordered(&pass.x);
        let weight_gradient::Gradients { weight, bias } =
            weight_gradient::gradients(&pass.sizes, images(&x), upstream, of_bias.is_some());
        if let Some(node) = of_weight {
            let shape = pass.weight.layout().shape().clone();
            grads.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(weight, shape)));
        }
        if let Some(node) = of_bias {
            let length = bias.len();
            grads.register::<Flex>(node.id, FlexTensor::from_data(TensorData::new(bias, [length])));
        }
    }
}

fn images(tensor: &FlexTensor) -> Images<'_> {
    let strides = std::array::from_fn(|axis| tensor.layout().strides()[axis] as usize);
    Images { values: &tensor.storage()[tensor.layout().start_offset()..], strides }
}
