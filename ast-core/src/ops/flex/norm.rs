//! Batch normalisation, the addition of a shortcut and the activation, in two passes over the memory; in one where the
//! convolution before has taken the statistics.
//!
//! The channels are innermost. Sums are taken over chunks of rows that depend on the shape alone and are added in order,
//! so results do not depend on the number of threads.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops as Recorded};
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::gelu::{gelu, slope};
use super::memory::{ChannelsLast, channels_last, values};
use crate::ops::{Activation, After};

/// Values per work item of a thread, about.
const CHUNK: usize = 1 << 14;

/// `activation(norm(x) + shortcut)`, and the factors of it.
pub(super) fn forward(
    x: &FlexTensor,
    [weight, bias]: [&FlexTensor; 2],
    shortcut: &FlexTensor,
    statistics: &Statistics,
    epsilon: f64,
    after: After,
) -> (FlexTensor, Affine) {
    let [weight, bias] = [weight, bias].map(FlexTensor::to_contiguous);
    let affine = Affine::new(statistics, values(&weight), values(&bias), epsilon, after.activation);
    (affine.output(x, shortcut), affine)
}

/// The factors of `activation((x - centre) scale + shift + shortcut)`, per channel. Without the centre, a mean that is large
/// beside the deviation would cost digits.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    pub(super) centre: Vec<f32>,
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) activation: Activation,
}

/// Mean and biased variance of each channel.
#[derive(Debug, Clone)]
pub(super) struct Statistics {
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
}

/// Values per chunk: whole rows of all channels.
fn chunk(channels: usize) -> usize {
    channels * (CHUNK / channels.max(1)).max(1)
}

impl Statistics {
    /// Of a batch `[images, channels, height, width]`.
    pub(super) fn of(x: &FlexTensor) -> Self {
        let (x, channels) = (ChannelsLast::of(x), x.layout().shape()[1]);
        let chunks = x.values().par_chunks(chunk(channels)).flat_map_iter(|x| Moments::of(x, channels));
        Self::combined(chunks.collect::<Vec<_>>(), channels)
    }

    /// Of all chunks, combined in `f64` (Chan, Golub & LeVeque 1983).
    pub(super) fn combined(chunks: impl IntoIterator<Item = Moments>, channels: usize) -> Self {
        let (mut count, mut mean, mut squares) = (0.0_f64, vec![0.0_f64; channels], vec![0.0_f64; channels]);
        for moments in chunks {
            let (rows, before) = (moments.rows as f64, count);
            count += rows;
            for (channel, (of_mean, of_squares)) in moments.mean.iter().zip(&moments.squares).enumerate() {
                let distance = f64::from(*of_mean) - mean[channel];
                mean[channel] += distance * rows / count;
                squares[channel] += f64::from(*of_squares) + distance * distance * before * rows / count;
            }
        }
        let variance = squares.into_iter().map(|sum| (sum / count) as f32).collect();
        Self { mean: mean.into_iter().map(|mean| mean as f32).collect(), variance }
    }
}

/// Mean, and sum of the squared distances from it, of some rows.
pub(super) struct Moments {
    rows: usize,
    mean: Vec<f32>,
    squares: Vec<f32>,
}

impl Moments {
    /// Of values `[rows, channels]`, by chunk.
    pub(super) fn of(x: &[f32], channels: usize) -> Vec<Self> {
        let arch = Arch::new();
        x.chunks(chunk(channels)).map(|x| arch.dispatch(OfChunk { x, channels })).collect()
    }
}

struct OfChunk<'a> {
    x: &'a [f32],
    channels: usize,
}

impl WithSimd for OfChunk<'_> {
    type Output = Moments;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Moments {
        let (mut mean, mut squares) = (vec![0.0; self.channels], vec![0.0; self.channels]);
        for row in self.x.chunks_exact(self.channels) {
            for (sum, x) in mean.iter_mut().zip(row) {
                *sum += x;
            }
        }
        let rows = self.x.len() / self.channels;
        for mean in &mut mean {
            *mean /= rows as f32;
        }
        for row in self.x.chunks_exact(self.channels) {
            for ((sum, mean), x) in squares.iter_mut().zip(&mean).zip(row) {
                *sum += (x - mean) * (x - mean);
            }
        }
        Moments { rows, mean, squares }
    }
}

impl Affine {
    /// `activation(scale x + shift)`.
    pub(super) fn of(scale: &FlexTensor, shift: &FlexTensor, activation: Activation) -> Self {
        let [scale, shift] = [scale, shift].map(|tensor| values(&tensor.to_contiguous()).to_vec());
        Self { centre: vec![0.0; scale.len()], scale, shift, activation }
    }

    /// The normalisation by these statistics.
    fn new(
        Statistics { mean, variance }: &Statistics,
        weight: &[f32],
        bias: &[f32],
        epsilon: f64,
        activation: Activation,
    ) -> Self {
        let scale = variance.iter().zip(weight).map(|(variance, weight)| weight * inverse(*variance, epsilon));
        Self { centre: mean.clone(), scale: scale.collect(), shift: bias.to_vec(), activation }
    }

