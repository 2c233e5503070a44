//! The CPU backend's implementation.

mod adam;
mod conv;
mod gelu;
mod memory;
mod norm;
mod sgd;

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, NodeGuard, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};
use burn::tensor::TensorData;

use self::conv::{ConvReluPool, Pass, Saved};
use self::gelu::Gelu;
use self::memory::{contiguous, values};
use self::norm::{Affine, Norm, Statistics};
use super::{AdamStep, After, Block, NormStep, Ops, SgdStep};

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
        let statistics = Statistics::of(&x);
        let (output, _) = norm::forward(&x, [&weight, &bias], &shortcut, &statistics, epsilon, after);
        (output, per_channel(statistics.mean), per_channel(statistics.variance))
    }

    fn conv_batch_norm(
        x: FlexTensor,
        weight: FlexTensor,
        norm_weight: FlexTensor,
        norm_bias: FlexTensor,
        shortcut: FlexTensor,
        step: NormStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let NormStep { block, epsilon, after } = step;
        let (x, _, statistics) = Pass::new(x, weight, block).measured();
        let (output, _) = norm::forward(&x, [&norm_weight, &norm_bias], &shortcut, &statistics, epsilon, after);
        (output, per_channel(statistics.mean), per_channel(statistics.variance))
    }

    fn conv_affine(
        x: FlexTensor,
        weight: FlexTensor,
        scale: FlexTensor,
        shift: FlexTensor,
        shortcut: FlexTensor,
        block: Block,
        after: After,
    ) -> FlexTensor {
        Pass::new(x, weight, block).then(&Affine::of(&scale, &shift, after.activation), &shortcut)
    }

    fn affine(x: FlexTensor, scale: FlexTensor, shift: FlexTensor, shortcut: FlexTensor, after: After) -> FlexTensor {
        Affine::of(&scale, &shift, after.activation).output(&x, &shortcut)
    }
}

impl<C: CheckpointStrategy> Ops for Autodiff<Flex, C> {
    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let (bias, of_bias) = bias.into_parts();
        recorded_conv::<C, _>(x, weight, of_bias, block, |pass| {
            let (output, from) = pass.forward(bias);
            (output, from, ())
        })
        .0
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
        let statistics = Statistics::of(x.primitive());
        recorded_norm::<C>(x, [weight, bias], shortcut, statistics, epsilon, after)
    }

    fn conv_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        norm_weight: FloatTensor<Self>,
        norm_bias: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        step: NormStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let NormStep { block, epsilon, after } = step;
        let (_, no_bias) = constant::<C>(Vec::new()).into_parts();
        let (x, statistics) = recorded_conv::<C, _>(x, weight, no_bias, block, Pass::measured);
        recorded_norm::<C>(x, [norm_weight, norm_bias], shortcut, statistics, epsilon, after)
    }
}

/// Computes a convolution, and whatever else comes with it, and records it for the backward pass.
fn recorded_conv<C: CheckpointStrategy, R>(
    x: Recorded<C>,
    weight: Recorded<C>,
    of_bias: NodeGuard,
    block: Block,
    compute: impl FnOnce(&Pass) -> (FlexTensor, Vec<u8>, R),
) -> (Recorded<C>, R) {
    let ((x, of_x), (weight, of_weight)) = (x.into_parts(), weight.into_parts());
    let pass = Pass::new(x, weight, block);
    let (output, from, more) = compute(&pass);
    let output = match ConvReluPool.prepare::<C>([of_x, of_weight, of_bias]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(Saved { pass, from }, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    (output, more)
}

/// Normalises and records it. Returns the output, and the statistics as constants.
fn recorded_norm<C: CheckpointStrategy>(
    x: Recorded<C>,
    [weight, bias]: [Recorded<C>; 2],
    shortcut: Recorded<C>,
    statistics: Statistics,
    epsilon: f64,
    after: After,
) -> (Recorded<C>, Recorded<C>, Recorded<C>) {
    let ((x, of_x), (weight, of_weight)) = (x.into_parts(), weight.into_parts());
    let ((bias, of_bias), (shortcut, of_shortcut)) = (bias.into_parts(), shortcut.into_parts());
    let (output, affine) = norm::forward(&x, [&weight, &bias], &shortcut, &statistics, epsilon, after);
    let (mean, variance) = (constant::<C>(statistics.mean.clone()), constant::<C>(statistics.variance.clone()));
    let output = match Norm.prepare::<C>([of_x, of_weight, of_bias, of_shortcut]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let weight = values(&weight.to_contiguous()).to_vec();
            prepared.finish(norm::Saved { x, shortcut, statistics, affine, weight, epsilon }, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    (output, mean, variance)
}

type Recorded<C> = FloatTensor<Autodiff<Flex, C>>;

fn constant<C: CheckpointStrategy>(values: Vec<f32>) -> Recorded<C> {
    Autodiff::<Flex, C>::from_inner(per_channel(values))
}

fn per_channel(values: Vec<f32>) -> FlexTensor {
    let channels = values.len();
    FlexTensor::from_data(TensorData::new(values, [channels]))
}
