//! Networks by name. Each registered network builds its own trainer, so that the command needs no type parameter.

use std::path::Path;

use burn::tensor::{Device, Tensor};

use super::error::{PassError, TrainError};
use super::evaluate::{Evaluated, evaluate};
use super::metadata::with_preprocessing;
use super::{Callback, OnScoring, Setup, Trainer, WeightsError, load_weights, safetensors};
use crate::data::{Loader, Shape};
use crate::model::zoo::{Airbench, Gpt, ResNet, SimpleCnn, VitTiny};
use crate::model::{Input, Mode, Model, Network, NetworkError, Weights};
use crate::plugin::{Entry, Params, Registry};
use crate::random::Random;
use crate::run::{Answer, ModelConfig, Ran, Snapshot, Summary};
use crate::select::Ledger;

/// A registered network.
pub type NetworkEntry = Entry<BuildNetwork>;
inventory::collect!(NetworkEntry);

/// Its constructors.
#[derive(Debug)]
pub struct BuildNetwork {
    train: BuildTraining,
    load: LoadTrained,
}

type BuildTraining = fn(&Params, Setup<()>) -> Result<Box<dyn Training>, TrainError>;
type LoadTrained = fn(&Params, &Trained<'_>) -> Result<Box<dyn Inference>, WeightsError>;

impl BuildNetwork {
    /// The constructors of network `M`.
    #[must_use]
    pub const fn of<M: Network + 'static>() -> Self {
        Self { train: build::<M>, load: load::<M> }
    }
}

/// What is needed to use a network after its training.
#[derive(Debug, Clone, Copy)]
pub struct Trained<'a> {
    /// Its name and parameters.
    pub model: &'a ModelConfig,
    /// The safetensors file of its weights.
    pub weights: &'a Path,
    /// Shape of its samples.
    pub shape: Shape,
    /// Number of classes.
    pub classes: usize,
    /// A device without autodiff.
    pub device: &'a Device,
}

/// A network that is used, not trained.
pub trait Inference {
    /// The logits of a batch, `[rows, classes]`, one row per target.
    fn logits(&self, input: Input) -> Tensor<2>;

    /// Evaluates on the whole dataset of `loader`, with test-time augmentation if `augmented`. `device` is the one that it was
    /// loaded to.
    ///
    /// # Errors
    /// [`PassError`] if samples cannot be loaded or results not be read back.
    fn evaluate(&self, loader: &mut dyn Loader, device: &Device, augmented: bool) -> Result<Evaluated, PassError>;
}

struct Loaded<M>(M);

impl<M: Model> Inference for Loaded<M> {
    fn logits(&self, input: Input) -> Tensor<2> {
        self.0.forward(input, &mut Mode::Eval).logits
    }
    fn evaluate(&self, loader: &mut dyn Loader, device: &Device, augmented: bool) -> Result<Evaluated, PassError> {
        evaluate(&self.0, loader, device, augmented)
    }
}

impl Trained<'_> {
    /// Loads the network.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn load(&self) -> Result<Box<dyn Inference>, WeightsError> {
        let entry = Registry::<BuildNetwork>::linked().and_then(|networks| networks.get(&self.model.name));
        let entry = entry.map_err(NetworkError::Unknown)?;
        let params = Params::resolve(entry.params, &self.model.params).map_err(NetworkError::Param)?;
        (entry.build.load)(&params, self)
    }
}

fn load<M: Network + 'static>(params: &Params, trained: &Trained<'_>) -> Result<Box<dyn Inference>, WeightsError> {
    let Trained { weights, shape, classes, device, .. } = *trained;
    let model = M::build(params, shape, classes, Weights::new(Random::new(0), device))?;
    let (model, anew) = load_weights(model, shape, &[], weights)?;
    match anew {
        // Nothing trains the layer that would start anew.
        Some(_) => Err(WeightsError::Differs(vec!["; its last layer is for another number of classes".into()])),
        None => Ok(Box::new(Loaded(model))),
    }
}