    /// `activation((x - centre) scale + shift + shortcut)`; no shortcut if it is empty.
    pub(super) fn output(&self, x: &FlexTensor, shortcut: &FlexTensor) -> FlexTensor {
        let shape = std::array::from_fn(|axis| x.layout().shape()[axis]);
        let (x, shortcut) = (ChannelsLast::of(x), ChannelsLast::of(shortcut));
        let (x, shortcut) = (x.values(), shortcut.values());
        let mut output = vec![0.0; x.len()];
        let (chunk, arch) = (chunk(self.scale.len()), Arch::new());
        output.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).enumerate().for_each(|(number, (out, x))| {
            let shortcut = shortcut.get(number * chunk..).unwrap_or_default();
            arch.dispatch(Apply { affine: self, x: Some(x), shortcut, out });
        });
        channels_last(output, shape)
    }

    /// The same for values `[rows, channels]`, in place. The shortcut may be longer.
    pub(super) fn apply(&self, values: &mut [f32], shortcut: &[f32]) {
        Arch::new().dispatch(Apply { affine: self, x: None, shortcut, out: values });
    }
}

/// `1 / sqrt(variance + epsilon)`.
fn inverse(variance: f32, epsilon: f64) -> f32 {
    (1.0 / (f64::from(variance) + epsilon).sqrt()) as f32
}

struct Apply<'a> {
    affine: &'a Affine,
    /// None: it is in `out`.
    x: Option<&'a [f32]>,
    shortcut: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Affine { centre, scale, shift, activation } = self.affine;
        let channels = scale.len();
        let rows = self.out.chunks_exact_mut(channels);
        if let Some(x) = self.x {
            for (out, x) in rows.zip(x.chunks_exact(channels)) {
                let factors = centre.iter().zip(scale.iter().zip(shift));
                for ((out, x), (centre, (scale, shift))) in out.iter_mut().zip(x).zip(factors) {
                    *out = (x - centre) * scale + shift;
                }
            }
        } else {
            for out in rows {
                for (out, (centre, (scale, shift))) in out.iter_mut().zip(centre.iter().zip(scale.iter().zip(shift))) {
                    *out = (*out - centre) * scale + shift;
                }
            }
        }
        for (out, shortcut) in self.out.iter_mut().zip(self.shortcut) {
            *out += shortcut;
        }
        match activation {
            Activation::None => {}
            Activation::Relu => {
                for out in &mut *self.out {
                    *out = if *out <= 0.0 { 0.0 } else { *out };
                }
            }
            Activation::Gelu => {
                for out in &mut *self.out {
                    *out = gelu(*out);
                }
            }
        }
    }
}

/// What the backward pass keeps of the forward pass.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) x: FlexTensor,
    /// Empty if there is no shortcut.
    pub(super) shortcut: FlexTensor,
    pub(super) statistics: Statistics,
    pub(super) affine: Affine,
    pub(super) weight: Vec<f32>,
    pub(super) epsilon: f64,
}

#[derive(Debug)]
pub(super) struct Norm;

impl Backward<Flex, 4> for Norm {
    type State = Saved;

