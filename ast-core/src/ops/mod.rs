//! Tensor operations with a faster implementation on the CPU backend. All other backends use Burn's own operations.
//!
//! Burn's flex backend computes a convolution's gradients through general code that takes several times as long as the
//! arithmetic needs. [`conv`] fuses a convolution with the ReLU and pooling after it, so that an image stays
//! in the cache from padding to pooled output. It uses Burn's own extension mechanism: the same call runs on every
//! backend.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
pub use flex::instruction_set;

use burn::backend::tensor::FloatTensor;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::backend::{Autodiff, Cube, autodiff::checkpoint::strategy::CheckpointStrategy};
use burn::backend::{Backend, Dispatch, Scalar, TensorMetadata, backend_extension};
use burn::tensor::FloatDType;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Shape, Tensor};

/// The function after a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None: the identity.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `x Phi(x)`, `Phi` the standard normal distribution function (Hendrycks & Gimpel 2016), in its exact form, as in
    /// PyTorch's default.
    Gelu,
}

/// Stride and padding of a convolution, and the ReLU and pooling after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Step between windows, `[down, right]`, 1 or more.
    pub stride: [usize; 2],
    /// Zeros on each side, `[above and below, left and right]`.
    pub padding: [usize; 2],
    /// Whether ReLU follows the convolution.
    pub relu: bool,
    /// Side of the square, non-overlapping max-pooling windows, 1..=15; 1 means no pooling.
    pub pool: usize,
}

/// A fused convolution, ReLU and max-pooling: `max_pool(relu(convolution(x, weight) + bias))`, ReLU and pooling as the
/// block says.
///
/// Shapes: `x` `[batch, channels in, height, width]`, `weight` `[channels out, channels in, kernel height, kernel
/// width]`, `bias` `[channels out]`. The result is `[batch, channels out, ..]`; its sides are `((side + 2 padding -
/// kernel) / stride + 1) / pool`, both divisions rounded down.
#[must_use]
pub fn conv(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, block: Block) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as Ops>::conv(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        block,
    ))
}

/// Coefficients of one Adam step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamStep {
    /// Decay of the first and of the second moment, 0..1.
    pub beta: [f32; 2],
    /// Factor of the first moment that corrects the bias of both moments' start at zero.
    pub correction: f32,
    /// Added to the square root of the second moment.
    pub epsilon: f32,
    /// Learning rate.
    pub lr: f32,
    /// Weight decay, decoupled from the gradient (Loshchilov & Hutter 2019); 0 for none.
    pub decay: f32,
}

/// One step of Adam (Kingma & Ba 2015). Returns the parameter and the first and second moment of its gradient; all
/// tensors have the same shape.
///
/// `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g^2`,
/// `x = (1 - lr decay) x - lr (correction m / (sqrt(v) + epsilon))`.
#[must_use]
pub fn adam<const D: usize>(
    x: Tensor<D>,
    gradient: Tensor<D>,
    moments: [Tensor<D>; 2],
    step: AdamStep,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let [first, second] = moments.map(Tensor::into_dispatch);
    let (x, first, second) = <Dispatch as Ops>::adam(x.into_dispatch(), gradient.into_dispatch(), first, second, step);
    (Tensor::from_dispatch(x), [first, second].map(Tensor::from_dispatch))
}

/// Coefficients of a step of gradient descent with momentum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SgdStep {
    /// Share of the velocity that is kept, 0..1.
    pub momentum: f32,
    /// Whether the step looks ahead along the new velocity (Nesterov).
    pub nesterov: bool,
    /// Share of the parameter that is added to its gradient.
    pub decay: f32,
    /// Learning rate.
    pub lr: f32,
}

/// One step of stochastic gradient descent with momentum, as in PyTorch. Returns the parameter and its velocity; all
/// tensors have the same shape. The first velocity is 0.
///
/// `g = g + decay x`, `v = momentum v + g`, then `x = x - lr v`, or with Nesterov `x = x - lr (g + momentum v)`.
#[must_use]
pub fn sgd<const D: usize>(
    x: Tensor<D>,
    gradient: Tensor<D>,
    velocity: Tensor<D>,
    step: SgdStep,
) -> (Tensor<D>, Tensor<D>) {
    let (x, velocity) =
        <Dispatch as Ops>::sgd(x.into_dispatch(), gradient.into_dispatch(), velocity.into_dispatch(), step);
    (Tensor::from_dispatch(x), Tensor::from_dispatch(velocity))
}

/// `x Phi(x)`, `Phi` the standard normal distribution function (Hendrycks & Gimpel 2016), with its exact gradient.
#[must_use]
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as Ops>::gelu(x.into_dispatch()))
}

