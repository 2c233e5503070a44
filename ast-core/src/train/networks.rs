//! Networks by name. Each registered network builds its own trainer, so that the command needs no type parameter.

use super::error::TrainError;
use super::{Callback, Setup, Trainer, load_weights, safetensors};
use crate::model::zoo::{Airbench, ResNet, SimpleCnn, VitTiny};
use crate::model::{Network, NetworkError, Weights};
use crate::plugin::{Entry, Params, Registry};
use crate::run::{Ran, Snapshot, Summary};

/// A registered network.
pub type NetworkEntry = Entry<BuildNetwork>;
/// Its constructor, which builds the trainer of a run with that network.
pub type BuildNetwork = fn(&Params, Setup<()>) -> Result<Box<dyn Training>, TrainError>;
inventory::collect!(NetworkEntry);

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

    /// See [`Trainer::ran`].
    fn ran(&self) -> Ran;

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
    fn ran(&self) -> Ran {
        Self::ran(self)
    }
    fn weights(&self) -> Result<Vec<u8>, TrainError> {
        Ok(safetensors(&self.for_evaluation()?.0)?)
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
        (entry.build)(&params, self)
    }
}

/// Builds the trainer of a run with network `M`, for its registry entry, and loads the weights that the configuration
/// names.
///
/// # Errors
/// [`TrainError::Network`] if the network cannot take the data; [`TrainError::Weights`].
pub fn build<M: Network + 'static>(params: &Params, setup: Setup<()>) -> Result<Box<dyn Training>, TrainError> {
    let (data, device) = (setup.train.dataset().clone(), setup.device.clone());
    let weights = Weights::new(setup.run.checked.random(), &device);
    let model = M::build(params, data.shape(), data.classes(), weights)?;
    let (mut model, mut warning) = (model.adapt(data.as_ref()), None);
    if let Some(file) = &setup.run.config.model.weights {
        let loaded = load_weights(model, data.shape(), file);
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
            build: $crate::train::build::<$network>,
        }
    };
}

register_network!(Airbench);
register_network!(ResNet<18>);
register_network!(ResNet<50>);
register_network!(SimpleCnn);
register_network!(VitTiny);
