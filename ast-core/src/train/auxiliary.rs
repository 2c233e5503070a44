//! Auxiliary networks that are trained beside the run's own, for what they think of a sample: 4 % of its work.
//!
//! A network is built when something first asks for it, so a run that needs none has none. Its weights and dropout masks
//! have randomness of their own, keyed by which network it is and by the steps it has made: the run's own network draws
//! the same numbers whether there are auxiliary ones or not.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use ciborium::Value;
use serde::{Deserialize, Serialize};

use super::error::PassError;
use super::feed::Uploaded;
use super::learner::{Gradients, Learner};
use super::pass_cost;
use super::statistics::Passed;
use crate::codec::{SnapshotError, decode, encode};
use crate::data::Shape;
use crate::model::{Model, Weights};
use crate::random::{Purpose, Random};
use crate::select::PassCost;

/// Which auxiliary network.
///
/// The numbers key its randomness: never renumber, only append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u64)]
pub(super) enum Auxiliary {
    /// Sees what is offered before the run's own network does.
    Proxy = 0,
    /// Has seen the first half of the samples, and is asked for the second.
    FirstReference = 1,
    /// The other way round.
    SecondReference = 2,
}

/// An auxiliary network in training, and the steps it has made.
pub(super) struct AuxiliaryNetwork<M> {
    which: Auxiliary,
    learner: Learner<M>,
    steps: u64,
    random: Random,
    /// FLOPs on one sample.
    pub(super) cost: PassCost,
}

impl<M: Model> AuxiliaryNetwork<M> {
    /// As it is.
    pub(super) fn model(&self) -> &M {
        &self.learner.model
    }

    /// See [`Learner::gradients`].
    pub(super) fn gradients(&self, data: Uploaded) -> (Passed, Gradients) {
        let masks = self.random.stream(Purpose::AuxiliaryDropout, self.steps, self.which as u64);
        self.learner.gradients(data, None, masks)
    }

    /// The optimizer's update.
    pub(super) fn update(&mut self, lr: f64, gradients: Gradients) {
        self.learner.update(lr, gradients);
        self.steps += 1;
    }
}

/// The auxiliary networks that something has asked for so far.
pub(super) struct AuxiliaryNetworks<M> {
    /// What each of them begins with.
    optimizer: ModuleOptimizer,
    /// Of what they get.
    shape: Shape,
    networks: BTreeMap<Auxiliary, AuxiliaryNetwork<M>>,
}

/// One of them in a snapshot.
#[derive(Serialize, Deserialize)]
struct Saved {
    which: Auxiliary,
    steps: u64,
    weights: Value,
    optimizer: Value,
}

const PART: &str = "auxiliary networks";

impl<M: Model> AuxiliaryNetworks<M> {
    /// None yet.
    pub(super) fn none(optimizer: ModuleOptimizer, shape: Shape) -> Self {
        Self { optimizer, shape, networks: BTreeMap::new() }
    }

    /// Takes all of them away.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::none(self.optimizer.clone(), self.shape))
    }

    /// One of them. It is built on first use: a smaller network of the kind of `full`.
    pub(super) fn get(
        &mut self,
        which: Auxiliary,
        full: &M,
        random: Random,
        device: &Device,
    ) -> Result<&mut AuxiliaryNetwork<M>, PassError> {
        Ok(match self.networks.entry(which) {
            Entry::Occupied(network) => network.into_mut(),
            Entry::Vacant(place) => {
                let weights = Weights::of(Purpose::AuxiliaryWeights, which as u64, random, device);
                let model = full.proxy(weights).ok_or(PassError::NoProxy)?;
                let cost = pass_cost(&model.layers(self.shape)?);
                let learner = Learner::new(model, self.optimizer.clone(), device.clone());
                place.insert(AuxiliaryNetwork { which, learner, steps: 0, random, cost })
            }
        })
    }

    /// What it takes to go on with them; nothing if there are none.
    pub(super) fn save(&self) -> Result<Vec<u8>, SnapshotError> {
        let saved = |network: &AuxiliaryNetwork<M>| {
            let (weights, optimizer) = network.learner.save()?;
            let (weights, optimizer) = (Value::Bytes(weights), Value::Bytes(optimizer));
            Ok(Saved { which: network.which, steps: network.steps, weights, optimizer })
        };
        let all = self.networks.values().map(saved).collect::<Result<Vec<_>, SnapshotError>>()?;
        if all.is_empty() { Ok(Vec::new()) } else { encode(PART, &all) }
    }

    /// Takes back what [`save`](Self::save) gave.
    pub(super) fn restore(
        &mut self,
        bytes: &[u8],
        full: &M,
        random: Random,
        device: &Device,
    ) -> Result<(), SnapshotError> {
        self.networks.clear();
        if bytes.is_empty() {
            return Ok(());
        }
        for Saved { which, steps, weights, optimizer } in decode::<Vec<Saved>>(PART, bytes)? {
            let (Value::Bytes(weights), Value::Bytes(moments)) = (weights, optimizer) else {
                return Err(SnapshotError::Decode(PART, "a record is not made of bytes".into()));
            };
            let network = self.get(which, full, random, device);
            let network = network.map_err(|error| SnapshotError::Decode(PART, error.to_string()))?;
            network.learner.restore(&weights, &moments)?;
            network.steps = steps;
        }
        Ok(())
    }
}
