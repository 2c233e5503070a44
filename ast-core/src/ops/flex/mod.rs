//! The CPU backend's implementation.

mod adam;
mod conv;
mod gelu;
mod memory;
mod norm;
mod sgd;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};
use burn::tensor::TensorData;

use self::conv::{ConvReluPool, Pass, Saved};
use self::gelu::Gelu;
use self::memory::{contiguous, values};
use self::norm::{Affine, Norm, Statistics};
use super::{AdamStep, After, Block, Ops, SgdStep};

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
    fn conv(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, block: Block) -> FlexTensor {
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

    fn sgd(x: FlexTensor, gradient: FlexTensor, velocity: FlexTensor, step: SgdStep) -> (FlexTensor, FlexTensor) {
        let [mut x, gradient, mut velocity] = [x, gradient, velocity].map(|tensor| contiguous(&tensor));
        sgd::step(x.storage_mut(), values(&gradient), velocity.storage_mut(), step);
        (x, velocity)
    }

    fn gelu(x: FlexTensor) -> FlexTensor {
        gelu::forward(&x)
    }

    fn batch_norm_act(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        shortcut: FlexTensor,
        epsilon: f64,
        after: After,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let (output, Statistics { mean, variance }, _) = norm::forward(&x, [&weight, &bias], &shortcut, epsilon, after);
        (output, per_channel(mean), per_channel(variance))
    }

    fn affine(x: FlexTensor, scale: FlexTensor, shift: FlexTensor, shortcut: FlexTensor, after: After) -> FlexTensor {
        let [scale, shift] = [scale, shift].map(|tensor| values(&tensor.to_contiguous()).to_vec());
        Affine { centre: vec![0.0; scale.len()], scale, shift, activation: after.activation }.output(&x, &shortcut)
    }
}

impl<C: CheckpointStrategy> Ops for Autodiff<Flex, C> {
    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let ((x, of_x), (weight, of_weight), (bias, of_bias)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        let pass = Pass::new(x, weight, block);
        let (output, from) = pass.forward(bias);
        match ConvReluPool.prepare::<C>([of_x, of_weight, of_bias]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(Saved { pass, from }, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, of_x) = x.into_parts();
        let output = gelu::forward(&x);
        match Gelu.prepare::<C>([of_x]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(x, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }

    fn batch_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        epsilon: f64,
        after: After,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let ((x, of_x), (weight, of_weight)) = (x.into_parts(), weight.into_parts());
        let ((bias, of_bias), (shortcut, of_shortcut)) = (bias.into_parts(), shortcut.into_parts());
        let (output, statistics, affine) = norm::forward(&x, [&weight, &bias], &shortcut, epsilon, after);
        let constant = |values: &[f32]| <Self as AutodiffBackend>::from_inner(per_channel(values.to_vec()));
        let (mean, variance) = (constant(&statistics.mean), constant(&statistics.variance));
        let output = match Norm.prepare::<C>([of_x, of_weight, of_bias, of_shortcut]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let weight = values(&weight.to_contiguous()).to_vec();
                prepared.finish(norm::Saved { x, shortcut, statistics, affine, weight, epsilon }, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (output, mean, variance)
    }
}

fn per_channel(values: Vec<f32>) -> FlexTensor {
    let channels = values.len();
    FlexTensor::from_data(TensorData::new(values, [channels]))
}
