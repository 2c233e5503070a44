//! GELU and its derivative, in arithmetic that the compiler turns into vector instructions.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Recorded};
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{DType, TensorData};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::memory::values;

/// Values per work item of a thread.
const CHUNK: usize = 1 << 14;

/// `x Phi(x)`.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    x * below(x, bell(x))
}

/// The derivative of [`gelu`]: `Phi(x) + x phi(x)`.
#[inline(always)]
pub(super) fn slope(x: f32) -> f32 {
    const DENSITY: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
    let bell = bell(x);
    below(x, bell) + x * DENSITY * bell
}

/// `Phi(x)`, the standard normal distribution function, given [`bell`] of `x`; within 1e-7 (Abramowitz & Stegun,
/// *Handbook of Mathematical Functions*, 7.1.26).
#[inline(always)]
fn below(x: f32, bell: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let series = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    let tail = 0.5 * series * bell;
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// `exp(-x^2 / 2)`, to a few units in the last place; 0 where it would be subnormal.
#[inline(always)]
fn bell(x: f32) -> f32 {
    let power = (x * x * (-0.5 * std::f32::consts::LOG2_E)).max(-126.0);
    // 1.5 * 2^23 pushes the fraction out of the mantissa: this rounds without a call.
    const ROUND: f32 = 12_582_912.0;
    let whole = (power + ROUND) - ROUND;
    let f = (power - whole) * std::f32::consts::LN_2;
    // exp on [-ln 2 / 2, ln 2 / 2] by its Taylor series; the next term is below 2e-7.
    let exp = 1.0 + f * (1.0 + f * (0.5 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f / 720.0)))));
    let scale = f32::from_bits(((whole as i32 + 127) << 23) as u32);
    if power > -126.0 { exp * scale } else { 0.0 }
}

/// GELU of every value; the order in memory stays.
pub(super) fn forward(x: &FlexTensor) -> FlexTensor {
    let x = dense(x);
    let mut output = vec![0.0; x.layout().num_elements()];
    let arch = Arch::new();
    let chunks = output.par_chunks_mut(CHUNK).zip(values(&x).par_chunks(CHUNK));
    chunks.for_each(|(out, x)| arch.dispatch(Forward { x, out }));
    like(&x, output)
}

#[derive(Debug)]
pub(super) struct Gelu;

impl Backward<Flex, 1> for Gelu {
    /// The input.
    type State = FlexTensor;

    fn backward(self, ops: Recorded<FlexTensor, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let [Some(node)] = ops.parents else { return };
        // Both in the same order.
        let x = dense(&ops.state);
        let (x, gradient) = if x.layout().strides() == gradient.layout().strides() && is_dense(&gradient) {
            (x, gradient)
        } else {
            (x.to_contiguous(), gradient.to_contiguous())
        };
        let mut output = vec![0.0; x.layout().num_elements()];
        let arch = Arch::new();
        let inputs = values(&x).par_chunks(CHUNK).zip(values(&gradient).par_chunks(CHUNK));
        let chunks = output.par_chunks_mut(CHUNK).zip(inputs);
        chunks.for_each(|(out, (x, gradient))| arch.dispatch(AtInput { x, gradient, out }));
        grads.register::<Flex>(node.id, like(&x, output));
    }
}

/// Whether the values fill their part of the storage without gaps, in any order.
fn is_dense(tensor: &FlexTensor) -> bool {
    let layout = tensor.layout();
    let mut axes: Vec<(isize, usize)> = layout.strides().iter().copied().zip(layout.shape().iter().copied()).collect();
    axes.retain(|(_, side)| *side != 1);
    axes.sort_unstable();
    let mut next = 1;
    axes.iter().all(|(stride, side)| {
        let fits = *stride == next;
        next *= *side as isize;
        fits
    })
}

fn dense(tensor: &FlexTensor) -> FlexTensor {
    assert_eq!(tensor.dtype(), DType::F32, "GELU on the CPU computes in f32");
    if is_dense(tensor) { tensor.clone() } else { tensor.to_contiguous() }
}

/// A tensor of these values in the shape and order of `tensor`.
fn like(tensor: &FlexTensor, values: Vec<f32>) -> FlexTensor {
    let (layout, length) = (tensor.layout(), values.len());
    let layout = Layout::new(layout.shape().clone(), layout.strides().to_vec(), 0);
    FlexTensor::from_data(TensorData::new(values, [length])).with_layout(layout)
}

struct Forward<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = gelu(*x);
        }
    }
}

struct AtInput<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for AtInput<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for ((out, x), gradient) in self.out.iter_mut().zip(self.x).zip(self.gradient) {
            *out = gradient * slope(*x);
        }
    }
}