/// A batch, normalised by its own statistics.
#[derive(Debug)]
pub struct Normalised {
    /// `[batch, channels, height, width]`.
    pub output: Tensor<4>,
    /// Mean of each channel, `[channels]`, without gradient.
    pub mean: Tensor<1>,
    /// Biased variance of each channel, `[channels]`, without gradient.
    pub variance: Tensor<1>,
}

impl Normalised {
    fn from_dispatch(
        (output, mean, variance): (FloatTensor<Dispatch>, FloatTensor<Dispatch>, FloatTensor<Dispatch>),
    ) -> Self {
        Self {
            output: Tensor::from_dispatch(output),
            mean: Tensor::from_dispatch(mean),
            variance: Tensor::from_dispatch(variance),
        }
    }
}

/// Batch normalisation by the batch's own statistics, the addition of a shortcut, and an activation:
/// `activation(weight (x - mean) / sqrt(variance + epsilon) + bias + shortcut)`.
///
/// Shapes: `x` and `shortcut` `[batch, channels, height, width]`, `weight` and `bias` `[channels]`.
#[must_use]
pub fn batch_norm(
    x: Tensor<4>,
    [weight, bias]: [Tensor<1>; 2],
    shortcut: Option<Tensor<4>>,
    activation: Activation,
    epsilon: f64,
) -> Normalised {
    let (shortcut, after) = After::new(&x, shortcut, activation);
    let (x, shortcut) = (x.into_dispatch(), shortcut.into_dispatch());
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    Normalised::from_dispatch(<Dispatch as Ops>::batch_norm_act(x, weight, bias, shortcut, epsilon, after))
}

/// `activation(scale x + shift + shortcut)`, `scale` and `shift` `[channels]`, the others `[batch, channels, height,
/// width]`: what a normalisation is in evaluation.
#[must_use]
pub fn affine(
    x: Tensor<4>,
    [scale, shift]: [Tensor<1>; 2],
    shortcut: Option<Tensor<4>>,
    activation: Activation,
) -> Tensor<4> {
    let (shortcut, after) = After::new(&x, shortcut, activation);
    let (x, shortcut) = (x.into_dispatch(), shortcut.into_dispatch());
    Tensor::from_dispatch(<Dispatch as Ops>::affine(x, scale.into_dispatch(), shift.into_dispatch(), shortcut, after))
}

/// [`conv`] without bias, then [`batch_norm`] of its result. On the CPU backend the statistics are taken while the images
/// are in the cache.
///
/// Shapes: `x`, `weight` and the output as of [`conv`], `norm` (its weight and bias) `[channels out]`, `shortcut` as the
/// output.
#[must_use]
pub fn conv_batch_norm(
    [x, weight]: [Tensor<4>; 2],
    block: Block,
    norm: [Tensor<1>; 2],
    shortcut: Option<Tensor<4>>,
    activation: Activation,
    epsilon: f64,
) -> Normalised {
    let (shortcut, after) = After::new(&x, shortcut, activation);
    let [x, weight, shortcut] = [x, weight, shortcut].map(Tensor::into_dispatch);
    let [norm_weight, norm_bias] = norm.map(Tensor::into_dispatch);
    let step = NormStep { block, epsilon, after };
    Normalised::from_dispatch(<Dispatch as Ops>::conv_batch_norm(x, weight, norm_weight, norm_bias, shortcut, step))
}

/// [`conv`] without bias, then [`affine`] of its result. On the CPU backend both are one pass over the memory.
///
/// Shapes: `x`, `weight` and the result as of [`conv`], `scale` and `shift` `[channels out]`, `shortcut` as the result.
#[must_use]
pub fn conv_affine(
    [x, weight]: [Tensor<4>; 2],
    block: Block,
    [scale, shift]: [Tensor<1>; 2],
    shortcut: Option<Tensor<4>>,
    activation: Activation,
) -> Tensor<4> {
    let (shortcut, after) = After::new(&x, shortcut, activation);
    let [x, weight, shortcut] = [x, weight, shortcut].map(Tensor::into_dispatch);
    let [scale, shift] = [scale, shift].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as Ops>::conv_affine(x, weight, scale, shift, shortcut, block, after))
}

/// A convolution and the normalisation after it.
#[derive(Debug, Clone, Copy)]
struct NormStep {
    block: Block,
    epsilon: f64,
    after: After,
}

/// What follows a normalisation.
#[derive(Debug, Clone, Copy)]
struct After {
    /// Whether there is a shortcut; if not, an empty tensor stands in its place.
    adds: bool,
    activation: Activation,
}

impl After {
    fn new(x: &Tensor<4>, shortcut: Option<Tensor<4>>, activation: Activation) -> (Tensor<4>, Self) {
        let adds = shortcut.is_some();
        (shortcut.unwrap_or_else(|| Tensor::zeros([0, 1, 1, 1], &x.device())), Self { adds, activation })
    }

