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
use super::memory::{ChannelsLast, channels_last, ordered, values};
use super::norm::{Affine, Moments, Statistics};
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
        let bias = bias.to_contiguous();
        let (output, from, _) = self.finished(values(&bias), |_, _| ());
        (output, from)
    }

    /// The same without bias, and the mean and variance of each channel of the output.
    pub(super) fn measured(&self) -> (FlexTensor, Vec<u8>, Statistics) {
        let [_, channels] = self.sizes.channels;
        let (output, from, moments) = self.finished(&vec![0.0; channels], |_, out| Moments::of(out, channels));
        (output, from, Statistics::combined(moments.into_iter().flatten(), channels))
    }

    /// The output without bias, then the function.
    pub(super) fn then(&self, function: &Affine, shortcut: &FlexTensor) -> FlexTensor {
        let (zeros, shortcut) = (vec![0.0; self.sizes.channels[1]], ChannelsLast::of(shortcut));
        self.finished(&zeros, |first, out| function.apply(out, shortcut.values().get(first..).unwrap_or_default())).0
    }

    fn finished<R: Send>(
        &self,
        bias: &[f32],
        finish: impl Fn(usize, &mut [f32]) -> R + Sync,
    ) -> (FlexTensor, Vec<u8>, Vec<R>) {
        let x = ordered(&self.x);
        let (output, finished) = forward::forward(&self.sizes, images(&x), values(&self.weight), bias, finish);
        (channels_last(output.values, self.sizes.output()), output.from, finished)
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