/// A run with any network.
pub trait Training {
    /// See [`Trainer::run`].
    ///
    /// # Errors
    /// [`TrainError`].
    fn run(&mut self, callback: &mut dyn Callback) -> Result<Option<Summary>, TrainError>;

    /// See [`Trainer::restore`].
    ///
    /// # Errors
    /// [`TrainError`].
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TrainError>;

    /// See [`Trainer::on_scoring`].
    fn on_scoring(&mut self, told: OnScoring);

    /// See [`Trainer::ran`].
    fn ran(&self) -> Ran;

    /// See [`Trainer::answers`].
    fn answers(&self) -> &[Answer];

    /// The selector's memory of every sample.
    fn ledger(&self) -> &Ledger;

    /// The network in its current state, in the safetensors format. If its last steps were on smaller images, it has the
    /// running statistics with which it was evaluated.
    ///
    /// # Errors
    /// [`TrainError`].
    fn weights(&self) -> Result<Vec<u8>, TrainError>;
}

impl<M: Network> Training for Trainer<M> {
    fn run(&mut self, callback: &mut dyn Callback) -> Result<Option<Summary>, TrainError> {
        Self::run(self, callback)
    }
    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), TrainError> {
        Self::restore(self, snapshot)
    }
    fn on_scoring(&mut self, told: OnScoring) {
        Self::on_scoring(self, told);
    }
    fn ran(&self) -> Ran {
        Self::ran(self)
    }
    fn answers(&self) -> &[Answer] {
        Self::answers(self)
    }
    fn ledger(&self) -> &Ledger {
        self.selector.ledger()
    }
    fn weights(&self) -> Result<Vec<u8>, TrainError> {
        Ok(with_preprocessing(&safetensors(&self.for_evaluation()?.0)?, &self.preprocessing)?)
    }
}

impl Setup<()> {
    /// Builds the trainer of a run with the network named in its configuration.
    ///
    /// # Errors
    /// [`TrainError::Network`] if there is no network of that name, or it cannot take the data; [`TrainError::Weights`] if
    /// the weights that the configuration names cannot be loaded.
    pub fn build(self) -> Result<Box<dyn Training>, TrainError> {
        let model = &self.run.config.model;
        let entry = Registry::<BuildNetwork>::linked().and_then(|networks| networks.get(&model.name));
        let entry = entry.map_err(NetworkError::Unknown)?;
        let params = Params::resolve(entry.params, &model.params).map_err(NetworkError::Param)?;
        (entry.build.train)(&params, self)
    }
}

/// Builds the trainer of a run with network `M`, and loads the weights that the configuration names.
fn build<M: Network + 'static>(params: &Params, setup: Setup<()>) -> Result<Box<dyn Training>, TrainError> {
    let (data, device) = (setup.train.dataset().clone(), setup.device.clone());
    let weights = Weights::new(setup.run.checked.random(), &device);
    let model = M::build(params, data.shape(), data.classes(), weights)?;
    let (mut model, mut warning) = (model.adapt(data.as_ref()), None);
    if let Some(file) = &setup.run.config.model.weights {
        let loaded = load_weights(model, data.shape(), data.class_names(), file);
        (model, warning) = loaded.map_err(|error| TrainError::Weights { file: file.clone(), error })?;
    }
    let mut trainer = Trainer::new(setup.with_model(model))?;
    trainer.state.warnings.extend(warning);
    Ok(Box::new(trainer))
}

/// Registers a [`Network`](crate::model::Network) under its name.
#[macro_export]
macro_rules! register_network {
    ($network:ty) => {
        $crate::register_entry! {
            $crate::train::NetworkEntry,
            name: <$network as $crate::model::Network>::NAME,
            summary: <$network as $crate::model::Network>::SUMMARY,
            params: <$network as $crate::model::Network>::PARAMS,
            build: $crate::train::BuildNetwork::of::<$network>(),
        }
    };
}

register_network!(Airbench);
register_network!(Gpt);
register_network!(ResNet<18>);
register_network!(ResNet<50>);
register_network!(SimpleCnn);
register_network!(VitTiny);
