use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::random::{Purpose, Random, Stream};
use crate::small::Small;

/// A batch of inputs on a device.
#[derive(Debug, Clone)]
pub enum Input {
    /// Normalised images, `[batch, channels, height, width]`.
    Image(Tensor<4>),
}

/// What a forward pass is for.
#[derive(Debug)]
pub enum Mode<'a> {
    /// Training: dropout draws its masks from the stream, so that they are the same on every device.
    Train(&'a mut Stream),
    /// Evaluation: nothing is random.
    Eval,
}

/// What a forward pass gives.
#[derive(Debug, Clone)]
pub struct Forward {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// The exact input of the last linear layer, after dropout, `[batch, width]`.
    pub features: Tensor<2>,
}

/// A network that can be trained by this program.
pub trait Model: Module {
    /// Runs the network on a batch.
    fn forward(&self, input: Input, mode: Mode<'_>) -> Forward;

    /// Its layers with their cost: the only source of every FLOP count that the program prints.
    fn layers(&self) -> Vec<LayerCost>;

    /// A smaller network of the same kind, for the same inputs and classes, whose step costs about 4 % of this one's:
    /// what a [`Small`] network is.
    #[must_use]
    fn smaller(&self, weights: Weights<'_>) -> Self;

    /// The same network without dropout on images of half the width and height, features spread out where shapes must
    /// fit: a cheap look. `None` if it has no such pass for these images.
    fn forward_half(&self, _input: Input) -> Option<Forward> {
        None
    }

    /// The layers of [`forward_half`](Self::forward_half), of which only the forward cost counts.
    fn layers_half(&self) -> Vec<LayerCost> {
        Vec::new()
    }
}

/// Floating-point operations of one layer for one sample; a multiply-add counts two.
///
/// Convolutions and linear layers are counted, element-wise work (activations, pooling, the optimizer) is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCost {
    /// Its name in the model.
    pub name: &'static str,
    /// Forward pass.
    pub forward: u64,
    /// Gradient by the weights.
    pub weight_gradient: u64,
    /// Gradient by the input; 0 for the first layer, whose input needs none.
    pub input_gradient: u64,
}

impl LayerCost {
    /// A convolution with `[channels in, channels out]`, a `kernel` x `kernel` window and `places` outputs a channel.
    #[must_use]
    pub fn convolution(name: &'static str, channels: [usize; 2], kernel: usize, places: usize) -> Self {
        Self::product(name, channels[0] * kernel * kernel * channels[1] * places)
    }

    /// A linear layer with `[width in, width out]`.
    #[must_use]
    pub fn linear(name: &'static str, widths: [usize; 2]) -> Self {
        Self::product(name, widths[0] * widths[1])
    }

    /// As the first layer: no gradient by its input is ever computed.
    #[must_use]
    pub fn first(self) -> Self {
        Self { input_gradient: 0, ..self }
    }

    fn product(name: &'static str, multiply_adds: usize) -> Self {
        let flops = 2 * multiply_adds as u64;
        Self { name, forward: flops, weight_gradient: flops, input_gradient: flops }
    }
}

/// Initial weights, uniform within `+-1/sqrt(fan_in)` (He et al. 2015 with gain 1/sqrt 3, as PyTorch does by default).
///
/// Drawn on the host from counter-based randomness, so that a seed gives the same network on every backend.
#[derive(Debug)]
pub struct Weights<'a> {
    random: Random,
    device: &'a Device,
    drawn: u64,
    /// Of which small network, if of one.
    small: Option<Small>,
}

impl<'a> Weights<'a> {
    /// For parameters on `device`.
    #[must_use]
    pub fn new(random: Random, device: &'a Device) -> Self {
        Self { random, device, drawn: 0, small: None }
    }

    /// For parameters of a small network on `device`, which are none of the run's own.
    pub(crate) fn of_small(which: Small, random: Random, device: &'a Device) -> Self {
        Self { small: Some(which), ..Self::new(random, device) }
    }

    /// Where the parameters live.
    #[must_use]
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// The next parameter.
    pub fn draw<const D: usize>(&mut self, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let mut stream = match self.small {
            None => self.random.stream(Purpose::Weights, self.drawn, 0),
            Some(which) => self.random.stream(Purpose::SmallWeights, self.drawn, which as u64),
        };
        self.drawn += 1;
        let bound = 1.0 / (fan_in as f64).sqrt();
        let values: Vec<f32> =
            (0..shape.iter().product()).map(|_| ((2.0 * stream.uniform() - 1.0) * bound) as f32).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}

/// Dropout (Srivastava et al. 2014): in training each value is zeroed with probability `p`, others scaled by `1/(1-p)`.
#[must_use]
pub fn dropout<const D: usize>(x: Tensor<D>, p: f64, mode: Mode<'_>) -> Tensor<D> {
    let Mode::Train(stream) = mode else { return x };
    let kept = (1.0 / (1.0 - p)) as f32;
    let shape = x.dims();
    let mask: Vec<f32> = (0..shape.iter().product()).map(|_| if stream.uniform() < p { 0.0 } else { kept }).collect();
    let mask = Tensor::from_data(TensorData::new(mask, shape), &x.device());
    x * mask
}