    /// With `z` the value before the activation, `h = (x - mean) / deviation` and `n` rows:
    /// `dx = weight / deviation (dz - sum(dz)/n - h sum(dz h)/n)`, `dweight = sum(dz h)`, `dbias = sum(dz)`.
    fn backward(self, ops: Recorded<Saved, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Saved { x, shortcut, statistics, affine, weight, epsilon } = ops.state;
        let [of_x, of_weight, of_bias, of_shortcut] = ops.parents;
        let gradient = grads.consume::<Flex>(&ops.node);
        let shape: [usize; 4] = std::array::from_fn(|axis| x.layout().shape()[axis]);
        let (gradient, x, shortcut) = (ChannelsLast::of(&gradient), ChannelsLast::of(&x), ChannelsLast::of(&shortcut));
        let (x, channels) = (x.values(), shape[1]);
        let (chunk, arch) = (chunk(channels), Arch::new());
        let inverse: Vec<f32> = statistics.variance.iter().map(|variance| inverse(*variance, epsilon)).collect();

        let gradient = gradient.values();
        let mut before = vec![0.0; gradient.len()];
        let sums = before.par_chunks_mut(chunk).enumerate().map(|(number, before)| {
            let part = number * chunk..number * chunk + before.len();
            let shortcut = shortcut.values().get(part.clone()).unwrap_or_default();
            arch.dispatch(BeforeActivation {
                affine: &affine,
                inverse: &inverse,
                x: &x[part.clone()],
                gradient: &gradient[part],
                shortcut,
                before,
            })
        });
        let sums: Vec<[Vec<f32>; 2]> = sums.collect();
        let total = |which: usize| {
            let mut total = vec![0.0_f64; channels];
            for sum in &sums {
                total.iter_mut().zip(&sum[which]).for_each(|(total, sum)| *total += f64::from(*sum));
            }
            total
        };
        let (of_z, of_zh) = (total(0), total(1));
        let parameter = |sums: &[f64]| {
            let values: Vec<f32> = sums.iter().map(|sum| *sum as f32).collect();
            FlexTensor::from_data(TensorData::new(values, [channels]))
        };
        if let Some(node) = of_weight {
            grads.register::<Flex>(node.id, parameter(&of_zh));
        }
        if let Some(node) = of_bias {
            grads.register::<Flex>(node.id, parameter(&of_z));
        }
        if let Some(node) = &of_shortcut {
            grads.register::<Flex>(node.id, channels_last(before.clone(), shape));
        }
        if let Some(node) = of_x {
            // dx = a dz + b (x - mean) + c, per channel.
            let rows = (x.len() / channels.max(1)) as f64;
            let factors = (0..channels).map(|i| {
                let (inverse, factor) = (f64::from(inverse[i]), f64::from(weight[i]) * f64::from(inverse[i]));
                let slope = -factor * inverse * of_zh[i] / rows;
                [factor as f32, slope as f32, (-factor * of_z[i] / rows) as f32]
            });
            let factors: Vec<[f32; 3]> = factors.collect();
            let [a, b, c] = [0, 1, 2].map(|i| factors.iter().map(|factors| factors[i]).collect::<Vec<f32>>());
            let factors = [a.as_slice(), b.as_slice(), c.as_slice(), statistics.mean.as_slice()];
            before.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).for_each(|(before, x)| {
                arch.dispatch(ThroughStatistics { factors, x, before });
            });
            grads.register::<Flex>(node.id, channels_last(before, shape));
        }
    }
}

/// From the gradient of the output to that of the value before the activation, and its sums.
struct BeforeActivation<'a> {
    affine: &'a Affine,
    inverse: &'a [f32],
    x: &'a [f32],
    shortcut: &'a [f32],
    /// The gradient of the output.
    gradient: &'a [f32],
    /// The gradient of the value before the activation.
    before: &'a mut [f32],
}

impl WithSimd for BeforeActivation<'_> {
    /// `sum(dz)` and `sum(dz h)` of each channel.
    type Output = [Vec<f32>; 2];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [Vec<f32>; 2] {
        let Affine { centre, scale, shift, activation } = self.affine;
        let channels = scale.len();
        let mut of_z = vec![0.0; channels];
        let mut of_zh = vec![0.0; channels];
        let mut z = vec![0.0; if *activation == Activation::None { 0 } else { channels }];
        let rows = self.before.chunks_exact_mut(channels).zip(self.gradient.chunks_exact(channels));
        for (row, ((before, gradient), x)) in rows.zip(self.x.chunks_exact(channels)).enumerate() {
            if *activation != Activation::None {
                let factors = centre.iter().zip(scale.iter().zip(shift));
                for ((z, x), (centre, (scale, shift))) in z.iter_mut().zip(x).zip(factors) {
                    *z = (x - centre) * scale + shift;
                }
                if !self.shortcut.is_empty() {
                    for (z, shortcut) in z.iter_mut().zip(&self.shortcut[row * channels..][..channels]) {
                        *z += shortcut;
                    }
                }
            }
            match activation {
                Activation::None => before.copy_from_slice(gradient),
                Activation::Relu => {
                    for ((before, gradient), z) in before.iter_mut().zip(gradient).zip(&z) {
                        *before = if *z <= 0.0 { 0.0 } else { *gradient };
                    }
                }
                Activation::Gelu => {
                    for ((before, gradient), z) in before.iter_mut().zip(gradient).zip(&z) {
                        *before = gradient * slope(*z);
                    }
                }
            }
            for (sum, before) in of_z.iter_mut().zip(&*before) {
                *sum += before;
            }
            let sums = of_zh.iter_mut().zip(&*before).zip(x);
            for (((sum, before), x), (centre, inverse)) in sums.zip(centre.iter().zip(self.inverse)) {
                *sum += before * ((x - centre) * inverse);
            }
        }
        [of_z, of_zh]
    }
}

/// From the gradient of the normalised value to that of the input.
struct ThroughStatistics<'a> {
    factors: [&'a [f32]; 4],
    x: &'a [f32],
    before: &'a mut [f32],
}

impl WithSimd for ThroughStatistics<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [a, b, c, mean] = self.factors;
        for (before, x) in self.before.chunks_exact_mut(a.len()).zip(self.x.chunks_exact(a.len())) {
            let factors = a.iter().zip(b).zip(c.iter().zip(mean));
            for ((before, x), ((a, b), (c, mean))) in before.iter_mut().zip(x).zip(factors) {
                *before = *before * a + (x - mean) * b + c;
            }
        }
    }
}
