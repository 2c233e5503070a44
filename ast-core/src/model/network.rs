use burn::module::{Module, Param};
use burn::tensor::{Bytes, Device, Tensor, TensorData};

use crate::model::cost::LayerCost;
use crate::plugin::{ParamError, ParamSpec, Params, RegistryError};
use crate::random::{Purpose, Random, Stream};

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
    /// what a proxy and a reference are.
    #[must_use]
    fn proxy(&self, weights: Weights<'_>) -> Self;

    /// The same network without dropout on images of half the width and height, features spread out where shapes must
    /// fit: a cheap scoring pass. `None` if it has no such pass for these images.
    fn forward_half(&self, _input: Input) -> Option<Forward> {
        None
    }

    /// The layers of [`forward_half`](Self::forward_half), of which only the forward cost counts.
    fn layers_half(&self) -> Vec<LayerCost> {
        Vec::new()
    }
}

/// A network that a configuration can name. Registered with [`register_network!`](crate::register_network).
pub trait Network: Model {
    /// The name used on the command line and in configurations.
    const NAME: &'static str;
    /// One line: what it is, and its source.
    const SUMMARY: &'static str;
    /// Its parameters.
    const PARAMS: &'static [ParamSpec] = &[];

    /// For images of `[channels, height, width]` in so many classes.
    ///
    /// # Errors
    /// [`NetworkError`] if it cannot take such images, or refuses a parameter.
    fn build(params: &Params, shape: [usize; 3], classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError>;
}

/// Why a network cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It does not take images of this size.
    #[error("images of {} x {} pixels in {} channels: {needs}", shape[1], shape[2], shape[0])]
    Shape {
        /// `[channels, height, width]`.
        shape: [usize; 3],
        /// What it takes.
        needs: &'static str,
    },
    /// A parameter was refused.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// No network of that name.
    #[error("model {0}")]
    Unknown(RegistryError),
}

/// Initial weights, uniform within `+-1/sqrt(fan_in)` (He et al. 2015 with gain 1/sqrt 3, as PyTorch does by default).
///
/// Drawn on the host from counter-based randomness, so that a seed gives the same network on every backend.
#[derive(Debug)]
pub struct Weights<'a> {
    random: Random,
    device: &'a Device,
    drawn: u64,
    /// What they are drawn for, and for which of several networks: two that differ in either share no number.
    purpose: Purpose,
    network: u64,
}

impl<'a> Weights<'a> {
    /// For parameters on `device`.
    #[must_use]
    pub fn new(random: Random, device: &'a Device) -> Self {
        Self::of(Purpose::Weights, 0, random, device)
    }

    /// For parameters of network number `network` among those of a purpose, on `device`.
    pub(crate) fn of(purpose: Purpose, network: u64, random: Random, device: &'a Device) -> Self {
        Self { random, device, drawn: 0, purpose, network }
    }

    /// Where the parameters live.
    #[must_use]
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// The next parameter.
    pub fn draw<const D: usize>(&mut self, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let mut stream = self.random.stream(self.purpose, self.drawn, self.network);
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

/// Bytes that Burn can read.
pub(crate) fn burn_bytes(bytes: &[u8]) -> Bytes {
    Bytes::from_bytes_vec(bytes.to_vec())
}