    fn apply<B: Ops>(self, x: FloatTensor<B>, shortcut: FloatTensor<B>) -> FloatTensor<B> {
        let x = if self.adds { B::float_add(x, shortcut) } else { x };
        match self.activation {
            Activation::None => x,
            Activation::Relu => B::relu(x),
            Activation::Gelu => <B as Ops>::gelu(x),
        }
    }
}

/// Operations that a backend may implement itself.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff
)]
trait Ops: Backend {
    /// See [`conv`].
    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        block: Block,
    ) -> FloatTensor<Self> {
        let Block { stride, padding, relu, pool } = block;
        let sums = Self::conv2d(x, weight, Some(bias), ConvOptions::new(stride, padding, [1, 1], 1));
        let output = if relu { Self::relu(sums) } else { sums };
        if pool == 1 {
            return output;
        }
        Self::max_pool2d(output, [pool, pool], [pool, pool], [0, 0], [1, 1], false)
    }

    /// See [`adam`].
    fn adam(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let times = |x, factor: f32| Self::float_mul_scalar(x, Scalar::from(factor));
        let decay = |moment, beta: f32, new| Self::float_add(times(moment, beta), times(new, 1.0 - beta));
        let first = decay(first, step.beta[0], gradient.clone());
        let second = decay(second, step.beta[1], Self::float_mul(gradient.clone(), gradient));
        let root = Self::float_add_scalar(Self::float_sqrt(second.clone()), Scalar::from(step.epsilon));
        let delta = times(Self::float_div(times(first.clone(), step.correction), root), step.lr);
        (Self::float_sub(times(x, 1.0 - step.lr * step.decay), delta), first, second)
    }

    /// See [`sgd`].
    fn sgd(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        velocity: FloatTensor<Self>,
        step: SgdStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let times = |x, factor: f32| Self::float_mul_scalar(x, Scalar::from(factor));
        let gradient = Self::float_add(gradient, times(x.clone(), step.decay));
        let velocity = Self::float_add(times(velocity, step.momentum), gradient.clone());
        let ahead = || Self::float_add(gradient, times(velocity.clone(), step.momentum));
        let direction = if step.nesterov { ahead() } else { velocity.clone() };
        (Self::float_sub(x, times(direction, step.lr)), velocity)
    }

    /// See [`gelu`]. Burn's own has the gradient of another function, the approximation by tanh, which is off by up to
    /// 9e-4.
    fn gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let times = |x, factor: f64| Self::float_mul_scalar(x, Scalar::from(factor));
        let erf = Self::float_erf(times(x.clone(), std::f64::consts::FRAC_1_SQRT_2));
        Self::float_mul(x, times(Self::float_add_scalar(erf, Scalar::from(1.0)), 0.5))
    }

    /// See [`batch_norm`].
    fn batch_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        epsilon: f64,
        after: After,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let normalised = Self::batch_norm_train(x, weight, bias, epsilon);
        (after.apply::<Self>(normalised.output, shortcut), normalised.mean, normalised.variance)
    }

    /// See [`conv_batch_norm`].
    fn conv_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        norm_weight: FloatTensor<Self>,
        norm_bias: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        step: NormStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let x = <Self as Ops>::conv_without_bias(x, weight, step.block);
        <Self as Ops>::batch_norm_act(x, norm_weight, norm_bias, shortcut, step.epsilon, step.after)
    }

    /// See [`conv_affine`].
    fn conv_affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        block: Block,
        after: After,
    ) -> FloatTensor<Self> {
        let x = <Self as Ops>::conv_without_bias(x, weight, block);
        <Self as Ops>::affine(x, scale, shift, shortcut, after)
    }

    /// See [`conv`].
    fn conv_without_bias(x: FloatTensor<Self>, weight: FloatTensor<Self>, block: Block) -> FloatTensor<Self> {
        let zeros = Self::float_zeros(Shape::from([weight.shape()[0]]), &x.device(), FloatDType::F32);
        <Self as Ops>::conv(x, weight, zeros, block)
    }

    /// See [`affine`].
    fn affine(
        x: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        shortcut: FloatTensor<Self>,
        after: After,
    ) -> FloatTensor<Self> {
        let channels = scale.shape()[0];
        let per_channel = |values| Self::float_reshape(values, Shape::from([1, channels, 1, 1]));
        let x = Self::float_add(Self::float_mul(x, per_channel(scale)), per_channel(shift));
        after.apply::<Self>(x, shortcut)
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl Ops for Cube {}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl<C: CheckpointStrategy> Ops for Autodiff<Cube, C> {}
