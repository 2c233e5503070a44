use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData};

use crate::data::{Dataset, Shape};
use crate::model::cost::LayerCost;
use crate::model::mode::Mode;
use crate::plugin::{ParamError, ParamSpec, Params, RegistryError};
use crate::random::{Purpose, Random, Stream};

/// A batch of inputs on a device.
#[derive(Debug, Clone)]
pub enum Input {
    /// Normalised images, `[batch, channels, height, width]`.
    Image(Tensor<4>),
    /// Tokens, `[batch, context]`.
    Tokens(Tensor<2, Int>),
}

/// The output of a forward pass. It has one row per target: one per sample for images, one per token for text.
///
/// The loss and the statistics of a sample are means over its rows.
#[derive(Debug, Clone)]
pub struct Forward {
    /// `[rows, classes]`.
    pub logits: Tensor<2>,
    /// The input of the last linear layer, after dropout, `[rows, width]`; `None` if the network does not end in one.
    pub features: Option<Tensor<2>>,
}

/// A network that our trainer can train.
pub trait Model: Module {
    /// Runs the network on a batch.
    fn forward(&self, input: Input, mode: &mut Mode) -> Forward;

    /// The layers with their cost for one sample of this shape. All FLOP counts of the program are computed from them.
    ///
    /// # Errors
    /// [`NetworkError::Shape`] if the network does not take samples of this shape; it says which it takes.
    fn layers(&self, shape: Shape) -> Result<Vec<LayerCost>, NetworkError>;

    /// Whether [`Forward::features`] is set. A network without features cannot be used with a scorer that needs them.
    fn has_features(&self) -> bool {
        true
    }

    /// A smaller network of the same architecture, for the same inputs and classes, whose step costs a few percent of
    /// this one's. It serves as an auxiliary network: as proxy and as reference. `None` if there is none; then policies
    /// and scorers that need one are refused.
    fn proxy(&self, _weights: Weights<'_>) -> Option<Self> {
        None
    }

    /// A cheap scoring pass: the same network without dropout on images of half the width and height. Features are
    /// repeated where the next layer needs the full size. `None` if there is no such pass for these images.
    fn forward_half(&self, _input: Input) -> Option<Forward> {
        None
    }

    /// The layers of [`forward_half`](Self::forward_half). Only the forward cost is used.
    fn layers_half(&self, _shape: Shape) -> Vec<LayerCost> {
        Vec::new()
    }
}

/// A network that a configuration can name. Register it with [`register_network!`](crate::register_network).
pub trait Network: Model {
    /// The name used on the command line and in configurations.
    const NAME: &'static str;
    /// A one-line summary with its source.
    const SUMMARY: &'static str;
    /// Its parameters.
    const PARAMS: &'static [ParamSpec] = &[];

    /// Builds the network for samples of this shape in `classes` classes.
    ///
    /// # Errors
    /// [`NetworkError`] if it does not take such samples or a parameter is invalid.
    fn build(params: &Params, shape: Shape, classes: usize, weights: Weights<'_>) -> Result<Self, NetworkError>;

    /// Adapts a new network to the training data, before the first step. For layers that are computed from the data
    /// instead of trained.
    #[must_use]
    fn adapt(self, _data: &dyn Dataset) -> Self {
        self
    }
}

/// An error about a network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The network does not take samples of this shape.
    #[error("{shape}: {needs}")]
    Shape {
        /// Shape of the data.
        shape: Shape,
        /// What the network takes.
        needs: &'static str,
    },
    /// A scorer or policy needs something that the network does not have.
    #[error("{user} needs {what}; this network does not provide that")]
    Lacks {
        /// Name of the scorer or policy.
        user: String,
        /// What it needs.
        what: &'static str,
    },
    /// A scorer or policy does not take the data.
    #[error("{user}: {reason}")]
    Unfit {
        /// Name of the scorer or policy.
        user: String,
        /// Why.
        reason: &'static str,
    },
    /// A parameter is invalid.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// There is no network of that name.
    #[error("model {0}")]
    Unknown(RegistryError),
}

/// Initial weights, drawn on the host from counter-based randomness: the same seed gives the same network on every
/// backend.
#[derive(Debug)]
pub struct Weights<'a> {
    random: Random,
    device: &'a Device,
    drawn: u64,
    /// Their purpose and the number of the network. Different purposes or numbers give independent weights.
    purpose: Purpose,
    network: u64,
}

impl<'a> Weights<'a> {
    /// Weights of the run's network, for parameters on `device`.
    #[must_use]
    pub fn new(random: Random, device: &'a Device) -> Self {
        Self::of(Purpose::Weights, 0, random, device)
    }

    /// Weights of network number `network` of a purpose, for parameters on `device`.
    pub(crate) fn of(purpose: Purpose, network: u64, random: Random, device: &'a Device) -> Self {
        Self { random, device, drawn: 0, purpose, network }
    }

    /// The device of the parameters.
    #[must_use]
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// Draws the next parameter, uniform within `+-1/sqrt(fan_in)` (He et al. 2015 with gain 1/sqrt 3, as PyTorch does by
    /// default).
    pub fn draw<const D: usize>(&mut self, shape: [usize; D], fan_in: usize) -> Param<Tensor<D>> {
        let bound = 1.0 / (fan_in as f64).sqrt();
        self.next(shape, |stream| (2.0 * stream.uniform() - 1.0) * bound)
    }

    /// Draws the next parameter, normal with mean 0 and this standard deviation.
    pub fn normal<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Param<Tensor<D>> {
        self.next(shape, |stream| stream.normal() * deviation)
    }

    /// Draws the next two parameters, those of a linear layer with `[input width, output width]`, as PyTorch does by
    /// default.
    pub fn linear(&mut self, widths: [usize; 2]) -> Linear {
        Linear { weight: self.draw(widths, widths[0]), bias: Some(self.draw([widths[1]], widths[0])) }
    }

    fn next<const D: usize>(
        &mut self,
        shape: [usize; D],
        mut value: impl FnMut(&mut Stream) -> f64,
    ) -> Param<Tensor<D>> {
        let mut stream = self.random.stream(self.purpose, self.drawn, self.network);
        self.drawn += 1;
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| value(&mut stream) as f32).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}

/// Converts bytes to Burn's type.
pub(crate) fn burn_bytes(bytes: &[u8]) -> Bytes {
    Bytes::from_bytes_vec(bytes.to_vec())
}
