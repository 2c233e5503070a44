use burn::module::{Module, Param};
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};

use crate::data::Shape;
use crate::model::cost::LayerCost;
use crate::model::mode::Mode;
use crate::plugin::{ParamError, ParamSpec, Params, RegistryError};
use crate::random::{Purpose, Random};

/// A batch of inputs on a device.
#[derive(Debug, Clone)]
pub enum Input {
    /// Normalised images, `[batch, channels, height, width]`.
    Image(Tensor<4>),
    /// Tokens, `[batch, context]`.
    Tokens(Tensor<2, Int>),
}

/// What a forward pass gives. There is one row for each target: one a sample for images, one a token for text.
///
/// The loss of a sample, and every statistic of it, is the mean over its rows.
#[derive(Debug, Clone)]
pub struct Forward {
    /// `[rows, classes]`.
    pub logits: Tensor<2>,
    /// The exact input of the last linear layer, after dropout, `[rows, width]`; `None` if the network does not end in one.
    pub features: Option<Tensor<2>>,
}

/// A network that can be trained by this program.
pub trait Model: Module {
    /// Runs the network on a batch.
    fn forward(&self, input: Input, mode: &mut Mode) -> Forward;

    /// Its layers with their cost for one sample of this shape: the only source of every FLOP count that the program prints.
    ///
    /// # Errors
    /// [`NetworkError::Shape`] if it does not take such samples, saying which it takes.
    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError>;

    /// Whether [`Forward::features`] is there. A scorer that needs features is refused for a network without.
    fn has_features(&self) -> bool {
        true
    }

    /// A smaller network of the same kind, for the same inputs and classes, whose step costs a few percent of this one's:
    /// the proxy and the reference. `None` if there is none; what needs one is then refused.
    fn proxy(&self, _weights: Weights<'_>) -> Option<Self> {
        None
    }

    /// The same network without dropout on images of half the width and height, features spread out where shapes must
    /// fit: a cheap scoring pass. `None` if it has no such pass for these images.
    fn forward_half(&self, _input: Input) -> Option<Forward> {
        None
    }

    /// The layers of [`forward_half`](Self::forward_half), of which only the forward cost counts.
    fn layers_half(&self, _shape: Shape) -> Vec<LayerCost> {
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

    /// For samples of this shape in so many classes.
    ///
    /// # Errors
    /// [`NetworkError`] if it cannot take such samples, or refuses a parameter.
    fn build(params: &Params, shape: Shape, classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError>;
}

/// Why a network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// It does not take samples of this shape.
    #[error("{shape}: {needs}")]
    Shape {
        /// What the data has.
        shape: Shape,
        /// What it takes.
        needs: &'static str,
    },
    /// A scorer or policy needs what it has not.
    #[error("{user} needs {what}, and this network has none")]
    Lacks {
        /// Which scorer or policy, by name.
        user: String,
        /// What it needs.
        what: &'static str,
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

/// Bytes that Burn can read.
pub(crate) fn burn_bytes(bytes: &[u8]) -> Bytes {
    Bytes::from_bytes_vec(bytes.to_vec())
}
